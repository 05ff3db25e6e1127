// The figures: what fails most, the heatmaps, the calls behind a cell, and the charts below.

import { draw } from "/dashboards/charts.js";
import { drawn, element } from "/dashboards/visuals.js";
import { countText, dayText, fullDayText, intervalText, isDay } from "/dashboards/words.js";
import { ask, cell, chooseCall, chooseCell, chooseList } from "./qa.js";

const at = (id) => document.getElementById(id);
const SPLITS = { by_week: "week", by_group: "agent group", by_agent: "agent" };
const SHADES = [[0.1, "below 10%"], [0.25, "10% to 25%"], [0.5, "25% to 50%"], [0.75, "50% to 75%"], [Infinity, "75% and more"]];
const MOST = 200; // what one answer of the service holds
const VERDICTS = { yes: "yes", no: "no", na: "does not apply" };
let shown = null;
let charts = [];
let split = "by_week";

const visualOf = (data, name) => data.visuals.find((visual) => visual.name === name);
const questionOf = (data, id) => data.criteria.find((one) => one.id === id)?.question ?? id;
const calls = (count) => `${count.toLocaleString("en-US")} ${count === 1 ? "call" : "calls"}`;
const percent = (rate) => `${Math.round(rate * 100)}%`;

export function showBoard(data) {
  shown = data;
  at("board").hidden = false;
  at("whose").textContent = `For QA leads of ${data.tenant}`;
  at("simulated").hidden = !data.simulated;
  fillFilters(data);
  const worst = visualOf(data, "criteria").rows.filter((row) => row.figures.fail_rate.n > 0);
  const held = data.held;
  at("status").textContent = held.calls === 0 ? "" : `${calls(held.calls)} from ${fullDayText(held.oldest)} to ${fullDayText(held.newest)}` +
    `${held.without_form ? `, ${held.without_form} of them without a usable score` : ""}` +
    `${held.by_floor ? `, ${held.by_floor === held.calls ? "all" : held.by_floor.toLocaleString("en-US")} scored by the floor: it looks for words, and no model read the call` : ""}. Shown: ${fullDayText(data.from)} to ${fullDayText(data.to)} (UTC).`;
  const empty = worst.length === 0;
  for (const id of ["heat", "lists", "visuals"]) at(id).hidden = empty;
  at("failures").hidden = true;
  at("headline").textContent = empty ? nothing(data) : headline(data, worst);
  at("changes").replaceChildren(...(empty ? [] : data.changes.map((one) => change(data, one))));
  if (empty) return;
  showSplits(data);
  showGrid(data);
  charts = data.visuals.filter((visual) => visual.kind !== "heatmap" && visual.rows.length).map((visual) => worded(data, visual));
  at("visuals").replaceChildren(...charts.map(drawn));
  if (!visualOf(data, "agreement").rows.length) {
    at("visuals").append(element("p", { class: "notice" }, "No verdict in this range was confirmed or corrected by a person, so nobody knows how far the scores can be trusted. Open some calls and confirm or correct their verdicts."));
  }
  redraw();
}

// People know a criterion by its question, not by its id.
function worded(data, visual) {
  if (visual.by !== "criterion_id") return visual;
  return { ...visual, rows: visual.rows.map((row) => ({ ...row, key: questionOf(data, row.key) })) };
}

function nothing(data) {
  if (data.held.calls === 0) return "No call has been scored yet. Calls appear here when omni calls work has scored them.";
  if (!data.form_id) return "No call has a usable score yet.";
  return "No call was scored in this range. Choose other days, another form or another agent group.";
}

function headline(data, worst) {
  const [first, second] = worst;
  const rate = first.figures.fail_rate;
  if (!rate.value) return `No criterion failed in ${calls(rate.n)}.`;
  const also = second?.figures.fail_rate.value ? ` Next: “${questionOf(data, second.key)}”, ${percent(second.figures.fail_rate.value)}.` : "";
  return `Fails most: “${questionOf(data, first.key)}”, in ${percent(rate.value)} of ${calls(rate.n)}.${also}`;
}

function change(data, one) {
  const word = one.worse ? "Worse" : "Better";
  const show = element("button", { type: "button", class: "play" }, "Show the calls");
  show.addEventListener("click", () => chooseCell(weekOf(one.criterion, one.week)));
  return element("li", {}, element("b", {}, `${word} since the week of ${dayText(one.week)}: `),
    `“${questionOf(data, one.criterion)}” fails in ${percent(one.rate)} of ${calls(one.n)}, before in ${percent(one.before_rate)} of ${calls(one.before_n)}. `, ...(one.worse ? [show] : []));
}

