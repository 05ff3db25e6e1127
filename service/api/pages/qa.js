// The page for QA leads: who is asking, which form and range, and whether the figures or one call is shown.
// The secret stays in this page's memory, where it renews the token; the token stays in the tab.

import { showBoard, showFailures, showList } from "./qa-board.js";
import { showCall } from "./qa-call.js";
import { ask as send } from "/dashboards/gateway.js";
import { element } from "/dashboards/visuals.js";

const at = (id) => document.getElementById(id);
const KEPT = "qa";
const FILTERS = ["form_id", "agent_group", "from", "to"];
const CELL = ["criterion", "cell_from", "cell_to", "cell_group", "cell_agent"]; // the cell whose calls are listed
const NO_CELL = Object.fromEntries(CELL.map((name) => [name, null]));
let token = sessionStorage.getItem(KEPT);
let credentials = null;
let data = null;
let asked = 0;

export async function ask(path, options = {}, renewed = false) {
  let answer;
  try {
    const headers = { ...(token ? { authorization: `Bearer ${token}` } : {}), "content-type": "application/json" };
    answer = await send(path, { ...options, headers });
  } catch {
    throw { status: 0, title: "The service does not answer", detail: "Check your connection and try again." };
  }
  if (answer.status === 401 && credentials && !renewed) {
    await signIn();
    return ask(path, options, true);
  }
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw { status: answer.status, code: body.code, title: body.title ?? `Status ${answer.status}`, detail: body.detail ?? "" };
  return body;
}

async function signIn() {
  let answer;
  try {
    answer = await send("/oauth/token", {
      // Without "omit" a browser answers the endpoint's challenge with a dialog of its own.
      method: "POST", credentials: "omit", body: new URLSearchParams({ grant_type: "client_credentials", scope: "calls", ...credentials }),
    });
  } catch {
    throw { status: 401, title: "", detail: "The service does not answer. Check your connection and try again." };
  }
  if (!answer.ok) {
    credentials = null;
    const detail = answer.status === 400 ? "This id may not see calls: it needs the scope calls." : "These are not the id and secret of a QA lead.";
    throw { status: 401, title: "", detail };
  }
  token = (await answer.json()).access_token;
  sessionStorage.setItem(KEPT, token);
}

// --- Who is asking ---

function showDoor(said = "") {
  token = null;
  sessionStorage.removeItem(KEPT);
  for (const id of ["board", "call", "leave", "notice"]) at(id).hidden = true;
  at("call").replaceChildren();
  at("status").textContent = "";
  at("door").hidden = false;
  at("door-said").textContent = said;
  at("client").focus();
}

at("sign-in").addEventListener("submit", async (event) => {
  event.preventDefault();
  credentials = { client_id: at("client").value.trim(), client_secret: at("secret").value.trim() };
  at("door-said").textContent = "";
  try {
    await signIn();
  } catch (problem) {
    return showDoor(problem.detail);
  }
  at("secret").value = "";
  return enter();
});

at("leave").addEventListener("click", () => {
  credentials = null;
  data = null;
  showDoor("Signed out.");
});

export function failed(problem) {
  if (problem.status === 401) return showDoor(problem.detail && credentials ? problem.detail : "The session has ended: sign in again.");
  if (problem.status === 403) return showDoor(`This id may not see calls. ${problem.detail}`);
  const again = element("button", { type: "button" }, "Try again");
  again.addEventListener("click", enter);
  at("notice").replaceChildren(element("b", {}, problem.title), problem.detail, element("br"), again);
  at("notice").hidden = false;
  at("status").textContent = "";
}

// --- What is shown stands in the address, so that a link leads to it and the browser's back works ---

export const wanted = () => new URLSearchParams(location.search);

export function go(changes, { replace = false } = {}) {
  const next = wanted();
  for (const [name, value] of Object.entries(changes)) value ? next.set(name, value) : next.delete(name);
  history[replace ? "replaceState" : "pushState"](null, "", `${location.pathname}?${next}`);
}

async function enter() {
  if (!token) return showDoor();
  at("door").hidden = true;
  at("leave").hidden = false;
  at("notice").hidden = true;
  const call = wanted().get("call");
  at("board").hidden = Boolean(call);
  at("call").hidden = !call;
  return call ? openCall(call) : load();
}

async function load() {
  const query = new URLSearchParams();
  for (const name of FILTERS) if (wanted().get(name)) query.set(name, wanted().get(name));
  const turn = (asked += 1);
  at("found").setAttribute("aria-busy", "true");
  if (!data) at("status").textContent = "Reading the figures…";
  try {
    const found = await ask(`/v1/calls/figures?${query}`);
    if (turn !== asked) return; // a later question is on its way
    data = found;
    at("notice").hidden = true;
    showBoard(data);
    if (wanted().get("criterion")) await showFailures(data, cell());
    else if (wanted().get("list") && data.form_id) await showList(data, wanted().get("list"));
  } catch (problem) {
    if (turn === asked) failed(problem);
  }
  at("found").setAttribute("aria-busy", "false");
}

export const cell = () => Object.fromEntries(CELL.map((name) => [name.replace("cell_", ""), wanted().get(name)]));

export function chooseCell(chosen) {
  go({ ...Object.fromEntries(CELL.map((name) => [name, chosen[name.replace("cell_", "")]])), list: null }, { replace: true });
  return showFailures(data, chosen, true).catch(failed);
}

export function chooseList(list) {
  go({ ...NO_CELL, list }, { replace: true });
  return showList(data, list, true).catch(failed);
}

async function openCall(call, focus = false) {
  at("call").setAttribute("aria-busy", "true");
  at("status").textContent = "Reading the call…";
  try {
    await showCall(call, wanted().get("criterion"), leaveCall);
    at("notice").hidden = true;
    at("status").textContent = "";
    if (focus) at("call").focus();
  } catch (problem) {
    at("call").replaceChildren();
    failed(problem);
  }
  at("call").setAttribute("aria-busy", "false");
}

export function chooseCall(call) {
  go({ call });
  at("board").hidden = true;
  at("call").hidden = false;
  scrollTo(0, 0);
  return openCall(call, true);
}

async function leaveCall() {
  const was = wanted().get("call");
  go({ call: null });
  await enter();
  document.querySelector(`[data-call="${CSS.escape(was)}"]`)?.focus();
}

at("filters").addEventListener("submit", (event) => {
  event.preventDefault();
  go({ form_id: at("form").value, agent_group: at("group").value, from: at("from").value, to: at("to").value, ...NO_CELL, list: null });
  load();
});

addEventListener("popstate", enter);
enter();
