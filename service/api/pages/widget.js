// <omni-summary>: the summary of a customer's contacts, with feedback, for any page of an agent desktop.
//
//   <script type="module" src="https://omni.example.com/widget.js"></script>
//   <omni-summary account-number="1234567890" contact-id="abc-123-xyz"></omni-summary>
//
// The page sets the property `token` (from POST /account-token); when a new one is needed, the element fires `omni-token-needed`.
// Text is never made into markup, nothing is kept when the page is left, and the token stands in no address and no attribute.

const AGAIN_MS = [1000, 2000, 4000, 8000]; // the waits before another try; then a person decides
const SLOW_MS = 4000; // from here on the page says that it takes long
const SILENT_MS = 20000; // no byte for so long: the connection counts as broken
const LATER = new Set([429, 503, 504]); // worth trying again without a change
const HOME = new URL(".", import.meta.url).href; // with the path of a stage, if a gateway has one

const STYLE = new CSSStyleSheet();
STYLE.replaceSync(`
  :host { display: block; container-type: inline-size; font: 15px/1.5 system-ui, sans-serif; overflow-wrap: anywhere;
    --back: light-dark(#fff, #1d2226); --text: light-dark(#1d2327, #e4e8ea); --soft: light-dark(#545e66, #a6b0b8);
    --line: light-dark(#dcdfe1, #343b41); --edge: light-dark(#7d878e, #77828a); --accent: light-dark(#2b6390, #83b9e3);
    --on-accent: light-dark(#fff, #15191c); --open: light-dark(#7d5200, #edc06a); --open-back: light-dark(#fdf3dc, #382d14);
    --bad: light-dark(#b02a30, #ff9a93); --bad-back: light-dark(#fbe9e8, #3b2020); --good: light-dark(#1f6f43, #7fcf9f); }
  :host([hidden]), [hidden] { display: none !important; }
  * { box-sizing: border-box; }
  section { background: var(--back); color: var(--text); border: 1px solid var(--line); border-radius: 8px; padding: .8rem 1rem; }
  h2 { font-size: 1.05rem; margin: 0; } p { margin: .35rem 0; }
  header { display: flex; flex-wrap: wrap; gap: .1rem .8rem; align-items: baseline; justify-content: space-between; }
  #facts, #hint, label, legend { color: var(--soft); font-size: .86rem; }
  #text { white-space: pre-wrap; margin: .6rem 0; max-width: 80ch; }
  #text:empty { display: none; } #text.draft { color: var(--soft); border-left: 3px solid var(--line); padding-left: .7rem; }
  #text.draft::after { content: " ▍"; } #text.cut::after { content: " …"; }
  .notice { border-left: 4px solid var(--open); background: var(--open-back); padding: .45rem .7rem; border-radius: 4px; }
  .notice.bad { border-color: var(--bad); background: var(--bad-back); }
  #status { min-height: 1.4em; margin: .35rem 0 0; color: var(--soft); font-size: .88rem; }
  #status.good { color: var(--good); } #status.bad { color: var(--bad); }
  .bar { height: .8em; border-radius: 4px; background: var(--line); margin: .55rem 0; }
  .bar:nth-child(2) { width: 92%; } .bar:nth-child(3) { width: 60%; }
  @media (prefers-reduced-motion: no-preference) { .bar { animation: pulse 1.4s ease-in-out infinite alternate; } }
  @keyframes pulse { to { opacity: .45; } }
  fieldset { border: 0; margin: 0; padding: 0; display: flex; flex-wrap: wrap; gap: .4rem .6rem; align-items: center; }
  legend { padding: 0; margin-bottom: .3rem; }
  form { margin-top: .6rem; display: grid; gap: .3rem; max-width: 80ch; } #editor { display: grid; gap: .3rem; margin-top: .4rem; }
  .row { display: flex; flex-wrap: wrap; gap: .5rem; margin-top: .3rem; }
  button, textarea { font: inherit; color: var(--text); background: var(--back); border: 1px solid var(--edge); border-radius: 6px; padding: .35rem .8rem; }
  button { cursor: pointer; min-height: 2.4rem; color: var(--accent); font-weight: 600; }
  button[aria-pressed=true], button.main { background: var(--accent); border-color: var(--accent); color: var(--on-accent); }
  textarea { width: 100%; resize: vertical; } #again { margin-top: .4rem; }
  :focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
  @container (max-width: 30rem) { section { padding: .7rem; } fieldset button { flex: 1 1 8rem; } }
  @media print { #feedback, #again { display: none; } }
`);

