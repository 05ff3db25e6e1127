"""Checks open pages with axe-core against WCAG 2.2 AA.

``browser/vendor/axe.min.js`` is axe-core 4.14.1 from npm, unchanged (MPL 2.0, ``axe.LICENSE`` beside it).
"""

from pathlib import Path

SOURCE = (Path(__file__).parent / "browser" / "vendor" / "axe.min.js").read_text(encoding="utf-8")
# The rule for the size of targets is off by default although WCAG 2.2 AA demands it.
RUN = """() => axe.run(document, {
  runOnly: {type: 'tag', values: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']},
  rules: {'target-size': {enabled: true}},
  resultTypes: ['violations'],
})"""
LOOKS = [("light", "screen"), ("dark", "screen"), ("light", "print"), ("dark", "print")]
WIDTHS = [1400, 420]


def violations(page):
    """Return each violation of the page as it stands: rule, first elements, and what axe says about the first one."""
    page.evaluate(f"{SOURCE}\n;0")  # evaluated by the debugger, which no content security policy forbids
    found = page.evaluate(RUN)["violations"]
    return [
        f"{item['id']}: {len(item['nodes'])} x {item['help']}; "
        + " | ".join(node["html"][:120] for node in item["nodes"][:3])
        + f"; {item['nodes'][0]['failureSummary'][:300]}"
        for item in found
    ]


def focus_path(page, most=400):
    """Return what Tab reaches from the top of the page until it leaves it, and which of it shows no outline."""
    page.evaluate("() => { document.activeElement.blur(); window.scrollTo(0, 0); }")
    reached, bare = [], []
    for _ in range(most):
        page.keyboard.press("Tab")
        found = page.evaluate(
            """() => {
              const node = document.activeElement;
              if (!node || node === document.body) return null;
              const style = getComputedStyle(node);
              window.tabbed = window.tabbed ?? 0;  // not a count of the nodes: a list that is drawn again loses its own
              if (!node.dataset.tabbed) node.dataset.tabbed = String(++window.tabbed);
              return {place: node.dataset.tabbed, name: node.tagName + ' ' + node.textContent.trim().slice(0, 40),
                      outlined: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 1};
            }"""
        )
        if found is None or found["place"] in {place for place, _ in reached}:
            break
        reached.append((found["place"], found["name"]))
        if not found["outlined"]:
            bare.append(found["name"])
    return [name for _, name in reached], bare
