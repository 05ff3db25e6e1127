// The chat page: one conversation, whose name and token stand in the address behind the #, and then in this tab's memory.
// What the customer has written is kept in the tab until it is answered, and sent again under the same id after an interruption.

import { ask as send } from "/dashboards/gateway.js";

const at = (id) => document.getElementById(id);
const KEPT = "conversation";
const AGAIN_MS = [1000, 2000, 4000, 8000, 15000];
const LOOK_MS = 10000;
const PHONE = /(\+?\d(?:[ ().-]{0,2}\d){4,14})/;
const WHO = { customer: "You", assistant: "AI assistant" };
const room = { task: null, conversation: null, token: null, unsent: [], state: "open" };
let sending = false;
let following = false;
let missed = false; // something was said while a message was under way
let person = null;

function remember() {
  sessionStorage.setItem(KEPT, JSON.stringify({ ...room }));
}

function recall() {
  const given = new URLSearchParams(location.hash.slice(1));
  let kept = {};
  try {
    kept = JSON.parse(sessionStorage.getItem(KEPT)) ?? {};
  } catch {
    // nothing of ours
  }
  if (given.has("task")) {
    history.replaceState(null, "", location.pathname); // a token does not stay in the address bar
    const same = kept.task === given.get("task") && (kept.conversation === given.get("conversation") || !given.has("conversation"));
    kept = same ? { ...kept, token: given.get("token") ?? kept.token } : Object.fromEntries(given);
  }
  for (const name of Object.keys(room)) if (kept[name] != null) room[name] = kept[name];
}

async function ask(path, options = {}) {
  const headers = { ...(options.headers ?? {}), ...(room.token ? { authorization: `Bearer ${room.token}` } : {}) };
  const answer = await send(`/v1/${encodeURIComponent(room.task)}/conversations${path}`, { ...options, headers });
  if (answer.ok) {
    const renewed = answer.headers.get("conversation-token");
    if (renewed && renewed !== room.token) {
      room.token = renewed;
      remember();
    }
    return answer;
  }
  const body = await answer.json().catch(() => ({}));
  throw { status: answer.status, detail: body.detail ?? "" };
}

const posted = (body, accept) => ({
  method: "POST", body: JSON.stringify(body), headers: { "content-type": "application/json", accept },
});

// --- What is shown ---

// A phone number stays on one line; the text that is copied is the one that was said.
function unbroken(text) {
  return text.split(PHONE).map((part, place) => {
    if (place % 2 === 0) return part;
    const number = document.createElement("span");
    number.className = "number";
    number.textContent = part;
    return number;
  });
}

function bubble(by, text, note = "") {
  const item = document.createElement("li");
  const who = document.createElement("b");
  item.className = by;
  who.textContent = WHO[by] ?? person ?? "Our team";
  item.append(who, ...unbroken(text));
  if (note) {
    const small = document.createElement("small");
    small.textContent = note;
    item.append(small);
  }
  return item;
}

function toEnd() {
  at("log").scrollTop = at("log").scrollHeight;
}

function add(item) {
  at("said").append(item);
  toEnd();
}

function tell(text, bad = false) {
  at("status").textContent = text;
  at("status").classList.toggle("bad", bad);
}

function showState(state, notice) {
  room.state = state;
  at("notice").textContent = notice ?? "";
  at("notice").hidden = !notice;
  at("disclosure").textContent = state === "handed_over" || person
    ? "You were talking to an AI assistant. It is silent now."
    : "You are talking to an AI assistant. You can ask for a person at any time.";
  at("form").hidden = state === "closed";
  at("again").hidden = state !== "closed" || Boolean(room.token);
  if (state !== "handed_over" || person) showPlace(null);
  if (state === "closed") tell("This conversation has ended.");
  if (state === "handed_over") follow();
}

function showPlace(queue) {
  at("queue").hidden = !queue;
  if (queue && at("queue").textContent !== queue.message) at("queue").textContent = queue.message;
}

function showAll(answer) {
  person = answer.person;
  const unsent = new Set(room.unsent.map((each) => each.id));
  const shown = answer.said.filter((each) => !(each.by === "customer" && unsent.has(each.message_id)));
  at("said").replaceChildren(
    ...shown.map((each) => bubble(each.by, each.text)),
    ...room.unsent.map((each) => bubble("customer", each.text, "not answered yet")),
  );
  toEnd();
  showState(answer.state, answer.notice);
  showPlace(answer.queue);
}

// --- What is done ---

