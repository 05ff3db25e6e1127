// How figures are written: one place, so that tiles, axes, tables and what a screen reader says agree.

const WHOLE = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const DAY = new Intl.DateTimeFormat("en-US", { day: "numeric", month: "short", timeZone: "UTC" });
const FULL_DAY = new Intl.DateTimeFormat("en-US", { weekday: "short", day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });

export const isDay = (key) => /^\d{4}-\d{2}-\d{2}$/.test(key);
export const dayText = (day) => DAY.format(new Date(`${day}T00:00:00Z`));
export const fullDayText = (day) => FULL_DAY.format(new Date(`${day}T00:00:00Z`));
export const keyText = (key) => (isDay(key) ? fullDayText(key) : key);

export function valueText(unit, value) {
  if (value === null) return "–";
  if (unit === "rate") return `${(value * 100).toFixed(1)}%`;
  if (unit === "ms") return value >= 10000 ? `${(value / 1000).toFixed(1)} s` : `${WHOLE.format(value)} ms`;
  if (unit === "ratio") return `${value.toFixed(1)} : 1`;
  if (unit === "usd") return money(value);
  return WHOLE.format(value);
}

// Two digits that count, however small: a summary costs a fiftieth of a cent.
function money(value) {
  if (value === 0) return "$0";
  if (Math.abs(value) >= 1) return `$${value.toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 })}`;
  return `$${Number(value.toPrecision(2)).toLocaleString("en-US", { maximumFractionDigits: 8 })}`;
}

export function axisText(unit, value) {
  if (unit === "rate") return `${Number((value * 100).toPrecision(3))}%`;
  if (unit === "ms") return value >= 1000 ? `${Number((value / 1000).toPrecision(3))} s` : `${Number(value.toPrecision(3))} ms`;
  if (unit === "usd" && Math.abs(value) >= 1) return `$${value.toLocaleString("en-US", { maximumFractionDigits: 2 })}`;
  return valueText(unit, value);
}

export function intervalText(unit, figure) {
  if (figure.value === null || (figure.low === null && figure.high === null)) return "";
  const end = (value) => (value === null ? "unknown" : valueText(unit, value));
  return `${end(figure.low)} to ${end(figure.high)}`;
}

export function countText(figure) {
  if (figure.n === null) return "";
  return `n=${WHOLE.format(figure.n)}${figure.small ? ", too few" : ""}`;
}

// The house's words: an interval that reaches over the target decides nothing.
export function verdict(figure, target) {
  if (!target || figure.value === null) return null;
  const low = figure.low ?? (figure.n === null ? figure.value : -Infinity);
  const high = figure.high ?? (figure.n === null ? figure.value : Infinity);
  if (target.better === "below" ? high < target.at : low > target.at) return "pass";
  if (target.better === "below" ? low >= target.at : high <= target.at) return "fail";
  return "inconclusive";
}

const OUTCOMES = { fail: "misses its target", inconclusive: "is undecided against its target", pass: "meets its target" };

// How the range stands against its targets: those that are not met one by one, each with the worst row of a chart that misses it.
export function summary(data) {
  const totals = data.visuals.filter((visual) => visual.kind === "numbers").flatMap((visual) => visual.measures
    .map((measure) => ({ measure, figure: visual.rows[0]?.figures[measure.name] })));
  const judged = totals.map(({ measure, figure }) => ({ measure, figure, word: figure ? verdict(figure, measure.target) : null })).filter(({ word }) => word);
  judged.sort((one, other) => Object.keys(OUTCOMES).indexOf(one.word) - Object.keys(OUTCOMES).indexOf(other.word));
  const open = judged.filter(({ word }) => word !== "pass");
  if (open.length === 0 && judged.length > 1) return `All ${judged.length} targets are met.`;
  return (open.length ? open : judged).map(({ measure, figure, word }) => {
    const worst = worstRow(data, measure);
    const where = worst ? `; worst: ${keyText(worst.row.key)} ${valueText(measure.unit, worst.figure.value)}` : "";
    return `${measure.label} ${valueText(measure.unit, figure.value)} ${OUTCOMES[word]} (${measure.target.label})${where}.`;
  }).join(" ");
}

function worstRow(data, measure) {
  const rows = data.visuals.filter((visual) => visual.kind === "bars").flatMap((visual) => visual.rows.map((row) => ({ row, figure: row.figures[measure.name] })));
  const bad = rows.filter(({ figure }) => figure && !figure.small && verdict(figure, measure.target) === "fail");
  const sign = measure.target.better === "below" ? 1 : -1;
  return bad.reduce((worst, item) => (!worst || sign * (item.figure.value - worst.figure.value) > 0 ? item : worst), null);
}

export function sentence(visual, measure) {
  const known = visual.rows.filter((row) => row.figures[measure.name].value !== null);
  if (known.length === 0) return `${measure.label}: nothing measured`;
  const value = (row) => row.figures[measure.name].value;
  const highest = known.reduce((best, row) => (value(row) > value(best) ? row : best));
  const lowest = known.reduce((best, row) => (value(row) < value(best) ? row : best));
  const say = (row) => `${valueText(measure.unit, value(row))} (${keyText(row.key)})`;
  return `${measure.label}: ${known.length} figures, lowest ${say(lowest)}, highest ${say(highest)}, last ${say(known[known.length - 1])}`;
}
