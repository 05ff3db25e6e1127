"""Writes an evaluation as JUnit XML for CI systems: one test suite per pair, one test case per check."""

from xml.etree import ElementTree as ET

from eval.report.conclusions import check_line, check_name
from eval.spine.results import Evaluation, PairResult, Verdict
from service.kit.frame.display.inert import xml_text


def render_junit(evaluation: Evaluation) -> str:
    """Return the document. A failed check is a failure, and so is an undecided one, of type ``inconclusive``.

    Neither may be released, so neither may look green. The evaluation's cases are left out: they have scores, not verdicts.
    A kind of harm that nobody looked at is a skipped test case, and so are the sentences that nobody read.
    """
    root = ET.Element("testsuites", name=xml_text(f"{evaluation.task} on {evaluation.dataset_name}"))
    for pair in evaluation.pairs:
        checks, unseen = pair.gate.checks, _unseen(pair)
        missed = sum(1 for check in checks if check.verdict is not Verdict.PASS)
        element = ET.SubElement(
            root,
            "testsuite",
            name=xml_text(f"{evaluation.task}/{pair.pair_name}"),
            tests=str(max(len(checks), 1) + len(unseen)),
            failures=str(missed if checks else 1),
            errors="0",
            skipped=str(len(unseen)),
            time=f"{pair.seconds:.3f}",
            timestamp=evaluation.started_at,
        )
        properties = ET.SubElement(element, "properties")
        for name, value in (
            ("headline", pair.gate.headline),
            ("verdict", pair.gate.verdict.value),
            ("run", evaluation.run_id),
            ("environment", evaluation.environment),
            ("pair_digest", pair.pair_digest),
            ("dataset_digest", evaluation.dataset_digest),
            ("suite_digest", evaluation.suite_digest),
            ("answered_by", ", ".join(pair.answered_by) or "nothing"),
            ("origin", ", ".join(pair.origins) or "none"),
        ):
            ET.SubElement(properties, "property", name=name, value=xml_text(value))
        group = xml_text(f"{evaluation.task}.{pair.pair_name}")
        for check in checks:
            name = f"{check.kind}: {check_name(check)}"
            case = ET.SubElement(element, "testcase", classname=group, name=xml_text(name), time="0")
            if check.verdict is not Verdict.PASS:
                line = xml_text(check_line(check))
                failure = ET.SubElement(case, "failure", message=line, type=check.verdict.value)
                failure.text = xml_text(check.reason)
        if not checks:
            case = ET.SubElement(element, "testcase", classname=group, name="gate", time="0")
            ET.SubElement(
                case, "failure", message="the gate made no checks, and a gate without checks fails", type="fail"
            )
        for name, message in unseen.items():
            case = ET.SubElement(element, "testcase", classname=group, name=xml_text(name), time="0")
            ET.SubElement(case, "skipped", message=xml_text(message))
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=False) + "\n"


def _unseen(pair: PairResult) -> dict[str, str]:
    """Return what nobody looked at, by the name of its skipped test case."""
    skipped = {f"judged: {kind}": "nobody looked at it: no judge was licensed for it" for kind in pair.gate.unseen}
    sentences = pair.gate.sentences
    return ({} if sentences is None or not sentences.unread else {"sentences": sentences.counts_text}) | skipped
