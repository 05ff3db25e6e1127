// The agent's page: who waits for a person, the conversation that the agent has open, and what the agent says in it.
// The secret stays in this page's memory, where it renews the token; the token and the agent's name stay in the tab.

import { ask as send } from "/dashboards/gateway.js";

const at = (id) => document.getElementById(id);
const KEPT = "agent";
const LIST_MS = 4000;
const OPEN_MS = 2000;
const WHO = { customer: "Customer", assistant: "AI assistant", person: "You" };
const REASONS = {
  explicit_request: "Asked for a person",
  customer_frustration: "Frustrated",
  repeated_query: "Asked the same again",
  capability_limitation: "Nothing the assistant can do",
  technical_issues: "Tools failed",
  complex_scenario: "Complex matter",
  sensitive_topic: "Sensitive matter",
};
const agent = { token: null, name: "" };
let credentials = null;
let open = null; // the id of the handover that is shown
let shown = ""; // what the lists show, so that an unchanged list keeps its focus
let talk = "";
const drafts = new Map(); // by handover: a half-written message goes with its customer

function remember() {
  sessionStorage.setItem(KEPT, JSON.stringify(agent));
}

function recall() {
  try {
    Object.assign(agent, JSON.parse(sessionStorage.getItem(KEPT)) ?? {});
  } catch {
    // nothing of ours
  }
  const given = new URLSearchParams(location.hash.slice(1));
  if (!given.has("token")) return;
  agent.token = given.get("token");
  history.replaceState(null, "", location.pathname); // a token does not stay in the address bar
}

async function ask(path, body, renewed = false) {
  const headers = { ...(agent.token ? { authorization: `Bearer ${agent.token}` } : {}), "content-type": "application/json" };
  const options = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
  const answer = await send(`/v1/handovers${path}`, { ...options, headers });
  if (answer.ok) return answer.json();
  if (answer.status === 401 && credentials && !renewed) {
    await signIn();
    return ask(path, body, true);
  }
  const problem = await answer.json().catch(() => ({}));
  throw { status: answer.status, detail: problem.detail ?? "The service did not answer." };
}

async function signIn() {
  const answer = await send("/oauth/token", {
    // Without "omit" a browser answers the endpoint's challenge with a dialog of its own.
    method: "POST", credentials: "omit", body: new URLSearchParams({ grant_type: "client_credentials", scope: "handovers", ...credentials }),
  });
  if (!answer.ok) throw { status: 401, detail: "These are not the id and secret of an agent." };
  agent.token = (await answer.json()).access_token;
  remember();
}

function tell(text, bad = false) {
  at("status").textContent = text;
  at("status").classList.toggle("bad", bad);
}

function failed(problem) {
  if (problem.status === 401 || problem.status === 403) return showDoor(problem.status === 403 ? "This id may not take handovers." : "");
  tell(problem.status ? problem.detail : "Not connected. Trying again…", true);
}

function showDoor(text) {
  agent.token = null;
  remember();
  const was = at("door").hidden;
  at("room").hidden = true;
  at("door").hidden = false;
  at("door-said").textContent = text;
  if (was) at("client").focus();
}

// --- What is shown ---

