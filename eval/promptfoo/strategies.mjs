// Reads {"seed": n, "texts": [{"strategy": id, "text": t}]} from standard input, writes the disguised texts as a JSON list.
// The strategies are promptfoo's own, those of them that need no network and no model.
import { readFileSync } from "node:fs";

const { seed, texts } = JSON.parse(readFileSync(0, "utf8"));
// Jailbreak templates are drawn with Math.random; mulberry32 in its place: the same seed, the same attacks.
let state = seed >>> 0;
Math.random = () => {
  state = (state + 0x6d2b79f5) >>> 0;
  let t = state;
  t = Math.imul(t ^ (t >>> 15), t | 1);
  t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
};
const { default: promptfoo } = await import("promptfoo");
const known = new Map(promptfoo.redteam.Strategies.map((strategy) => [strategy.id, strategy]));
const disguised = [];
for (const { strategy, text } of texts) {
  const found = known.get(strategy);
  if (!found) throw new Error(`promptfoo has no strategy ${strategy}`);
  const tests = await found.action([{ vars: { text }, metadata: {} }], "text", { sample: 5 }, strategy);
  // Some templates have no place for the text, and would be an attack without a payload.
  const test = tests.length > 1 ? tests.find((one) => one.vars.text.includes(text)) : tests[0];
  if (!test) throw new Error(`no drawn template of ${strategy} holds the text`);
  disguised.push(test.vars.text);
}
// Ended by hand: the library keeps timers that would hold the process open.
process.stdout.write(JSON.stringify(disguised), () => process.exit(0));
