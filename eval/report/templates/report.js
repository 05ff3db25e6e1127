"use strict";
// Filters the list of cases and opens the case that a link points at. Without JavaScript the page shows all cases.
const cases = [...document.querySelectorAll("details.case")];
const text = new Map(cases.map((box) => [box, box.textContent.toLowerCase()]));
const [find, state, pair, against, shown] = ["find", "state", "pair", "against", "shown"].map((id) => document.getElementById(id));
const rest = document.getElementById("rest"); // cases without findings, folded until somebody looks for one
const filter = () => {
  const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  for (const box of cases) {
    const answers = box.dataset.states.split("|").map((item) => item.split("="));
    const wanted = answers.some(([name, is, beside]) =>
      (!pair.value || name === pair.value) && (!state.value || is === state.value) && (!against || !against.value || beside === against.value));
    const visible = wanted && words.every((word) => text.get(box).includes(word));
    box.hidden = !visible;
    count += visible ? 1 : 0;
  }
  if (rest) {
    rest.hidden = !rest.querySelector("details.case:not([hidden])");
    rest.open = rest.open || words.length > 0 || Boolean(pair.value || state.value || (against && against.value));
  }
  shown.textContent = count + " of " + cases.length + " cases";
};
const open = () => {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target instanceof HTMLDetailsElement) {
    target.hidden = false;
    for (let box = target; box; box = box.parentElement?.closest("details")) {
      box.hidden = false;
      box.open = true;
    }
    target.scrollIntoView();
  }
};
const form = document.querySelector("form.filter");
form.hidden = false;
form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("input", filter);
addEventListener("hashchange", open);
addEventListener("beforeprint", () => document.querySelectorAll("#checks details, #slices details").forEach((box) => { box.open = true; }));
filter();
open();
