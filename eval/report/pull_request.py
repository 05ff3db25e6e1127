"""The checks of a pull request in words: one comment, one JUnit document, and one verdict over all."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from xml.etree import ElementTree as ET

from service.kit.frame.display.inert import xml_text

MARKER = "<!-- prompt-gate -->"  # by which the workflow finds its comment again
CheckState = Literal["pass", "fail", "neutral"]
_WORDS: dict[CheckState, str] = {"pass": "Green", "fail": "Red", "neutral": "Neutral"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PrCheck:
    """One check: what it is about, its state, one sentence for CI, and the Markdown of the comment.

    ``neutral`` is neither a pass nor a failure: it could not be made here, or a person has to look, and ``said`` says at what.
    """

    name: str
    state: CheckState
    said: str
    text: str = ""


def overall(checks: Sequence[PrCheck]) -> CheckState:
    """Return fail if any check fails, else neutral if any is neutral, else pass."""
    states = {check.state for check in checks}
    return "fail" if "fail" in states else "neutral" if "neutral" in states else "pass"


def render_comment(checks: Sequence[PrCheck]) -> str:
    """Return the comment: the verdict over all, then the checks, those that are red first."""
    if not checks:
        said = "This change affects no pair and no code that answers or judges, so nothing was evaluated."
        return f"{MARKER}\n# No pair changed\n\n{said}\n"
    order: list[CheckState] = ["fail", "neutral", "pass"]
    lines = [MARKER, f"**{_WORDS[overall(checks)]}.**", ""]
    for check in sorted(checks, key=lambda check: order.index(check.state)):
        lines += [check.text or f"# {check.name}: {check.state}\n\n{check.said}\n", ""]
    return "\n".join(lines)


def render_junit(checks: Sequence[PrCheck]) -> str:
    """Return the checks as JUnit XML; a neutral one is skipped, with what a maintainer does as its message."""
    counts = {state: sum(check.state == state for check in checks) for state in ("fail", "neutral")}
    root = ET.Element("testsuites", name="pull request")
    suite = ET.SubElement(
        root,
        "testsuite",
        name="pr-gate",
        tests=str(len(checks)),
        failures=str(counts["fail"]),
        skipped=str(counts["neutral"]),
        errors="0",
    )
    properties = ET.SubElement(suite, "properties")
    ET.SubElement(properties, "property", name="verdict", value=overall(checks))
    for check in checks:
        case = ET.SubElement(suite, "testcase", classname="pr-gate", name=xml_text(check.name), time="0")
        if check.state == "fail":
            ET.SubElement(case, "failure", message=xml_text(check.said), type="fail")
        if check.state == "neutral":
            ET.SubElement(case, "skipped", message=xml_text(check.said))
    ET.indent(root)
    return ET.tostring(root, encoding="unicode") + "\n"
