// The dashboards' page: who is asking, which range and pair, and which of the dashboards; figures come from /v1/dashboards.

import { draw, highest, isLog, stripes, targets } from "./charts.js";
import { countText, fullDayText, intervalText, keyText, summary, valueText, verdict } from "./words.js";

const at = (id) => document.getElementById(id);
const state = { list: [], name: null, from: null, to: null, pair: "", task: "", data: null, asked: 0 };
const SIGNS = { pass: "✓", fail: "✗", inconclusive: "?" };

function element(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) if (value !== null) node.setAttribute(key, value);
  node.append(...children.filter((child) => child !== null));
  return node;
}

async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, { credentials: "same-origin", cache: "no-store", ...options });
  } catch {
    throw { status: 0, title: "The service does not answer", detail: "Is it running? Start it (omni serve) and try again." };
  }
  if (answer.status === 204) return null;
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw { status: answer.status, title: body.title ?? `Status ${answer.status}`, detail: body.detail ?? "" };
  return body;
}

// --- Who is asking ---

async function enter() {
  const code = new URLSearchParams(location.hash.slice(1)).get("code");
  if (code) {
    history.replaceState(null, "", location.pathname + location.search); // out of the address bar before anything else
    try {
      await openSession({ code });
    } catch (problem) {
      return showDoor(problem.detail);
    }
  }
  return start();
}

const openSession = (given) =>
  ask("/dashboards/session", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(given) });

function showDoor(said = "") {
  at("room").hidden = true;
  at("leave").hidden = true;
  at("door").hidden = false;
  at("door-said").textContent = said;
  at("token").focus();
}

at("door-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    await openSession({ token: at("token").value.trim() });
  } catch (problem) {
    return showDoor(problem.detail);
  }
  at("token").value = "";
  return start();
});

at("leave").addEventListener("click", async () => {
  await ask("/dashboards/session", { method: "DELETE" }).catch(() => null);
  at("panel").replaceChildren();
  showDoor("Signed out.");
});

// --- Range, pair, tabs ---

async function start() {
  try {
    state.list = (await ask("/v1/dashboards")).dashboards;
  } catch (problem) {
    if (problem.status === 401 || problem.status === 403) return showDoor(problem.status === 403 ? problem.detail : "");
    at("room").hidden = false;
    return notice(problem);
  }
  at("door").hidden = true;
  at("leave").hidden = false;
  at("room").hidden = false;
  const wanted = new URLSearchParams(location.search);
  state.name = state.list.some((d) => d.name === wanted.get("dashboard")) ? wanted.get("dashboard") : state.list[0].name;
  [state.from, state.to, state.pair, state.task] = [wanted.get("from"), wanted.get("to"), wanted.get("pair") ?? "", wanted.get("task") ?? ""];
  at("tabs").replaceChildren(...state.list.map((dashboard) => element("button",
    { type: "button", role: "tab", id: `tab-${dashboard.name}`, "aria-controls": "panel", "data-name": dashboard.name }, dashboard.title)));
  return choose(state.name, false);
}

function choose(name, focus) {
  state.name = name;
  for (const tab of at("tabs").children) {
    const chosen = tab.dataset.name === name;
    tab.setAttribute("aria-selected", String(chosen));
    tab.tabIndex = chosen ? 0 : -1;
    if (chosen && focus) tab.focus();
    if (chosen) at("panel").setAttribute("aria-labelledby", tab.id);
  }
  return load();
}

at("tabs").addEventListener("click", (event) => {
  const tab = event.target.closest("[role=tab]");
  if (tab) choose(tab.dataset.name, true);
});

at("tabs").addEventListener("keydown", (event) => {
  const names = state.list.map((d) => d.name);
  const now = names.indexOf(state.name);
  const next = { ArrowRight: now + 1, ArrowLeft: now - 1 + names.length, Home: 0, End: names.length - 1 }[event.key];
  if (next === undefined) return;
  event.preventDefault();
  choose(names[next % names.length], true);
});

at("filters").addEventListener("submit", (event) => {
  event.preventDefault();
  [state.from, state.to, state.pair, state.task] = [at("from").value || null, at("to").value || null, at("pair").value, at("task").value];
  load();
});

// Another task has other pairs, and perhaps other days.
at("task").addEventListener("change", () => {
  [state.from, state.to, state.pair, state.task] = [null, null, "", at("task").value];
  load();
});

for (const button of document.querySelectorAll("[data-days]")) {
  button.addEventListener("click", () => {
    const newest = state.data?.warehouse.newest;
    if (!newest) return load();
    const first = new Date(`${newest}T00:00:00Z`);
    first.setUTCDate(first.getUTCDate() - Number(button.dataset.days) + 1);
    [state.from, state.to, state.pair] = [first.toISOString().slice(0, 10), newest, at("pair").value];
    return load();
  });
}

// --- Figures ---

