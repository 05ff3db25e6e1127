// The dashboards' page: who is asking, which range and pair, and which of the dashboards; figures come from /v1/dashboards.

import { draw } from "./charts.js";
import { ask as send } from "./gateway.js";
import { drawn, element } from "./visuals.js";
import { fullDayText, summary } from "./words.js";

const at = (id) => document.getElementById(id);
const state = { list: [], name: null, from: null, to: null, pair: "", task: "", data: null, asked: 0 };

async function ask(path, options = {}) {
  let answer;
  try {
    answer = await send(path, { credentials: "same-origin", ...options });
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