function fillFilters(data) {
  const options = (values, chosen, all) => [...(all ? [element("option", { value: "" }, all)] : []),
    ...[...new Set([...values, ...(chosen ? [chosen] : [])])].map((value) => element("option", { value }, value))];
  at("form").replaceChildren(...options(data.held.forms, data.form_id));
  at("form").value = data.form_id ?? "";
  at("group").replaceChildren(...options(data.held.groups, data.agent_group, "all groups"));
  at("group").value = data.agent_group ?? "";
  at("from").value = data.from ?? "";
  at("to").value = data.to ?? "";
}

// --- The heatmap ---

function showSplits(data) {
  at("split").replaceChildren(...Object.entries(SPLITS).map(([name, label]) => {
    const button = element("input", { type: "radio", name: "split", value: name, id: `split-${name}` });
    button.checked = name === split;
    button.addEventListener("change", () => {
      split = name;
      showGrid(data);
    });
    return element("label", {}, button, `by ${label}`);
  }));
  at("shades").replaceChildren(...SHADES.map(([, label], index) => element("li", {}, element("span", { class: `shade h${index}`, "aria-hidden": "true" }), label)),
    element("li", {}, element("span", { class: "shade few", "aria-hidden": "true" }), "dashed: fewer than 30 calls, may be chance"));
}

const shade = (rate) => `h${SHADES.findIndex(([below]) => rate < below)}`;

function showGrid(data) {
  const visual = visualOf(data, split);
  const columns = [...new Set(visual.rows.map((row) => row.column))].sort();
  // As in the bars: what fails most stands on top.
  const order = visualOf(data, "criteria").rows.map((row) => row.key);
  const found = new Map(visual.rows.map((row) => [`${row.key} ${row.column}`, row.figures.fail_rate]));
  const body = order.map((key) => element("tr", {},
    element("th", { scope: "row" }, questionOf(data, key), element("small", {}, ` ${key}`)),
    ...columns.map((column) => element("td", {}, square(data, key, column, found.get(`${key} ${column}`))))));
  const heads = columns.map((column) => element("th", { scope: "col" }, isDay(column) ? dayText(column) : column));
  const table = element("table", { class: "heat" }, element("caption", { class: "unseen" }, visual.title),
    element("thead", {}, element("tr", {}, element("th", { scope: "col" }, `${visual.by_label} / ${visual.across_label}`), ...heads)), element("tbody", {}, ...body));
  at("grid").replaceChildren(table);
  const first = table.querySelector("button");
  if (first) first.tabIndex = 0;
  at("grid").scrollLeft = split === "by_week" ? at("grid").scrollWidth : 0; // the newest weeks
  markChosen();
}

function square(data, criterion, column, figure) {
  if (!figure || !figure.n) return element("span", { title: "applied to no call" }, "–");
  const [rate, count] = [`${Math.round(figure.value * 100)}%`, countText({ n: figure.n, small: false })];
  const said = `${rate} ${count}: ${questionOf(data, criterion)} Failed in ${percent(figure.value)} of ${calls(figure.n)}, ` +
    `${SPLITS[split]} ${isDay(column) ? fullDayText(column) : column}, 95% interval ${intervalText("rate", figure)}`;
  const button = element("button", { type: "button", tabindex: "-1", class: `${shade(figure.value)}${figure.small ? " few" : ""}`, title: said,
    "aria-label": said, "data-criterion": criterion, "data-column": column, "aria-pressed": "false" },
    `${rate} `, element("small", {}, count));
  button.addEventListener("click", () => chooseCell(chosenBy(criterion, column)));
  return button;
}

function chosenBy(criterion, column) {
  const plain = { criterion, from: shown.from, to: shown.to, group: shown.agent_group, agent: null };
  if (split === "by_group") return { ...plain, group: column };
  if (split === "by_agent") return { ...plain, agent: column };
  return weekOf(criterion, column);
}

function weekOf(criterion, monday) {
  const last = new Date(`${monday}T00:00:00Z`);
  last.setUTCDate(last.getUTCDate() + 6);
  const end = last.toISOString().slice(0, 10);
  return { criterion, from: monday < shown.from ? shown.from : monday, to: end > shown.to ? shown.to : end, group: shown.agent_group, agent: null };
}

function markChosen(list = null) {
  for (const button of at("lists").querySelectorAll("[data-list]")) button.setAttribute("aria-pressed", String(button.dataset.list === list));
  const now = JSON.stringify(cell());
  for (const button of at("grid").querySelectorAll("button")) {
    button.setAttribute("aria-pressed", String(JSON.stringify(chosenBy(button.dataset.criterion, button.dataset.column)) === now));
  }
}