function element(name, text, className = "") {
  const made = document.createElement(name);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

const reasonOf = (one) => REASONS[one.reason] ?? one.reason;
const counted = (count, one, many) => `${count} ${count === 1 ? one : many}`;

function since(moment, until = Date.now()) {
  const minutes = Math.floor((until - new Date(moment)) / 60000);
  return minutes < 1 ? "less than a minute" : counted(minutes, "minute", "minutes");
}

function entry(one, verb, act) {
  const item = element("li", "", [one.urgency < 4 && verb === "Take" ? "urgent" : "", one.handover_id === open ? "open" : ""].join(" ").trim());
  const about = [one.channel === "chat" ? "in the chat" : one.channel === "voice" ? "on the phone" : "elsewhere",
    counted(one.conversation_turns, "message", "messages"), ...one.topics_discussed];
  const waited = verb === "Take" ? `waiting for ${since(one.waiting_since)}` : `taken ${since(one.taken_at)} ago`;
  const button = element("button", verb);
  button.type = "button";
  button.dataset.key = `${verb} ${one.handover_id}`;
  button.setAttribute("aria-label", `${verb}: ${reasonOf(one)}, ${waited}`);
  button.addEventListener("click", act);
  item.append(element("b", reasonOf(one)), button, element("small", `${waited}; ${about.join(", ")}`));
  return item;
}

function showLists(found) {
  at("door").hidden = true;
  at("room").hidden = false;
  const now = JSON.stringify([found, open, Math.floor(Date.now() / 30000)]);
  if (now === shown) return;
  shown = now;
  const focused = document.activeElement?.dataset?.key;
  at("waiting").replaceChildren(...found.waiting.map((one) => entry(one, "Take", () => take(one.handover_id))));
  at("mine").replaceChildren(...found.taken.map((one) => entry(one, "Open", () => show(one.handover_id))));
  const longest = found.waiting.map((one) => one.waiting_since).sort()[0];
  const said = longest ? `${counted(found.waiting.length, "customer waits", "customers wait")}, the longest for ${since(longest)}.` : "Nobody waits.";
  if (at("waiting-said").textContent !== said) at("waiting-said").textContent = said;
  at("mine-said").hidden = found.taken.length > 0;
  document.title = found.waiting.length ? `(${found.waiting.length}) Handovers` : "Handovers";
  if (focused) document.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
}

function terms(list, rows) {
  list.replaceChildren(...rows.filter(([, text]) => text).flatMap(([term, text]) => [element("dt", term), element("dd", text)]));
}

function showHandover(found) {
  if (found.handover_id !== open) return;
  const { summary, context } = found;
  const isOpen = found.state === "taken";
  at("open").hidden = !isOpen;
  at("desk-title").textContent = isOpen ? reasonOf(found) : "No conversation is open";
  at("desk-said").hidden = isOpen;
  if (!isOpen) return closed();
  const text = JSON.stringify(found);
  if (text === talk) return;
  const first = talk === "";
  talk = text;
  const channel = { chat: "chat", voice: "telephone: speak with the customer there" }[context.channel] ?? "elsewhere: speak with the customer there";
  terms(at("facts"), [
    ["Wants", summary?.customer_query], ["Topics", summary?.topics_discussed.join(", ")], ["Waited", since(found.waiting_since, new Date(found.taken_at))],
    ["Channel", channel], ["Assistant's note", context.note],
  ]);
  const collected = Object.entries(summary?.information_collected ?? {});
  terms(at("collected"), collected.length ? collected : [["nothing", "yet"]]);
  at("talk").hidden = found.conversation === null;
  at("answer").hidden = found.conversation !== "handed_over" || context.channel === "voice";
  at("said").replaceChildren(...found.said.map((one) => {
    const item = element("li", "", one.by);
    item.append(element("b", WHO[one.by]), one.text);
    return item;
  }));
  at("log").scrollTop = at("log").scrollHeight;
  if (!first) return;
  at("phone").value = collected.find(([name]) => name.includes("phone"))?.[1] ?? "";
  at("message").value = drafts.get(open) ?? "";
  (at("answer").hidden ? at("desk") : at("message")).focus();
}

function closed() {
  drafts.delete(open);
  open = null;
  talk = shown = "";
  at("desk-said").hidden = false;
}

// --- What is done ---

async function look() {
  try {
    showLists(await ask(""));
    if (at("status").classList.contains("bad") && at("status").textContent.startsWith("Not connected")) tell("");
  } catch (problem) {
    failed(problem);
  }
}

async function lookAtOpen() {
  if (!open) return;
  try {
    showHandover(await ask(`/${open}`));
  } catch (problem) {
    if (problem.status === 404 || problem.status === 409) leave();
    failed(problem);
  }
}

function leave() {
  at("open").hidden = true;
  at("desk-title").textContent = "No conversation is open";
  closed();
}

async function take(id) {
  agent.name = at("name").value.trim();
  if (!agent.name) {
    tell("Enter your name first; the customer sees it.", true);
    return at("name").focus();
  }
  remember();
  try {
    await ask(`/${id}/take`, { name: agent.name });
    tell("");
    await show(id);
  } catch (problem) {
    failed(problem);
  }
  look();
}

async function show(id) {
  if (open) drafts.set(open, at("message").value);
  open = id;
  talk = "";
  await lookAtOpen();
  look();
}

at("answer").addEventListener("submit", async (event) => {
  event.preventDefault();
  const message = at("message").value.trim();
  if (!message || at("send").disabled) return;
  at("send").disabled = true;
  try {
    // The same words that were not sent go under the same id, so that the customer reads them once.
    const id = at("message").dataset.id || (crypto.randomUUID?.() ?? `a-${Date.now()}-${Math.random().toString(36).slice(2)}`);
    at("message").dataset.id = id;
    showHandover(await ask(`/${open}/messages`, { message, message_id: id }));
    at("message").value = "";
    delete at("message").dataset.id;
    tell("");
  } catch (problem) {
    failed(problem);
  }
  at("send").disabled = false;
  at("message").focus();
});

at("message").addEventListener("input", () => delete at("message").dataset.id);
at("message").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    at("answer").requestSubmit();
  }
});

async function end(body, said) {
  try {
    await ask(`/${open}/close`, body);
    leave();
    tell(said);
    at("desk").focus();
  } catch (problem) {
    failed(problem);
  }
  look();
}

at("resolved").addEventListener("click", () => end({ ended: "resolved" }, "The conversation has ended: resolved."));
at("left").addEventListener("click", () => end({ ended: "abandoned" }, "The conversation has ended: the customer had left."));
at("callback").addEventListener("submit", (event) => {
  event.preventDefault();
  end({ ended: "callback", phone: at("phone").value, when: at("when").value }, "The callback is arranged, and the conversation has ended.");
});

at("name").addEventListener("change", () => {
  agent.name = at("name").value.trim();
  remember();
});

at("sign-in").addEventListener("submit", async (event) => {
  event.preventDefault();
  credentials = { client_id: at("client").value.trim(), client_secret: at("secret").value };
  try {
    await signIn();
    at("secret").value = "";
    at("door-said").textContent = "";
    await look();
    at("name").focus();
  } catch (problem) {
    credentials = null;
    at("door-said").textContent = problem.status ? problem.detail : "Not connected. Try again.";
  }
});

recall();
at("name").value = agent.name;
look();
setInterval(() => at("door").hidden && look(), LIST_MS);
setInterval(() => at("door").hidden && lookAtOpen(), OPEN_MS);
document.addEventListener("visibilitychange", () => document.hidden || !at("door").hidden || look());
