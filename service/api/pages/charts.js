// Draws figures as SVG at the width it is given, so that letters keep their size at every width.

import { axisText, countText, dayText, intervalText, isDay, keyText, sentence, valueText, verdict } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
const TARGET_REACH = 3; // a target further out than this many times the highest figure would squeeze all figures flat
const MARGIN = { top: 14, right: 14, bottom: 24 };

function svg(name, attributes, ...children) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

const line = (x1, y1, x2, y2, style) => svg("line", { x1, y1, x2, y2, class: style });
const text = (x, y, content, style, anchor = "start") => svg("text", { x, y, class: style, "text-anchor": anchor }, content);
const rounded = (value) => Math.round(value * 10) / 10;

export function draw(visual, width) {
  const drawing = visual.kind === "bars" ? bars(visual, width) : framed(visual, width);
  drawing.setAttribute("role", "img");
  drawing.setAttribute("aria-label", `${visual.title}. ${visual.measures.map((m) => sentence(visual, m)).join(". ")}. All figures are in the table below.`);
  return drawing;
}

// Targets that can stand in the picture, each once.
export function targets(visual, top) {
  const found = visual.measures.map((measure) => measure.target).filter(Boolean);
  const each = [...new Map(found.map((target) => [target.label, target])).values()];
  return { near: each.filter((t) => t.at <= TARGET_REACH * top), far: each.filter((t) => t.at > TARGET_REACH * top) };
}

export function highest(visual) {
  const stacked = visual.kind === "columns";
  const tops = visual.rows.map((row) => {
    const figures = visual.measures.map((measure) => row.figures[measure.name]);
    if (stacked) return figures.reduce((sum, figure) => sum + (figure.value ?? 0), 0);
    // A small sample's interval may reach to the ceiling; it is drawn, and cut where it would hide everything else.
    return Math.max(...figures.map((f) => (f.value === null ? 0 : f.small ? f.value : Math.max(f.value, f.high ?? 0))));
  });
  return Math.max(0, ...tops);
}

function vertical(visual, bottom) {
  const unit = visual.measures[0].unit;
  const values = visual.rows.flatMap((row) => visual.measures.map((m) => row.figures[m.name].value)).filter((value) => value !== null);
  if (isLog(visual)) {
    const positive = values.filter((value) => value > 0);
    const ends = [Math.floor(Math.log10(Math.min(...positive))), Math.ceil(Math.log10(Math.max(...positive)))];
    const [first, last] = ends[0] === ends[1] ? [ends[0] - 1, ends[1]] : ends;
    const place = (value) => bottom - ((Math.log10(Math.max(value, 10 ** first)) - first) / (last - first)) * (bottom - MARGIN.top);
    return { place, ticks: Array.from({ length: last - first + 1 }, (_, i) => 10 ** (first + i)), top: 10 ** last, log: true };
  }
  let top = highest(visual) || 1;
  for (const target of targets(visual, top).near) top = Math.max(top, target.at * 1.04);
  if (unit === "rate") top = Math.min(top * 1.05, 1);
  const step = niceStep(top / 5, unit);
  const last = unit === "rate" ? Math.min(Math.ceil(top / step) * step, 1) : Math.ceil(top / step) * step;
  const ticks = [];
  for (let i = 0; i * step <= last + step / 1e6; i += 1) ticks.push(i * step);
  return { place: (value) => bottom - (Math.min(value, last) / last) * (bottom - MARGIN.top), ticks, top: last };
}

function niceStep(rough, unit) {
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].find((factor) => factor * power >= rough * 0.999) * power;
  return unit === "count" ? Math.max(Math.ceil(step), 1) : step;
}

const restarts = (visual, at) => visual.restarts === "month" && visual.rows[at].key.slice(0, 7) !== visual.rows[at - 1].key.slice(0, 7);

// Zeros have no place on a logarithmic scale: it is taken when each line has something else to show.
export function isLog(visual) {
  return visual.scale === "log" && visual.measures.every((measure) => visual.rows.some((row) => row.figures[measure.name].value > 0));
}