// One stop for the tab key; arrows move between cells, as in a spreadsheet.
at("grid").addEventListener("keydown", (event) => {
  const button = event.target.closest("button");
  const step = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] }[event.key];
  if (!button || !step) return;
  event.preventDefault();
  const rows = [...at("grid").querySelectorAll("tbody tr")].map((row) => [...row.querySelectorAll("td")].map((each) => each.querySelector("button")));
  let row = rows.findIndex((each) => each.includes(button));
  let column = rows[row].indexOf(button);
  do {
    row += step[0];
    column += step[1];
  } while (rows[row]?.[column] === null); // over cells without calls
  const next = rows[row]?.[column];
  if (!next) return;
  button.tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
});

// --- The calls behind a cell ---

export async function showFailures(data, chosen, focus = false) {
  markChosen();
  const query = new URLSearchParams({ form_id: data.form_id, criterion: chosen.criterion, from: chosen.from, to: chosen.to });
  if (chosen.group) query.set("agent_group", chosen.group);
  if (chosen.agent) query.set("agent", chosen.agent);
  at("failures").hidden = false;
  at("failures-title").textContent = `Calls that failed: ${questionOf(data, chosen.criterion)}`;
  at("failures-said").textContent = "Reading the calls…";
  at("failed").replaceChildren();
  const found = await ask(`/v1/calls/failures?${query}`);
  const days = chosen.from === chosen.to ? fullDayText(chosen.from) : `${fullDayText(chosen.from)} to ${fullDayText(chosen.to)}`;
  const where = [days, chosen.group && `group ${chosen.group}`, chosen.agent && `agent ${chosen.agent}`];
  at("failures-said").textContent = `${where.filter(Boolean).join(", ")}: ${found.calls.length ? listed(found.calls.length) : "no call failed."}`;
  at("failed").replaceChildren(...found.calls.map(entry));
  if (focus) at("failures").focus();
}

// --- Calls that no failure leads to ---

const LISTS = {
  sample: { title: "Sample of the week", about: "drawn at random" }, needs_review: { title: "Calls that need review", about: "newest first" },
  passed: { title: "Calls that passed", about: "newest first" },
};

export async function showList(data, kind, focus = false) {
  markChosen(kind);
  const query = new URLSearchParams({ kind, form_id: data.form_id, from: data.from, to: data.to });
  if (data.agent_group) query.set("agent_group", data.agent_group);
  at("failures").hidden = false;
  at("failures-title").textContent = LISTS[kind].title;
  at("failures-said").textContent = "Reading the calls…";
  at("failed").replaceChildren();
  const found = await ask(`/v1/calls/listed?${query}`);
  const done = found.calls.filter((call) => call.checked).length;
  const said = found.calls.length ? `${calls(found.calls.length)}, ${LISTS[kind].about}; ${done} checked by a person.` : "no call.";
  at("failures-said").textContent = `${fullDayText(found.from)} to ${fullDayText(found.to)}${data.agent_group ? `, group ${data.agent_group}` : ""}: ${said}`;
  at("failed").replaceChildren(...found.calls.map((call) => listedCall(call, kind)));
  if (focus) at("failures").focus();
}

function listedCall(call, kind) {
  const person = call.checked ? `${call.checked} of its verdicts checked` : "nobody has checked it yet";
  // The sample's calls are read without knowing what the model says.
  const score = kind === "needs_review" ? { true: "; passed", false: "; failed", null: "; no score" }[call.passed] : "";
  return callButton(call, `${call.agent}, ${call.agent_group}; ${person}${score}`);
}

at("lists").addEventListener("click", (event) => {
  const button = event.target.closest("[data-list]");
  if (button) chooseList(button.dataset.list);
});

const listed = (count) => (count < MOST ? `${calls(count)}, newest first.` : `the newest ${calls(count)}; choose a week, group or agent to see others.`);

function entry(call) {
  const person = call.human_verdict ? `a person says ${VERDICTS[call.human_verdict]}` : "nobody has checked it yet";
  return callButton(call, `${call.agent}, ${call.agent_group}; ${person}${call.state === "needs_review" ? "; needs review" : ""}`);
}

function callButton(call, about) {
  const moment = `${fullDayText(call.call_date.slice(0, 10))}, ${call.call_date.slice(11, 16)} UTC`;
  const button = element("button", { type: "button", "data-call": call.call_id }, element("b", {}, moment), about);
  button.addEventListener("click", () => chooseCall(call.call_id));
  return element("li", {}, button);
}

// --- The charts ---

function redraw() {
  for (const visual of charts) {
    const holder = at("visuals").querySelector(`[data-name="${visual.name}"] > .drawing`);
    if (holder && holder.clientWidth) holder.replaceChildren(draw(visual, holder.clientWidth));
  }
}

let width = document.documentElement.clientWidth;
addEventListener("resize", () => {
  if (document.documentElement.clientWidth === width) return;
  width = document.documentElement.clientWidth;
  redraw();
});
