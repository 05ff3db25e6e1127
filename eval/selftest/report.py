"""The results of a self-test: a Markdown page, and a JSON record named after the suite's digest."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from eval.selftest.mutant import Mutant
from eval.selftest.trial import EngineReport, Trial
from eval.spine.results import Verdict
from service.kit.frame.files import write_whole


def failure_lines(reports: Sequence[EngineReport]) -> list[str]:
    """Return one line per escaped fault and per wrong verdict on the good system; empty if the gate is sound."""
    lines = []
    for report in reports:
        for name in report.escaped:
            missed = [trial for trial in report.trials if trial.mutant == name and not trial.caught]
            lines.append(
                f"{report.engine}: {name} escaped {len(missed)} of {len(report.seeds)} times: {_why(missed[0])}"
            )
        lines += [
            f"{report.engine}: the good system {'against itself' if own.same else 'against another draw of itself'} "
            f"(seed {own.seed}): {own.verdict}: {', '.join(own.objections)}"
            for own in report.against
            if not own.ok
        ]
        if not report.against or all(trial.blind for trial in report.trials):
            lines.append(f"{report.engine}: nothing was tried")
    return lines


def _why(trial: Trial) -> str:
    if trial.changed == 0:
        return "it changed no answer; fix the planted fault"
    if trial.verdict is Verdict.PASS:
        return "the verdict is pass"
    blamed = ", ".join(trial.blamed) or "nothing that the fault changed"
    return f"the verdict is {trial.verdict}, but not for what is wrong; worse are: {blamed}"


def markdown(reports: Sequence[EngineReport], mutants: Sequence[Mutant], *, task: str, suite_digest: str) -> str:
    """Return the self-test as a Markdown page: the outcome, one table per engine, how the good system fared."""
    problems = failure_lines(reports)
    outcome = "every planted fault was caught" if not problems else "**the gate counts as broken**"
    lines = [f"# Self-test of the gate: {task}", "", f"Suite `{suite_digest[:12]}`: {outcome}.", ""]
    lines += [f"- {line}" for line in problems] + ([""] if problems else [])
    about = {mutant.name: mutant for mutant in mutants}
    for report in reports:
        lines += [
            f"## Engine {report.engine}: pair {report.pair}, {_cases(report)} of {report.dataset}, "
            f"seeds {', '.join(map(str, report.seeds))}, {report.seconds:.0f} s",
            "",
            "| planted fault | what is wrong | must be detected by | caught | of these fail | answers changed | detected by |",
            "|---|---|---|---|---|---|---|",
        ]
        grouped = _by_mutant(report)
        # Known blind spots come last, under their own mark.
        for name, trials in sorted(grouped.items(), key=lambda item: bool(about[item[0]].blind)):
            caught = [trial for trial in trials if trial.caught]
            by = list(dict.fromkeys(metric for trial in trials for metric in trial.by))
            mutant = about[name]
            cells = (
                name + (" (blind spot)" if mutant.blind else ""),
                mutant.does,
                ", ".join(mutant.targets),
                f"{len(caught)}/{len(trials)}",
                str(sum(trial.failed for trial in caught)),
                f"{trials[0].changed} of {trials[0].n}",
                ", ".join(by) or "-",
            )
            lines.append(f"| {' | '.join(cells)} |")
        lines += ["", *(f"- {line}" for line in against_lines(report))]
        lines += [f"- Blind spot {name}, not counted: {about[name].blind}." for name in grouped if about[name].blind]
        lines.append("")
    return "\n".join(lines)


def _cases(report: EngineReport) -> str:
    if report.cases == report.asked:
        return f"{report.cases} cases"
    return f"{report.cases} cases that it answers (of {report.asked} asked)"


def against_lines(report: EngineReport) -> list[str]:
    """Return the false alarms of the good system against itself and against other draws of itself, over all trials."""
    lines = []
    for same, words in ((True, "against itself"), (False, "against another draw of itself")):
        own = [item for item in report.against if item.same is same]
        if not own:
            continue
        wrong = sum(not item.ok for item in own)
        unsure = [item for item in own if item.ok and item.verdict is not Verdict.PASS]
        line = f"The good system {words}: {wrong} false alarms in {len(own)}"
        if unsure:
            open_checks = sorted({objection for item in unsure for objection in item.objections})
            line += f"; {len(unsure)} more did not pass outright: {', '.join(open_checks)}"
        lines.append(line + ".")
    return lines


def _by_mutant(report: EngineReport) -> dict[str, list[Trial]]:
    grouped: dict[str, list[Trial]] = {}
    for trial in report.trials:
        grouped.setdefault(trial.mutant, []).append(trial)
    return grouped


def keep(reports: Sequence[EngineReport], page: str, *, suite_digest: str, state_dir: Path, out_dir: Path) -> Path:
    """Write ``state_dir/selftest/<suite digest>.json`` and ``out_dir/<digest>.md``; return the latter.

    Engines that were not run this time keep what the record says of them.
    """
    record = state_dir / "selftest" / f"{suite_digest}.json"
    try:
        engines: dict[str, Any] = json.loads(record.read_text(encoding="utf-8"))["engines"]
    except (OSError, ValueError, KeyError, TypeError):
        engines = {}  # none yet, or not ours: this run's record replaces it
    for report in reports:
        rates = {
            name: {"caught": sum(trial.caught for trial in trials), "of": len(trials)}
            for name, trials in _by_mutant(report).items()
        }
        engines[report.engine] = asdict(report) | {"sound": report.sound, "catch_rates": rates}
    record.parent.mkdir(parents=True, exist_ok=True)
    write_whole(record, json.dumps({"suite_digest": suite_digest, "engines": engines}, indent=1))
    path = out_dir / f"{suite_digest[:12]}.md"
    out_dir.mkdir(parents=True, exist_ok=True)
    write_whole(path, page)
    return path
