// Runs the script of a step with actions/github-script against answers from a file: node github_script.mjs SCRIPT ANSWERS OUT
import fs from "node:fs";
import { createRequire } from "node:module";

const [script, answers, out] = process.argv.slice(2);
const { routes, context } = JSON.parse(fs.readFileSync(answers, "utf8"));
const done = { outputs: {}, failed: null, notices: [], asked: [] };
const core = {
  setOutput: (name, value) => (done.outputs[name] = value),
  setFailed: (why) => (done.failed = String(why)),
  notice: (text) => done.notices.push(text),
};
const group = (area) =>
  new Proxy(
    {},
    {
      get: (_, name) => async (parameters) => {
        const route = `${area}.${String(name)}`;
        done.asked.push({ route, parameters });
        if (!(route in routes)) throw new Error(`Resource not accessible by integration: ${route}`);
        return { data: routes[route] };
      },
    },
  );
const github = {
  rest: new Proxy({}, { get: (_, area) => group(String(area)) }),
  paginate: async (call, parameters) => (await call(parameters)).data,
};
const AsyncFunction = (async () => {}).constructor;
const run = new AsyncFunction("github", "context", "core", "require", fs.readFileSync(script, "utf8"));
try {
  await run(github, context, core, createRequire(`${process.cwd()}/`));
} catch (err) {
  done.failed = String(err.message ?? err);
}
fs.writeFileSync(out, JSON.stringify(done));