// Lines and columns: days from left to right at their true distance, so that a day without answers is a gap.
function framed(visual, width) {
  const height = 236;
  const bottom = height - MARGIN.bottom;
  const y = vertical(visual, bottom);
  const unit = visual.measures[0].unit;
  const longest = Math.max(...y.ticks.map((tick) => axisText(unit, tick).length));
  const [left, right] = [Math.max(longest * 6.8 + 12, 40), width - MARGIN.right];
  const root = svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height });
  for (const tick of y.ticks) {
    root.append(line(left, rounded(y.place(tick)), right, rounded(y.place(tick)), "grid"), text(left - 6, rounded(y.place(tick)) + 4, axisText(unit, tick), "tick", "end"));
  }
  root.append(line(left, bottom, right, bottom, "axis"));
  const x = horizontal(visual, left, right);
  labelDays(root, visual, x, left, right, bottom);
  (visual.kind === "columns" ? stacks : curves)(root, visual, x, y, bottom);
  targets(visual, y.top).near.filter((target) => target.at <= y.top).forEach((target) => {
    const at = rounded(y.place(target.at));
    root.append(line(left, at, right, at, "target"), text(right, at - 5, target.label, "on promise", "end"));
  });
  return root;
}

function horizontal(visual, left, right) {
  const keys = visual.rows.map((row) => row.key);
  const moments = keys.map((key, index) => (keys.every(isDay) ? Date.parse(`${key}T00:00:00Z`) / 86400000 : index));
  const first = moments[0];
  const each = visual.by === "week" ? 7 : 1; // days between neighbours
  const places = (moments[moments.length - 1] - first) / each + 1;
  const step = (right - left) / places;
  return { step, places: moments.map((moment) => left + ((moment - first) / each + 0.5) * step) };
}

function labelDays(root, visual, x, left, right, bottom) {
  const room = Math.max(Math.floor((right - left) / 62), 1);
  const every = Math.ceil(visual.rows.length / room);
  visual.rows.forEach((row, index) => {
    if (index % every !== 0) return;
    const at = Math.min(Math.max(x.places[index], left + 16), right - 16);
    root.append(text(rounded(at), bottom + 16, isDay(row.key) ? dayText(row.key) : row.key, "tick", "middle"));
  });
}

function curves(root, visual, x, y, bottom) {
  visual.measures.forEach((measure, index) => {
    const runs = [];
    let run = [];
    visual.rows.forEach((row, at) => {
      const figure = row.figures[measure.name];
      const drawable = figure.value !== null && !(y.log && figure.value <= 0);
      if (!drawable || (at > 0 && (x.places[at] - x.places[at - 1] > x.step * 1.5 || restarts(visual, at)))) {
        if (run.length) runs.push(run);
        run = [];
      }
      if (drawable) run.push({ row, figure, x: rounded(x.places[at]) });
    });
    if (run.length) runs.push(run);
    for (const points of runs) {
      for (const known of closed(points)) {
        const upper = known.map((p) => `${p.x},${rounded(Math.max(y.place(p.figure.high), MARGIN.top))}`);
        const lower = known.map((p) => `${p.x},${rounded(Math.min(y.place(p.figure.low), bottom))}`);
        root.append(svg("polygon", { points: [...upper, ...lower.reverse()].join(" "), class: `band s${index}` }));
      }
      root.append(svg("polyline", { points: points.map((p) => `${p.x},${rounded(y.place(p.figure.value))}`).join(" "), class: `line s${index}` }));
      for (const p of points) {
        if (points.length > 95 && !p.figure.small) continue;
        root.append(svg("circle", { cx: p.x, cy: rounded(y.place(p.figure.value)), r: 3, class: `dot s${index}${p.figure.small ? " small" : ""}` }, title(p.row, measure, p.figure)));
      }
    }
  });
}

