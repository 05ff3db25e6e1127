// Shows /openapi.json and tries requests. Text never becomes markup: every node is made by `made`.

const spec = await (await fetch("/openapi.json")).json();
document.title = `API · ${spec.info.title}`;
document.getElementById("title").textContent = `${spec.info.title} ${spec.info.version}`;

function made(name, text = "", fields = {}) {
  const node = document.createElement(name);
  node.textContent = text;
  return Object.assign(node, fields);
}

function resolved(schema) {
  return schema && schema.$ref ? schema.$ref.split("/").slice(1).reduce((found, key) => found[key], spec) : schema || {};
}

function typeOf(schema) {
  const found = resolved(schema);
  if (found.anyOf) return found.anyOf.map(typeOf).join(" or ");
  if (found.enum) return found.enum.map((value) => JSON.stringify(value)).join(", ");
  if (found.type === "array") return `list of ${typeOf(found.items)}`;
  return found.title && found.properties ? found.title : found.type || "any";
}

function exampleOf(schema, depth = 0) {
  const found = resolved(schema);
  if (found.examples) return found.examples[0];
  if (found.example !== undefined) return found.example;
  if (found.default !== undefined) return found.default;
  if (depth > 4) return null;
  if (found.anyOf) return exampleOf(found.anyOf[0], depth + 1);
  if (found.enum) return found.enum[0];
  if (found.properties) {
    const wanted = Object.entries(found.properties).filter(([name]) => (found.required || []).includes(name));
    return Object.fromEntries(wanted.map(([name, inner]) => [name, exampleOf(inner, depth + 1)]));
  }
  return { array: [], object: {}, integer: 0, number: 0, boolean: false, string: "" }[found.type] ?? null;
}

function fieldsTable(rows) {
  const table = made("table");
  const head = table.createTHead().insertRow();
  for (const name of ["field", "type", "meaning"]) head.append(made("th", name, { scope: "col" }));
  const body = table.createTBody();
  for (const [name, schema, required, text] of rows) {
    const row = body.insertRow();
    row.append(made("td", required ? `${name} (required)` : name), made("td", typeOf(schema)), made("td", text || ""));
  }
  return table;
}

function bodyRows(schema) {
  const found = resolved(schema);
  return Object.entries(found.properties || {}).map(([name, inner]) => [
    name, inner, (found.required || []).includes(name), resolved(inner).description || inner.description,
  ]);
}

function tryForm(path, method, operation, content) {
  const form = made("form");
  const inputs = (operation.parameters || []).map((parameter) => {
    const input = made("input", "", { required: parameter.required, value: parameter.example ?? "" });
    const label = made("label", `${parameter.name} (${parameter.in})`);
    label.append(input);
    form.append(label);
    return [parameter, input];
  });
  const [media, offered] = Object.entries(content)[0] || [];
  let area = null;
  if (media) {
    const text = media.includes("json") ? JSON.stringify(exampleOf(offered.schema), null, 2)
      : new URLSearchParams(exampleOf(offered.schema) || {}).toString();
    const label = made("label", `Body (${media})`);
    area = made("textarea", text, { spellcheck: false });
    label.append(area);
    form.append(label);
  }
  const out = made("pre", "", { hidden: true, tabIndex: 0 });
  out.setAttribute("role", "status");
  form.append(made("button", `Send ${method.toUpperCase()} ${path}`), out);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    let url = path;
    const query = new URLSearchParams();
    const headers = {};
    for (const [parameter, input] of inputs) {
      if (!input.value) continue;
      if (parameter.in === "path") url = url.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
      else if (parameter.in === "query") query.append(parameter.name, input.value);
      else if (parameter.in === "header") headers[parameter.name] = input.value;
    }
    const token = document.getElementById("token").value.trim();
    if (token) headers.authorization = `Bearer ${token}`;
    if (media) headers["content-type"] = media;
    out.hidden = false;
    out.textContent = "waiting for the answer";
    try {
      const answer = await fetch(query.size ? `${url}?${query}` : url, {
        method: method.toUpperCase(), headers, body: area ? area.value : undefined, credentials: "omit",
      });
      const text = await answer.text();
      let shown = text;
      try { shown = JSON.stringify(JSON.parse(text), null, 2); } catch { /* shown as it came */ }
      out.textContent = `${answer.status} ${answer.statusText}\n\n${shown}`;
    } catch (error) {
      out.textContent = `no answer: ${error.message}`;
    }
  });
  return form;
}

function operationBlock(path, method, operation) {
  const block = made("details");
  const summary = made("summary");
  summary.append(made("b", method.toUpperCase()), made("code", path), made("span", `  ${operation.summary || ""}`));
  block.append(summary);
  block.addEventListener("toggle", () => {
    if (!block.open || block.children.length > 1) return;
    const scopes = (operation.security || []).flatMap((entry) => Object.values(entry).flat());
    for (const line of (operation.description || "").split("\n\n")) block.append(made("p", line));
    block.append(made("p", scopes.length ? `Needs a token with scope ${scopes.join(", ")}.` : "Needs no token.", { className: "soft" }));
    const parameters = (operation.parameters || []).map((one) => [one.name, one.schema, one.required, one.description]);
    const content = resolved(operation.requestBody).content || {};
    const body = Object.values(content)[0];
    if (parameters.length) block.append(made("h3", "Parameters"), fieldsTable(parameters));
    if (body) block.append(made("h3", "Body"), fieldsTable(bodyRows(body.schema)));
    block.append(made("h3", "Answers"));
    const answers = Object.entries(operation.responses).map(([status, one]) => [
      status, Object.values(one.content || {})[0]?.schema || {}, false, one.description,
    ]);
    block.append(fieldsTable(answers), made("h3", "Try it"), tryForm(path, method, operation, content));
  });
  return block;
}

const groups = new Map();
for (const [path, operations] of Object.entries(spec.paths)) {
  for (const [method, operation] of Object.entries(operations)) {
    const group = (operation.tags || ["other"])[0];
    if (!groups.has(group)) groups.set(group, []);
    groups.get(group).push(operationBlock(path, method, operation));
  }
}
const place = document.getElementById("endpoints");
for (const [group, blocks] of groups) place.append(made("h2", group), ...blocks);
