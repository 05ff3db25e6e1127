// What was read out of a call's words beside its scorecard: the customer's sentiment, key phrases, and a mark for each turn.

import { element } from "/dashboards/visuals.js";

const FEELINGS = { POSITIVE: "positive", NEGATIVE: "negative", NEUTRAL: "neutral", MIXED: "mixed" };
const BADGES = { POSITIVE: "pass", NEGATIVE: "fail" };
const READERS = { "amazon-comprehend": "Amazon Comprehend", "local-words-v1": "a list of English words" };
// Of the 136 labelled calls, on 2026-11-23: docs/benchmarks.md.
const WEAK = { "local-words-v1": "The list is weak: of 136 labelled calls it named the customer's sentiment right in 49%; always saying “negative” would be right in 71%. Of each of the three sentiments it finds 43% on average (33% by chance), and it tells a negative call from another with AUC 0.61 (0.5 by chance). Read the call before you believe it." };

const readerOf = (read) => READERS[read.by] ?? read.by;

export function insights(result) {
  if (!result) return [];
  const title = element("h3", { id: "insights-title" }, "How the customer felt, and what the call was about");
  return [element("section", { id: "insights", "aria-labelledby": "insights-title" }, title, ...(result.insights ? found(result.insights) : [
    element("p", {}, "Not known: this call was scored before sentiment and key phrases were read."),
  ]))];
}

function found(read) {
  if (read.failure !== null) {
    const why = read.failure.replaceAll(read.by, readerOf(read));
    return [element("p", {}, element("b", {}, "Could not be read: "), `${why}. The score stands. Reader: ${readerOf(read)}.`)];
  }
  // What a weak reader says is not coloured like a verdict.
  const look = WEAK[read.by] ? "none" : BADGES[read.sentiment] ?? "none";
  const balance = `${read.balance > 0 ? "+" : ""}${read.balance.toFixed(2)}`.replace("-", "−");
  const parts = [element("p", {}, "Sentiment: ", element("span", { class: `badge ${look}` }, FEELINGS[read.sentiment]),
    ` (${balance}, where −1 is negative and +1 positive; the end of the call counts twice as much as its beginning). Read by ${readerOf(read)}.`)];
  if (WEAK[read.by]) parts.push(element("p", { class: "weak" }, WEAK[read.by]));
  if (!read.key_phrases.length) return [...parts, element("p", {}, "No key phrases were found.")];
  return [...parts, element("p", { id: "phrases-title" }, "Key phrases, those of most turns first:"),
    element("ul", { class: "phrases", "aria-labelledby": "phrases-title" }, ...read.key_phrases.map((phrase) => element("li", {}, phrase)))];
}

// The mark beside a turn, or nothing where nobody read it.
export function marks(result) {
  const quiet = WEAK[result?.insights?.by] ? " weak" : "";
  const felt = new Map((result?.insights?.turns ?? []).map((one) => [one.turn, one.sentiment]));
  return (turn) => (felt.has(turn) ? element("span", { class: `felt ${FEELINGS[felt.get(turn)]}${quiet}` }, FEELINGS[felt.get(turn)]) : null);
}