const wait = (ms) => new Promise((done) => setTimeout(done, ms));

function made(name, fields = {}, ...inner) {
  const node = Object.assign(document.createElement(name), fields);
  node.append(...inner);
  return node;
}

/** An answer that is no success: the problem's fields, with status 0 where nothing, or only a part, came. */
class Refused extends Error {
  constructor(status, { detail = "", code = "", request_id = "", retryAfterS = 0 } = {}) {
    super(detail);
    Object.assign(this, { status, code, requestId: request_id, retryAfterS });
  }
}

/** Yield the server-sent events of a body as [name, data]; refuses a body that is silent for too long. */
async function* eventsOf(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      let timer;
      const silent = new Promise((_, fail) => { timer = setTimeout(() => fail(new Refused(0)), SILENT_MS); });
      const { done, value } = await Promise.race([reader.read(), silent]).finally(() => clearTimeout(timer));
      if (done) return;
      const blocks = (rest + value).replaceAll("\r\n", "\n").split("\n\n");
      rest = blocks.pop();
      for (const block of blocks) {
        const lines = block.split("\n");
        const data = lines.filter((line) => line.startsWith("data:")).map((line) => line.slice(5).trimStart()).join("\n");
        const name = lines.find((line) => line.startsWith("event:"))?.slice(6).trim();
        if (data) yield [name, JSON.parse(data)];
      }
    }
  } finally {
    reader.cancel().catch(() => {}); // it may be broken already
  }
}

class OmniSummary extends HTMLElement {
  static observedAttributes = ["account-number", "contact-id", "initial-contact-id", "ivr-intent", "endpoint"];
  #token = null;
  #lacking = false; // the token was for another account: ask for one, not the service
  #running = null; // aborts what is being asked
  #result = null;
  #verdict = null;
  #unsent = []; // feedback that the service has not confirmed
  #sending = false;
  #planned = false;
  #at = {};

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [STYLE];
    root.append(this.#build());
    for (const node of root.querySelectorAll("[id]")) this.#at[node.id] = node;
    this.#at.again.addEventListener("click", () => { this.#at.title.focus(); this.reload(); });
    for (const verdict of ["helpful", "not_helpful"]) this.#at[verdict].addEventListener("click", () => this.#rate(verdict));
    this.#at.edit.addEventListener("click", () => this.#edit(true));
    this.#at.cancel.addEventListener("click", () => this.#edit(false));
    this.#at.details.addEventListener("submit", (event) => { event.preventDefault(); this.#sendDetails(); });
  }

