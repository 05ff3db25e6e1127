// What stands around a figure: tiles, legends, tables and hints; shared by the pages that show figures.

import { highest, isLog, stripes, targets } from "./charts.js";
import { countText, intervalText, keyText, valueText, verdict } from "./words.js";

const SIGNS = { pass: "✓", fail: "✗", inconclusive: "?" };

export function element(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) if (value !== null) node.setAttribute(key, value);
  node.append(...children.filter((child) => child !== null));
  return node;
}

export function drawn(visual) {
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