async function load() {
  const query = new URLSearchParams();
  for (const name of ["task", "from", "to", "pair"]) if (state[name]) query.set(name, state[name]);
  history.replaceState(null, "", `?${new URLSearchParams([["dashboard", state.name], ...query])}`);
  const turn = (state.asked += 1);
  at("panel").setAttribute("aria-busy", "true");
  try {
    const data = await ask(`/v1/dashboards/${state.name}?${query}`);
    if (turn !== state.asked) return; // a later question is on its way
    state.data = data;
    at("notice").hidden = true;
    fillFilters(data);
    show(data);
  } catch (problem) {
    if (turn !== state.asked) return;
    if (problem.status === 401) return showDoor("The session has ended: open it again.");
    notice(problem);
  }
  at("panel").setAttribute("aria-busy", "false");
}

function notice(problem) {
  const again = element("button", { type: "button" }, "Try again");
  again.addEventListener("click", () => (state.list.length ? load() : start()));
  at("notice").replaceChildren(element("b", {}, problem.title), problem.detail, element("br"), again);
  at("notice").hidden = false;
  at("status").textContent = "";
  at("panel").replaceChildren();
  at("panel").setAttribute("aria-busy", "false");
}

function fillFilters(data) {
  [state.from, state.to] = [data.from, data.to];
  at("from").value = data.from ?? "";
  at("to").value = data.to ?? "";
  const pairs = [...new Set([...data.warehouse.pairs, ...(data.pair ? [data.pair] : [])])];
  at("pair").replaceChildren(element("option", { value: "" }, "all pairs"), ...pairs.map((pair) => element("option", { value: pair }, pair)));
  at("pair").value = data.pair ?? "";
  state.task = data.task ?? "";
  at("task").replaceChildren(...data.warehouse.tasks.map((task) => element("option", { value: task }, task)));
  at("task").value = state.task;
  at("task").parentElement.hidden = data.warehouse.tasks.length < 2;
}

function show(data) {
  const held = data.warehouse;
  at("simulated").hidden = !data.simulated;
  nameTabs(data);
  document.title = `${data.simulated ? "Simulated: " : ""}${data.title} · Omni Insights`;
  const empty = data.visuals.every((visual) => visual.kind === "numbers" || visual.rows.length === 0);
  at("status").textContent = held.answers === 0
    ? `The warehouse holds no answers yet: load events (omni ${data.simulated ? "--traffic " : ""}load-events).`
    : `${data.warehouse.tasks.length > 1 ? `Task ${data.task}: ` : ""}${data.pair ?? "All pairs"}, ${fullDayText(data.from)} to ${fullDayText(data.to)} (UTC). The warehouse holds ${held.answers.toLocaleString("en-US")} answers${data.warehouse.tasks.length > 1 ? " of this task" : ""}, ` +
      `from ${fullDayText(held.oldest)} to ${fullDayText(held.newest)}, ${held.newest_at.slice(11)} UTC. Read ${data.age_s < 1 ? "just now" : `${Math.round(data.age_s)} s ago`}.`;
  const visuals = empty ? [] : data.visuals.map(drawn);
  if (data.visuals.filter((visual) => visual.kind !== "numbers").length % 2) visuals.at(-1)?.classList.add("alone");
  const why = data.name === "assistant"
    ? "No conversation was held in this range. Choose other days, or a task that answers in conversations."
    : "No answer was given in this range. Choose other days or another pair.";
  const nothing = empty && held.answers > 0 ? [element("p", { class: "notice" }, why)] : [];
  at("panel").replaceChildren(
    element("h2", {}, data.title), element("p", { class: "question" }, data.question), ...nothing, ...said(data, empty),
    element("div", { class: "visuals" }, ...visuals));
  redraw();
}

// A task's outputs have a name of their own, which the tabs say, too.
async function nameTabs(data) {
  if (!data.task || state.named === data.task) return;
  state.named = data.task;
  const found = await ask(`/v1/dashboards?${new URLSearchParams({ task: data.task })}`).catch(() => null);
  for (const dashboard of found?.dashboards ?? []) at(`tab-${dashboard.name}`).textContent = dashboard.title;
}

// The sentence on top, and where the weeks are compared and what to do about them is said.
function said(data, empty) {
  const verdicts = empty ? "" : summary(data);
  const report = element("code", {}, `omni ${data.simulated ? "--traffic " : ""}report`);
  return [
    ...(verdicts ? [element("p", { id: "verdict" }, verdicts)] : []),
    element("p", { class: "hint" }, "What changed since the week before, and what to do about it: the weekly report, written by ", report, "."),
  ];
}

function drawn(visual) {
  const title = `title-${visual.name}`;
  const head = [element("h3", { id: title }, visual.title), element("p", { class: "question" }, visual.question)];
  const body = visual.kind === "numbers" ? [tiles(visual)] : [picture(visual), legend(visual), hints(visual), table(visual)];
  return element("section", { class: `visual ${visual.kind}`, "aria-labelledby": title, "data-name": visual.name }, ...head, ...body.filter(Boolean));
}