// Neighbours whose interval has both ends; where an end is unknown there is no band, and the dot is hollow.
function closed(points) {
  const runs = [[]];
  for (const p of points) {
    if (p.figure.low === null || p.figure.high === null) runs.push([]);
    else runs[runs.length - 1].push(p);
  }
  return runs.filter((run) => run.length > 1);
}

// Stripes tell the parts of a column apart without their colour: a line as wide as the column, whose dashes are the stripes.
export function stripes(middle, wide, from, to, index) {
  return svg("line", { x1: rounded(middle), x2: rounded(middle), y1: rounded(from), y2: rounded(to), "stroke-width": rounded(wide), class: `stripes p${index}` });
}

function stacks(root, visual, x, y, bottom) {
  const wide = Math.max(Math.min(x.step * 0.75, 38), 1.5);
  visual.rows.forEach((row, at) => {
    let sum = 0;
    visual.measures.forEach((measure, index) => {
      const figure = row.figures[measure.name];
      if (!figure.value) return;
      const [from, to] = [y.place(sum), y.place(sum + figure.value)];
      sum += figure.value;
      root.append(svg("rect", { x: rounded(x.places[at] - wide / 2), y: rounded(to), width: rounded(wide), height: rounded(Math.max(from - to, 0.5)), class: `s${index} stack` }, title(row, measure, figure)));
      root.append(stripes(x.places[at], wide, y.place(sum), y.place(sum - figure.value), index));
    });
  });
}

// One bar under each name, since names may be long and pages narrow; whiskers are the interval.
function bars(visual, width) {
  const measure = visual.measures[0];
  const each = 42;
  const [left, right] = [1, width - 1];
  const most = Math.max(...visual.rows.map((row) => row.figures[measure.name].high ?? row.figures[measure.name].value ?? 0), 0);
  let top = Math.max(highest(visual), Math.min(most, highest(visual) * 2)) || 1;
  const near = measure.target && measure.target.at <= TARGET_REACH * top;
  if (near) top = Math.max(top, measure.target.at * 1.1);
  const height = visual.rows.length * each + (near ? 22 : 0);
  const place = (value) => rounded(left + (Math.min(value, top) / top) * (right - left));
  const root = svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height });
  visual.rows.forEach((row, index) => {
    const figure = row.figures[measure.name];
    const y = index * each;
    const said = figure.value === null ? `no figure ${countText(figure)}` : `${valueText(measure.unit, figure.value)}  ${countText(figure)}`;
    root.append(text(left, y + 14, shortened(row.key, said, width), "on"), text(right, y + 14, said, figure.small ? "on weak" : "on", "end"));
    if (figure.value === null) return;
    root.append(svg("rect", { x: left, y: y + 20, width: Math.max(place(figure.value) - left, 1), height: 12, class: `bar${figure.small ? " small" : ""}` }, title(row, measure, figure)));
    if (figure.low !== null && figure.high !== null) {
      root.append(line(place(figure.low), y + 26, place(figure.high), y + 26, "whisker"));
      for (const end of [figure.low, figure.high]) if (end <= top) root.append(line(place(end), y + 22, place(end), y + 30, "whisker"));
    }
  });
  if (near) {
    const at = place(measure.target.at);
    visual.rows.forEach((_, index) => root.append(line(at, index * each + 17, at, index * each + 35, "target whole"))); // not through the texts
    root.append(text(Math.min(at, right), height - 8, measure.target.label, "promise", at > width * 0.6 ? "end" : "start"));
  }
  return root;
}

// Two texts on one line: the name gives way; whole it stands in the table and in the bar's title.
function shortened(name, said, width) {
  const room = Math.max(Math.floor(width / 7) - said.length - 2, 6);
  return name.length > room ? `${name.slice(0, room - 1)}…` : name;
}

function title(row, measure, figure) {
  const parts = [keyText(row.key), `${measure.label} ${valueText(measure.unit, figure.value)}`, intervalText(measure.unit, figure), countText(figure), verdict(figure, measure.target)];
  return svg("title", {}, parts.filter(Boolean).join(", "));
}
