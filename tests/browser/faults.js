() => {
  const seen = (node) => node.getClientRects().length > 0;
  const name = (node) => (node.getAttribute("aria-label") || node.textContent ||
    (node.getAttribute("aria-labelledby") && document.getElementById(node.getAttribute("aria-labelledby")).textContent) || "").trim();
  const faults = [];
  for (const node of document.querySelectorAll("button, a, [role=tab], summary, svg[role=img]")) if (seen(node) && !name(node)) faults.push("no name: " + node.outerHTML.slice(0, 80));
  for (const node of document.querySelectorAll("input, select")) if (seen(node) && !node.labels.length) faults.push("no label: " + node.id);
  for (const node of document.querySelectorAll("section, [role=region], [role=group], [role=tablist]"))
    if (!node.getAttribute("aria-label") && !document.getElementById(node.getAttribute("aria-labelledby"))) faults.push("unnamed region: " + node.className);
  for (const node of document.querySelectorAll("svg:not([role=img]):not([aria-hidden=true])")) faults.push("a picture without words");
  for (const node of document.querySelectorAll("table")) {
    if (!node.caption) faults.push("no caption");
    if ([...node.querySelectorAll("th")].some((cell) => !cell.scope)) faults.push("a th without scope");
  }
  const levels = [...document.querySelectorAll("h1,h2,h3,h4")].filter(seen).map((node) => Number(node.tagName[1]));
  if (levels.filter((level) => level === 1).length !== 1) faults.push("h1: " + levels);
  levels.forEach((level, at) => { if (at && level > levels[at - 1] + 1) faults.push("a level left out: " + levels); });
  const ids = [...document.querySelectorAll("[id]")].map((node) => node.id);
  if (new Set(ids).size !== ids.length) faults.push("an id twice");
  if (!document.documentElement.lang) faults.push("no language");
  return faults;
}