function tiles(visual) {
  const figures = visual.rows[0]?.figures ?? {};
  return element("dl", { class: "tiles" }, ...visual.measures.map((measure) => {
    const figure = figures[measure.name] ?? { value: null, low: null, high: null, n: 0, small: false };
    const word = verdict(figure, measure.target);
    const interval = intervalText(measure.unit, figure);
    return element("div", { class: `tile ${word ?? ""}`, "data-name": measure.name },
      element("dt", {}, measure.label),
      element("dd", { class: `value${figure.small ? " small" : ""}` }, valueText(measure.unit, figure.value)),
      interval ? element("dd", {}, element("small", { class: "interval" }, `95% interval ${interval}`)) : null,
      countText(figure) ? element("dd", {}, element("small", { class: "n" }, countText(figure))) : null,
      measure.target ? element("dd", {}, element("small", {}, measure.target.label)) : null,
      word ? element("dd", {}, element("span", { class: `badge ${word}` }, element("span", { "aria-hidden": "true" }, `${SIGNS[word]} `), word)) : null);
  }));
}

function picture(visual) {
  const holder = element("div", { class: "drawing" });
  if (visual.rows.length === 0) holder.append(element("p", { class: "hint" }, "Nothing in this range."));
  return holder;
}

function legend(visual) {
  if (visual.measures.length < 2) return null;
  return element("ul", { class: "legend" }, ...visual.measures.map((measure, index) => element("li", {}, swatch(visual.kind, index), measure.label)));
}

function swatch(kind, index) {
  const icon = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const mark = document.createElementNS("http://www.w3.org/2000/svg", kind === "columns" ? "rect" : "line");
  const shape = kind === "columns" ? { width: 12, height: 12, class: `s${index}` } : { x1: 0, x2: 22, y1: 6, y2: 6, class: `line s${index}` };
  for (const [key, value] of Object.entries({ width: kind === "columns" ? 12 : 22, height: 12, "aria-hidden": "true" })) icon.setAttribute(key, value);
  for (const [key, value] of Object.entries(shape)) mark.setAttribute(key, value);
  icon.append(mark);
  if (kind === "columns") icon.append(stripes(6, 12, 0, 12, index));
  return icon;
}

// What the picture cannot show.
function hints(visual) {
  if (visual.rows.length === 0) return null;
  const figures = visual.rows.flatMap((row) => visual.measures.map((measure) => row.figures[measure.name]));
  const { far } = targets(visual, highest(visual));
  const said = [
    visual.kind !== "columns" && figures.some((figure) => figure.small) ? "Hollow: too few cases to say much." : "",
    isLog(visual) ? `Each line of the grid is ten times the one below.${figures.some((figure) => figure.value === 0) ? " A figure of 0 has no place there." : ""}` : "",
    far.length ? `Above what is drawn: ${far.map((target) => target.label).join("; ")}.` : "",
  ].filter(Boolean);
  return said.length ? element("p", { class: "hint" }, said.join(" ")) : null;
}

function table(visual) {
  if (visual.rows.length === 0) return null;
  const intervals = visual.measures.map((measure) => visual.rows.some((row) => intervalText(measure.unit, row.figures[measure.name])));
  const heads = visual.measures.map((measure, index) => element("th", { scope: "col" }, measure.label + (intervals[index] ? " (95% interval, n)" : "")));
  const rows = visual.rows.map((row) => element("tr", {}, element("th", { scope: "row" }, keyText(row.key)), ...visual.measures.map((measure) => {
    const figure = row.figures[measure.name];
    const more = [intervalText(measure.unit, figure), countText(figure)].filter(Boolean).join(", ");
    return element("td", {}, valueText(measure.unit, figure.value), more ? element("small", {}, `(${more})`) : null);
  })));
  const inner = element("table", {}, element("caption", {}, visual.title),
    element("thead", {}, element("tr", {}, element("th", { scope: "col" }, visual.by_label), ...heads)), element("tbody", {}, ...rows));
  return element("details", {}, element("summary", {}, `Table: ${visual.title}`), element("div", { class: "wide", tabindex: "0", role: "region", "aria-label": `Table: ${visual.title}` }, inner));
}

function redraw() {
  for (const visual of state.data?.visuals ?? []) {
    const holder = document.querySelector(`[data-name="${visual.name}"] > .drawing`);
    if (holder && visual.rows.length && holder.clientWidth) holder.replaceChildren(draw(visual, holder.clientWidth));
  }
}

let width = document.documentElement.clientWidth;
addEventListener("resize", () => {
  if (document.documentElement.clientWidth === width) return;
  width = document.documentElement.clientWidth;
  redraw();
});

addEventListener("hashchange", enter); // a second link, opened in the same tab
enter();