async function open() {
  if (!room.task) return refuse("This page needs a link to a conversation. Please go back to where you found it.");
  try {
    if (room.conversation) showAll(await (await ask(`/${room.conversation}`)).json());
    else await start();
  } catch (problem) {
    if (problem.status === 404 && !room.token) return start();
    if (problem.status) return refuse("This conversation has ended or the link is no longer good. Please ask for a new one.");
    tell("Not connected. Trying again…", true);
    return setTimeout(open, AGAIN_MS[2]);
  }
  at("message").focus();
  return deliver();
}

async function start() {
  const answer = await (await ask("", posted({}, "application/json"))).json();
  Object.assign(room, { conversation: answer.conversation_id, token: answer.token, unsent: [] });
  remember();
  showAll(answer);
}

function refuse(text) {
  at("form").hidden = true;
  tell(text, true);
}

at("form").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = at("message").value.trim();
  if (!text) return;
  at("message").value = "";
  room.unsent.push({ id: crypto.randomUUID ? crypto.randomUUID() : `m-${Date.now()}-${Math.random().toString(36).slice(2)}`, text });
  remember();
  add(bubble("customer", text));
  deliver();
});

at("message").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    at("form").requestSubmit();
  }
});

at("new").addEventListener("click", () => {
  Object.assign(room, { conversation: null, token: null, unsent: [] });
  tell("");
  open();
});

async function deliver() {
  if (sending) return;
  sending = true;
  for (let tries = 0; room.unsent.length > 0; ) {
    const { id, text } = room.unsent[0];
    tell(room.state === "handed_over" ? "Sending…" : "The assistant is writing…");
    try {
      const answer = await turn(id, text);
      room.unsent.shift();
      remember();
      tries = 0;
      if (answer.reply !== null) add(bubble("assistant", answer.reply));
      tell("");
      showState(answer.state, answer.notice);
    } catch (problem) {
      if ([401, 403, 404].includes(problem.status)) {
        refuse("This conversation has ended or the link is no longer good. Please ask for a new one."); // what was written stays
        break;
      }
      if (problem.status && problem.status < 500 && problem.status !== 429) {
        room.unsent.shift(); // it will never be taken
        remember();
        tell(problem.detail, true);
        continue;
      }
      tell(problem.status ? "One moment, please…" : "Not connected. Your message is kept and sent again.", !problem.status);
      await new Promise((done) => setTimeout(done, AGAIN_MS[Math.min(tries++, AGAIN_MS.length - 1)]));
    }
  }
  sending = false;
  if (missed) look();
}

async function turn(id, text) {
  const answer = await ask(`/${room.conversation}/messages`, posted({ message: text, message_id: id }, "text/event-stream"));
  for await (const [name, data] of events(answer.body)) {
    if (name === "tool") tell("Looking it up…");
    if (name === "reply" || name === "handover") return data;
    if (name === "problem") throw { status: data.status, detail: data.detail };
  }
  throw { status: 0, detail: "the answer broke off" };
}

async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const name = /^event: (.*)$/m.exec(block)?.[1];
      if (name) yield [name, JSON.parse(/^data: (.*)$/m.exec(block)?.[1] ?? "null")];
    }
  }
}

// From the handover on, the service tells the place in the queue, who takes over, and what that person says.
async function follow() {
  if (following) return;
  following = true;
  for (let tries = 0; room.state === "handed_over"; ) {
    try {
      const answer = await ask(`/${room.conversation}`, { headers: { accept: "text/event-stream" } });
      for await (const [name, data] of events(answer.body)) {
        tries = 0;
        if (name === "queue") showPlace(data);
        else if (name === "conversation" && sending) missed = true;
        else if (name === "conversation") showAll(data);
      }
    } catch (problem) {
      if ([401, 403, 404].includes(problem.status)) break; // the next message says so
    }
    await new Promise((done) => setTimeout(done, AGAIN_MS[Math.min(tries++, AGAIN_MS.length - 1)]));
  }
  following = false;
}

// Another tab or channel, or a tab that slept, may have missed what was said.
async function look() {
  if (sending || !room.conversation || (!missed && (following || document.hidden))) return;
  missed = false;
  try {
    const answer = await (await ask(`/${room.conversation}`)).json();
    if (!sending && (answer.state !== room.state || answer.said.length !== at("said").children.length)) showAll(answer);
  } catch {
    // the next look, or the next message, says so
  }
}

setInterval(look, LOOK_MS);
document.addEventListener("visibilitychange", look);
new ResizeObserver(toEnd).observe(at("log")); // a notice above it, or a phone's keyboard, leaves it less room
recall();
remember();
open();
