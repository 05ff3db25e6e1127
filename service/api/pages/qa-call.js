// One call: its criteria, a form for each to confirm or correct the verdict, and the redacted transcript. What the model says of a
// criterion shows after the person's verdict, or when they ask for it, except of the criterion whose failures led here.

import { element } from "/dashboards/visuals.js";
import { fullDayText } from "/dashboards/words.js";
import { insights, marks } from "./qa-insights.js";
import { ask } from "./qa.js";

const at = (id) => document.getElementById(id);
const VERDICTS = { yes: "Yes", no: "No", na: "Does not apply" };
const BADGES = { yes: "pass", no: "fail", na: "none" };
const WHO = { agent: "Agent", customer: "Customer", system: "System", unknown: "Speaker unknown" };
const FLOOR = "local.scorecard-keywords-"; // it matches words, no model reads the call
const EVIDENCE = {
  verified: "", none: "The model quotes nothing for this verdict.",
  unverified: "The model's quote does not stand in the transcript: do not trust it.", missing: "The model quotes nothing, where a quote is needed.",
};

function clock(seconds) {
  const whole = Math.floor(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

export async function showCall(callId, criterion, back) {
  const [call, transcript] = await Promise.all([ask(`/v1/calls/${callId}`), ask(`/v1/calls/${callId}/transcript`)]);
  const leave = element("button", { type: "button", class: "quiet" }, "← Back to the figures");
  leave.addEventListener("click", back);
  const facts = call.call;
  const day = facts.call_date.slice(0, 10);
  const who = call.result?.source;
  const said = [who?.agent_id && `agent ${who.agent_id}`, who?.queue && `group ${who.queue}`, facts.form_id && `form ${facts.form_id}, version ${facts.form_version}`].filter(Boolean);
  const score = facts.percentage === null ? [] : [element("details", {}, element("summary", {}, "Score"), element("p", {}, `${facts.percentage.toFixed(1)}%, ${facts.passed ? "passed" : "failed"}`))];
  at("call").replaceChildren(leave, element("h2", { id: "call-title" }, `Call of ${fullDayText(day)}, ${facts.call_date.slice(11, 16)} UTC`),
    element("p", { class: "question" }, `${said.join("; ")}. ${callId}`), ...score, ...reviews(call), ...insights(call.result),
    element("div", { class: "desk" }, words(transcript, marks(call.result)), scorecard(call, criterion)));
  at("call").querySelector(".criterion.asked .play")?.click();
}

function reviews(call) {
  if (!call.result?.review?.length) return [];
  return [element("p", { class: "notice" }, element("b", {}, "A person should look at this call."), `Why: ${call.result.review.join(", ").replaceAll("_", " ")}.`)];
}

// --- What was said ---

function words(transcript, mark) {
  const take = (turn) => {
    const button = element("button", { type: "button", class: "take" }, "quote this");
    button.addEventListener("click", () => quote(turn));
    return button;
  };
  const turns = transcript.turns.map((turn, index) => element("li", { class: turn.speaker, "data-turn": index, tabindex: "-1" },
    element("div", { class: "when" }, element("small", {}, `${clock(turn.start_s)}, ${WHO[turn.speaker]}`), mark(index), take(turn)), element("span", { class: "said" }, turn.text)));
  return element("section", { id: "transcript", "aria-labelledby": "transcript-title", tabindex: "0" }, element("h3", { id: "transcript-title" }, "Transcript"),
    element("p", { class: "hint" }, transcript.kept ? "Personal data was taken out where it was found. Times are positions in the recording." : "The transcript is no longer kept, or the call was never heard."),
    element("ol", { class: "turns" }, ...turns));
}

// The words that prove a corrected yes go into its reason: the selected ones of the turn, or the whole turn.
let taking = null;

function offerQuotes(field) {
  taking = field;
  at("transcript").classList.toggle("taking", Boolean(field));
}

function quote(turn) {
  const chosen = String(getSelection()).trim().replace(/\s+/g, " ");
  const words = chosen && turn.text.replace(/\s+/g, " ").includes(chosen) ? chosen : turn.text.trim();
  taking.value = `${taking.value} “${words}” (${clock(turn.start_s)})`.trim();
  taking.focus();
}

// Marks the quote in its turn, and the whole turn where the words are not found there as they stand.
function highlight(turn, quote) {
  for (const item of at("call").querySelectorAll(".turns li")) {
    item.classList.remove("chosen");
    const text = item.querySelector(".said");
    text.replaceChildren(text.textContent);
  }
  const item = at("call").querySelector(`[data-turn="${turn}"]`);
  if (!item) return null;
  const text = item.querySelector(".said");
  const whole = text.textContent;
  const pattern = quote.trim().split(/\s+/).map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replace(/['’]/g, "['’]").replace(/[-–—]/g, "[-–—]")).join("\\s+");
  const found = quote.trim() ? new RegExp(pattern, "i").exec(whole) : null;
  if (found) text.replaceChildren(whole.slice(0, found.index), element("mark", {}, found[0]), whole.slice(found.index + found[0].length));
  else item.classList.add("chosen");
  return item;
}

// --- What was scored ---

function scorecard(call, asked) {
  const found = call.result?.qa_evaluation;
  const title = element("h3", { id: "scores-title" }, "Scorecard");
  if (!found) {
    const why = call.call.failure ?? (call.result ? "the model's answer could not be used" : "it is not scored yet, or its result is no longer kept");
    return element("section", { "aria-labelledby": "scores-title" }, title, element("p", { class: "notice" }, `This call has no scorecard: ${why}.`));
  }
  const said = new Map(call.overrides.map((one) => [one.criterion, one]));
  const first = [...found.criteria].sort((one, other) => Number(other.id === asked) - Number(one.id === asked));
  return element("section", { "aria-labelledby": "scores-title" }, title,
    showAll(), element("p", { class: "hint" }, "Give your verdict; then you see the scorer's. Its score stays as it is, your verdict stands beside it and counts in the figures."),
    ...(scorer(call) === MODEL ? [] : [element("p", { class: "notice" }, "These verdicts are the floor's: it looks for the criteria's words, and no model read the call.")]),
    ...first.map((item) => criterionOf(call.call.call_id, item, said.get(item.id), item.id === asked, scorer(call))));
}

function showAll() {
  const button = element("button", { type: "button", class: "quiet" }, "Show all verdicts");
  button.addEventListener("click", () => {
    for (const part of at("call").querySelectorAll("[data-part=scorer]")) part.hidden = false;
    for (const form of at("call").querySelectorAll(".criterion form")) form.dispatchEvent(new Event("change"));
    button.remove();
  });
  return button;
}

const MODEL = "model";
const scorer = (call) => (call.result.scored_by.model.startsWith(FLOOR) ? "floor" : MODEL);
const badge = (verdict) => element("span", { class: `badge ${BADGES[verdict] ?? "none"}` }, VERDICTS[verdict] ?? "No verdict");

function criterionOf(callId, item, standing, asked, by) {
  const state = { edit: standing?.edit ?? 0 };
  const person = element("p", { "data-part": "person" });
  const box = element("section", { class: `criterion${asked ? " asked" : ""}`, "aria-labelledby": `criterion-${item.id}`, "data-criterion": item.id },
    element("h4", { id: `criterion-${item.id}` }, item.question, item.required ? element("small", {}, " (required)") : null),
    element("div", { "data-part": "scorer", hidden: asked || standing ? null : "" }, element("p", {}, by === MODEL ? "Model: " : "Floor: ", badge(item.verdict), item.reason ? ` ${item.reason}` : ""), ...evidence(item, by)), person);
  tellPerson(person, standing);
  box.append(overrideForm(callId, item, standing, state, box, by));
  return box;
}

function evidence(item, by) {
  const parts = [];
  if (item.quote && item.evidence === "verified" && item.turn !== null) {
    const play = element("button", { type: "button", class: "play" }, item.start_s === null ? "show in the transcript" : `at ${clock(item.start_s)}, show in the transcript`);
    play.addEventListener("click", () => highlight(item.turn, item.quote)?.scrollIntoView({ block: "nearest" }));
    parts.push(element("blockquote", {}, `“${item.quote}” `, element("small", {}, `${WHO[item.speaker] ?? ""} `), play));
  } else if (item.quote) parts.push(element("blockquote", {}, `“${item.quote}”`));
  if (EVIDENCE[item.evidence]) parts.push(element("p", { class: "hint" }, EVIDENCE[item.evidence].replaceAll("model", by)));
  return parts;
}

function tellPerson(place, standing) {
  place.replaceChildren(...(standing ? ["Person: ", badge(standing.verdict), ` ${standing.who}, ${fullDayText(standing.at.slice(0, 10))}${standing.reason ? `: ${standing.reason}` : ""}`] : []));
}

function overrideForm(callId, item, standing, state, box, by) {
  const name = `verdict-${item.id}`;
  const person = box.querySelector("[data-part=person]");
  const scored = box.querySelector("[data-part=scorer]");
  const chosen = standing?.verdict ?? (scored.hidden ? null : item.verdict);
  const radios = Object.entries(VERDICTS).map(([value, label]) => {
    const radio = element("input", { type: "radio", name, value, required: "" });
    radio.checked = value === chosen;
    return element("label", {}, radio, label);
  });
  const reason = element("input", { type: "text", id: `reason-${item.id}`, maxlength: "2000", autocomplete: "off" });
  const send = element("button", { type: "submit" });
  const said = element("p", { role: "status" });
  const form = element("form", {}, element("fieldset", {}, element("legend", {}, "Your verdict"), ...radios),
    element("div", {}, element("label", { for: reason.id }, "Why (without names or numbers)"), reason), send, said);
  const picked = () => form.querySelector("input[type=radio]:checked")?.value;
  const word = () => { send.textContent = scored.hidden ? "Keep my verdict" : picked() === item.verdict ? `Confirm the ${by}'s verdict` : "Correct the verdict"; };
  word();
  form.addEventListener("change", () => {
    word();
    offerQuotes(picked() === "yes" && (scored.hidden || item.verdict !== "yes") ? reason : null);
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    send.disabled = true;
    tell(said, "Saving…");
    try {
      const kept = await ask(`/v1/calls/${callId}/criteria/${encodeURIComponent(item.id)}/override`,
        { method: "PUT", body: JSON.stringify({ edit: state.edit, verdict: picked(), reason: reason.value.trim() }) });
      state.edit = kept.edit;
      tellPerson(person, kept);
      reason.value = "";
      scored.hidden = false;
      word();
      offerQuotes(null);
      tell(said, kept.agrees ? `Kept: you confirmed the ${by}.` : "Kept: your verdict stands. The figures follow within minutes.", "good");
    } catch (problem) {
      await refused(problem, callId, item, state, person, said);
    }
    send.disabled = false;
  });
  return form;
}

// Somebody else was faster: show what they said, and keep what was typed.
async function refused(problem, callId, item, state, person, said) {
  if (problem.code !== "OVERRIDE_CHANGED") return tell(said, `Not kept. ${problem.detail}`, "bad");
  const now = await ask(`/v1/calls/${callId}`).catch(() => null);
  const standing = now?.overrides.find((one) => one.criterion === item.id);
  if (standing) {
    state.edit = standing.edit;
    tellPerson(person, standing);
  }
  return tell(said, "Not kept: somebody else was faster. Read their verdict above, then send yours again if it differs.", "bad");
}

function tell(place, text, how = "") {
  place.textContent = text;
  place.className = how;
}