  #build() {
    const button = (id, text, fields = {}) => made("button", { id, type: "button", textContent: text, ...fields });
    const title = made("h2", { id: "title", textContent: "Customer summary", tabIndex: -1 });
    const status = made("p", { id: "status" });
    status.setAttribute("role", "status");
    const rating = made("fieldset", {}, made("legend", { textContent: "Did this summary help?" }), button("helpful", "Helpful"), button("not_helpful", "Not helpful"));
    for (const each of rating.querySelectorAll("button")) each.setAttribute("aria-pressed", "false");
    const details = made("form", { id: "details", hidden: true },
      made("label", { htmlFor: "comment", textContent: "What should we know? (optional)" }),
      made("textarea", { id: "comment", rows: 2, maxLength: 2000 }),
      made("div", { id: "editor", hidden: true },
        made("label", { htmlFor: "edited", textContent: "What the summary should say" }),
        made("textarea", { id: "edited", rows: 5, maxLength: 4000 })),
      made("div", { className: "row" }, button("send", "Send", { type: "submit", className: "main" }),
        button("edit", "Correct the summary"), button("cancel", "Leave it as it is", { hidden: true })));
    const skeleton = made("div", { id: "skeleton", hidden: true }, ...[1, 2, 3].map(() => made("div", { className: "bar" })));
    skeleton.setAttribute("aria-hidden", "true");
    const section = made("section", { id: "box" },
      made("header", {}, title, made("span", { id: "facts" })),
      made("p", { id: "notice", className: "notice", hidden: true }), skeleton, made("div", { id: "text" }),
      button("again", "Try again", { hidden: true }),
      made("div", { id: "feedback", hidden: true }, rating, details), status);
    section.setAttribute("aria-labelledby", "title");
    return section;
  }

  connectedCallback() { this.#plan(); }

  disconnectedCallback() { this.#running?.abort(); }

  attributeChangedCallback(name, before, now) {
    if (before === now) return;
    if (name === "account-number" && before !== null && this.#token) {
      this.#token = null;
      this.#lacking = true;
    }
    this.#plan();
  }

  /** The bearer token, of the account that the element names; a new one starts what waited for it. Never readable from outside. */
  set token(text) {
    this.#token = text || null;
    this.#lacking &&= !text;
    // Feedback on an earlier customer goes with that customer's token.
    for (const item of this.#unsent) if (item.account === this.getAttribute("account-number")) item.token = this.#token;
    this.#deliver();
    if (!this.#result || this.state === "expired") this.#plan();
  }

  /** idle, loading, streaming, interrupted, limited, ready, cached, degraded, empty, expired or error. */
  get state() { return this.getAttribute("state") ?? "idle"; }

  /** Ask for the summary again. */
  reload() { this.#plan(); }

  #plan() {
    // Attributes and token are often set one after the other: ask once for all of them.
    if (this.#planned) return;
    this.#planned = true;
    queueMicrotask(() => { this.#planned = false; if (this.isConnected) this.#load(); });
  }

  // --- What is shown ---

  #show(state, { status = "", notice = "", bad = false, again = false } = {}) {
    const at = this.#at;
    const writing = ["loading", "streaming", "interrupted", "limited"].includes(state);
    at.notice.textContent = notice;
    at.notice.hidden = !notice;
    at.notice.classList.toggle("bad", bad);
    at.skeleton.hidden = state !== "loading";
    at.text.classList.toggle("draft", writing);
    at.text.classList.toggle("cut", state === "interrupted" || (state === "error" && at.text.textContent !== ""));
    at.box.setAttribute("aria-busy", String(writing));
    at.again.hidden = !again;
    at.feedback.hidden = !this.#result || state === "empty";
    this.#say(status);
    if (state === this.state && state === "streaming") return;
    this.setAttribute("state", state);
    this.#tell("omni-state", { state });
  }

  #say(text, kind = "") {
    this.#at.status.className = kind;
    if (this.#at.status.textContent !== text) this.#at.status.textContent = text;
  }

  #tell(name, detail) { this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true, composed: true })); }

  #clear() {
    const at = this.#at;
    this.#result = this.#verdict = null;
    at.text.textContent = at.facts.textContent = at.comment.value = at.edited.value = "";
    at.details.hidden = true;
    this.#edit(false);
    this.#press(null);
  }

  #showResult(result) {
    this.#result = result;
    this.#at.text.textContent = result.summary;
    const found = result.interactions_considered;
    const facts = [`${found} ${found === 1 ? "interaction" : "interactions"}`, result.date_range];
    if (!result.degraded) facts.push(`${result.pair} ${result.prompt_version}`);
    this.#at.facts.textContent = found ? facts.filter(Boolean).join(" · ") : "";
    if (!found) {
      this.#at.text.textContent = "";
      this.#show("empty", { notice: `No earlier contacts in the last ${result.max_history_days} days.`, status: "There is nothing to summarise." });
    } else if (result.degraded) {
      this.#show("degraded", { status: "Summary ready.", notice: "No model answered in time. These are statements taken from the customer's history." });
    } else if (result.cache_hit) {
      this.#show("cached", { status: "Summary ready.", notice: "This summary was written a few minutes ago. The history has not changed since." });
    } else this.#show("ready", { status: "Summary ready." });
    this.#tell("omni-summary", { request_id: result.request_id, pair: result.pair, degraded: result.degraded, cache_hit: result.cache_hit });
  }

  // --- Asking ---

  async #load() {
    this.#running?.abort();
    const running = (this.#running = new AbortController());
    this.#clear();
    if (!this.getAttribute("account-number") || !this.getAttribute("contact-id")) {
      this.#show("idle", { status: "The summary appears when a contact is open." });
      return;
    }
    this.#show("loading", { status: "Reading the customer's history…" });
    if (this.#lacking) {
      setTimeout(() => this.#lacking && !running.signal.aborted && this.#fail(new Refused(401)), SLOW_MS);
      this.#tell("omni-token-needed", {});
      return;
    }
    const slow = setTimeout(() => this.state === "loading" && this.#say("Still working. A long history takes a few seconds more."), SLOW_MS);
    try {
      await this.#askUntilAnswered(running.signal);
    } catch (problem) {
      if (!running.signal.aborted) this.#fail(problem);
    } finally {
      clearTimeout(slow);
    }
  }

  async #askUntilAnswered(signal) {
    for (let tries = 0; ; tries++) {
      try {
        const result = await this.#ask(signal);
        if (!signal.aborted) this.#showResult(result);
        return;
      } catch (problem) {
        if (signal.aborted) return;
        const worth = problem.status === 0 || LATER.has(problem.status);
        if (!worth || tries === AGAIN_MS.length) throw problem;
        await this.#pause(problem, AGAIN_MS[tries], signal);
        if (signal.aborted) return;
      }
    }
  }

  async #pause(problem, ms, signal) {
    const seconds = Math.max(problem.retryAfterS, Math.round(ms / 1000));
    const state = problem.status === 0 ? "interrupted" : "limited";
    const notice = problem.status === 0
      ? this.#at.text.textContent ? "The connection broke off. What has arrived is incomplete." : "The service cannot be reached."
      : problem.status === 429 ? "Too many requests just now." : "The service is busy.";
    this.#show(state, { notice, status: "Trying again soon." });
    for (let left = seconds; left > 0 && !signal.aborted; left--) {
      this.#at.notice.textContent = `${notice} Trying again in ${left} s.`;
      await wait(1000);
    }
    if (!signal.aborted) this.#at.notice.textContent = `${notice} Trying again…`;
  }

  #request(path, body, signal, accept = "application/json", token = this.#token) {
    const headers = { "content-type": "application/json", accept };
    if (token) headers.authorization = `Bearer ${token}`;
    if (this.hasAttribute("gateway-key")) headers["x-api-key"] = this.getAttribute("gateway-key");
    const url = `${(this.getAttribute("endpoint") ?? HOME).replace(/\/$/, "")}${path}`;
    return fetch(url, { method: "POST", body: JSON.stringify(body), headers, signal, cache: "no-store", credentials: "same-origin", referrerPolicy: "no-referrer" });
  }

  async #answered(path, body, signal, accept, token) {
    const head = new AbortController(); // the limit is for the head of the answer: a stream may go on for longer
    const timer = setTimeout(() => head.abort(), SILENT_MS);
    let answer;
    try {
      answer = await this.#request(path, body, AbortSignal.any(signal ? [signal, head.signal] : [head.signal]), accept, token);
    } catch {
      throw new Refused(0, { detail: "the service cannot be reached" });
    } finally {
      clearTimeout(timer);
    }
    if (answer.ok) return answer;
    const problem = await answer.json().catch(() => ({}));
    throw new Refused(answer.status, { ...problem, retryAfterS: Number(answer.headers.get("retry-after")) || 0 });
  }

  async #ask(signal) {
    const given = { account_number: "account-number", contact_id: "contact-id", initial_contact_id: "initial-contact-id", ivr_intent: "ivr-intent" };
    const body = Object.fromEntries(Object.entries(given).map(([field, name]) => [field, this.getAttribute(name)]).filter(([, value]) => value));
    const answer = await this.#answered("/omni-channel-insights", body, signal, "text/event-stream");
    try {
      if (!(answer.headers.get("content-type") ?? "").startsWith("text/event-stream")) return await answer.json();
      return await this.#follow(answer.body, signal);
    } catch (problem) {
      throw problem instanceof Refused ? problem : new Refused(0, { detail: "the answer broke off" });
    }
  }

  async #follow(body, signal) {
    let text = "";
    for await (const [name, data] of eventsOf(body)) {
      if (signal.aborted) throw new Refused(0);
      if (name === "text") {
        text += data.text;
        this.#at.text.textContent = text; // replaces what an earlier try left
        this.#show("streaming", { status: "Being written. Not checked yet." });
      } else if (name === "problem") throw new Refused(data.status, data);
      else if (name === "result") return data;
      else if (name === "verdict" && !data.accepted) this.#at.text.textContent = text = "";
    }
    throw new Refused(0, { detail: "the answer broke off" });
  }

  #fail(problem) {
    if (problem.status === 401) {
      this.#show("expired", { notice: this.#token ? "Your access to summaries has expired." : "Summaries need a sign-in.", status: "Sign in to see the summary.", bad: true, again: true });
      this.#tell("omni-token-needed", {});
      return;
    }
    const reasons = {
      0: "The service cannot be reached. Check the network, then try again.",
      403: "You may not see summaries of this customer.",
      422: "The contact's details are not valid.",
      429: "Too many requests. Wait a moment, then try again.",
      502: "The summary did not pass its checks and is not shown.",
    };
    const notice = reasons[problem.status] ?? "The summary is not available just now.";
    const named = [problem.code, problem.requestId].filter(Boolean).join(", ");
    if (problem.status !== 0) this.#at.text.textContent = "";
    this.#show("error", { notice, bad: true, again: ![403, 422].includes(problem.status), status: named ? `For support: ${named}` : "" });
  }

  // --- Feedback ---

  #press(verdict) {
    this.#verdict = verdict;
    for (const each of ["helpful", "not_helpful"]) this.#at[each].setAttribute("aria-pressed", String(each === verdict));
  }

  #rate(verdict) {
    this.#press(verdict);
    this.#at.details.hidden = false;
    this.#queue({});
  }

  #edit(open) {
    const at = this.#at;
    const was = !at.editor.hidden;
    at.editor.hidden = at.cancel.hidden = !open;
    at.edit.hidden = open;
    if (open && !at.edited.value) at.edited.value = this.#result?.summary ?? "";
    if (open) at.edited.focus();
    else if (was) { at.edited.value = ""; at.edit.focus(); }
  }

  #sendDetails() {
    const [comment, edited] = [this.#at.comment.value.trim(), this.#at.editor.hidden ? "" : this.#at.edited.value.trim()];
    const changed = edited && edited !== this.#result.summary.trim();
    if (!comment && !changed) return this.#say("Write a comment or change the summary first.", "bad");
    this.#queue({ ...(comment && { comment }), ...(changed && { edited_summary: edited }) });
  }

  #queue(more) {
    const body = { request_id: this.#result.request_id, feedback: this.#verdict, ...more };
    // A newer verdict on the same summary replaces one that has not been sent; a comment goes along.
    const older = this.#unsent.findIndex((each) => each.request_id === body.request_id && !each.busy);
    const before = older < 0 ? {} : this.#unsent.splice(older, 1)[0];
    this.#unsent.push({ ...before, ...body, account: this.getAttribute("account-number"), token: this.#token });
    this.#deliver();
  }

  /** Send what is unsent, oldest first; what fails stays, with what the agent wrote, until it is confirmed or refused for good. */
  async #deliver() {
    if (this.#sending) return;
    this.#sending = true;
    for (let tries = 0; this.#unsent.length > 0; ) {
      const item = this.#unsent[0];
      item.busy = true;
      this.#say("Saving your feedback…");
      const { busy: _, account: __, token, ...body } = item;
      try {
        const kept = await (await this.#answered("/feedback", body, null, undefined, token ?? undefined)).json();
        this.#unsent.shift();
        tries = 0;
        this.#confirm(body, kept);
      } catch (problem) {
        item.busy = false;
        // 404: the summary's row is written a moment after the summary was sent.
        const later = problem.status === 0 || problem.status === 404 || problem.status === 429 || problem.status >= 500;
        if (problem.status === 401 && item.account === this.getAttribute("account-number")) {
          this.#say("Not saved: your access has expired. It is sent when you have signed in again.", "bad");
          this.#tell("omni-token-needed", {});
          break;
        }
        if (!later || tries === AGAIN_MS.length) {
          if (!later) this.#unsent.shift();
          this.#say(later ? "Not saved. Press the button again to send it." : `Not saved: ${problem.message}`, "bad");
          break;
        }
        this.#say("Not saved yet. Trying again…", "bad");
        await wait(Math.max(AGAIN_MS[tries++], problem.retryAfterS * 1000));
      }
    }
    this.#sending = false;
  }

  #confirm(body, kept) {
    this.#tell("omni-feedback", { request_id: kept.request_id, feedback: kept.feedback, comment: "comment" in body, edited: "edited_summary" in body });
    if (this.#result?.request_id !== body.request_id) return;
    const detailed = body.comment || body.edited_summary;
    this.#say(detailed ? "Thank you. Your feedback is saved." : "Saved. You can add a comment or correct the summary.", "good");
    if (!detailed) return;
    this.#at.comment.value = "";
    this.#at.details.hidden = true;
    this.#at.editor.hidden = this.#at.cancel.hidden = true;
    this.#at.edit.hidden = false;
    this.#at[body.feedback].focus();
  }
}

if (!customElements.get("omni-summary")) customElements.define("omni-summary", OmniSummary);
