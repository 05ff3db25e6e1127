"""A dose-response as a table, a picture, a JSON record, and the list of bars that it misses."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from eval.report.sensitivity import SensitivityRow
from eval.selftest.doses.authors import author_lines, authors_missed
from eval.selftest.doses.plan import PlantedKind
from eval.selftest.doses.trial import DoseResults, DoseTrial, EqualTrial
from eval.spine.results import Verdict
from figures.stats import rate_interval
from service.kit.frame.files import write_whole

# What the gate must reach: the share of seen kinds that may pass at a dose (none above 10%), and of equal systems that must.
_NEVER_FROM, _RARELY_AT, _RARE_SHARE = 0.25, 0.10, 0.10
_EQUAL_PASS, _EQUAL_FAIL = 0.80, 0.02
_MOST_ACCOUNTED = 0.02
_SIGN: Mapping[Verdict, str] = {Verdict.FAIL: "reject", Verdict.INCONCLUSIVE: "unsure", Verdict.PASS: "PASS"}
_RANK = (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS)


@dataclass(frozen=True, slots=True, kw_only=True)
class DoseRow:
    """One kind with one judge: the most lenient verdict over all systems at each dose, and the most answers it changed.

    A verdict is None where fewer answers can have the fault than the dose asks for.
    ``seen`` is False where only a judge could see the kind and none could be licensed for it: passes are for form and figures.
    ``smallest`` is the smallest dose that passes in no system, None if the largest passes somewhere.
    """

    kind: PlantedKind
    judge: str
    verdicts: tuple[Verdict | None, ...]
    changed: int
    seen: bool
    smallest: float | None


def dose_rows(results: DoseResults, judge: str) -> list[DoseRow]:
    """Return one row per kind, in the plan's order."""
    rows = []
    for kind in results.kinds:
        trials = [trial for trial in results.trials if trial.kind == kind.name and trial.judge == judge]
        worst = [_most_lenient([t for t in trials if t.dose == dose and t.reached]) for dose in results.doses]
        smallest = None
        for dose, verdict in sorted(zip(results.doses, worst, strict=True), key=lambda item: -item[0]):
            if verdict is Verdict.PASS:
                break
            smallest = dose if verdict is not None else None
        rows.append(
            DoseRow(
                kind=kind,
                judge=judge,
                verdicts=tuple(worst),
                changed=max(trial.changed for trial in trials),
                seen=kind.seen_by == "code" or (bool(judge) and kind.harm in results.licensable),
                smallest=smallest,
            )
        )
    return rows


def _most_lenient(trials: Sequence[DoseTrial]) -> Verdict | None:
    return max((trial.verdict for trial in trials), key=_RANK.index) if trials else None


def missed_bars(results: DoseResults) -> list[str]:
    """Return one line per bar that the gate misses; empty if it holds all of them."""
    missed = authors_missed(results.authors, results.novelty_bound)
    for judge in ("", *(item.name for item in results.judges)):
        rows = [row for row in dose_rows(results, judge) if row.seen and row.kind.promised]
        by = f" with judge {judge}" if judge else ""
        for dose in (dose for dose in results.doses if dose >= _NEVER_FROM):
            place = results.doses.index(dose)
            missed += [
                f"{row.kind.name} passes at {dose:.0%}{by}" for row in rows if row.verdicts[place] is Verdict.PASS
            ]
        if _RARELY_AT in results.doses:
            place = results.doses.index(_RARELY_AT)
            tried = [row for row in rows if row.verdicts[place] is not None]
            passed = [row.kind.name for row in tried if row.verdicts[place] is Verdict.PASS]
            if len(passed) > _RARE_SHARE * len(tried):
                missed.append(f"{len(passed)} of {len(tried)} kinds pass at {_RARELY_AT:.0%}{by}: {', '.join(passed)}")
        missed += _equal_bars([item for item in results.equal if item.judge == judge], by)
    bare = dict.fromkeys(item.kind for item in results.trials if item.headline == Verdict.PASS.value)
    missed += [f"{name} reads a bare pass" for name in bare]
    planted, accounted = planted_sentences(results)
    if accounted > _MOST_ACCOUNTED * planted:
        missed.append(f"code accounts for {accounted} of {planted} planted sentences, more than {_MOST_ACCOUNTED:.0%}")
    return missed


def _equal_bars(trials: Sequence[EqualTrial], by: str) -> list[str]:
    missed = []
    counts: dict[str, Counter[Verdict]] = {}
    for trial in trials:
        counts.setdefault(trial.system, Counter())[trial.verdict] += 1
    for system, found in counts.items():
        n = found.total()
        if found[Verdict.PASS] < _EQUAL_PASS * n:
            missed.append(f"equal draws of {system} pass only {found[Verdict.PASS]} of {n} times{by}")
    failed, n = sum(found[Verdict.FAIL] for found in counts.values()), len(trials)
    low = rate_interval(failed, n).low if n else None
    if low is not None and low > _EQUAL_FAIL:
        missed.append(f"equal draws fail {failed} of {n} times{by}, more than 1 in 50")
    return missed


def dose_markdown(results: DoseResults, *, task: str, suite_digest: str, cases: int) -> str:
    """Return the dose-response as a Markdown page: what is missed, one table per judge, and the equal systems."""
    missed = missed_bars(results)
    lines = [
        f"# Dose-response of the gate: {task}",
        "",
        f"Suite `{suite_digest[:12]}`, {cases} cases. Each kind of harm is planted in a share of the answers of good systems. "
        'The table shows the most lenient verdict over the systems; "-" where fewer answers can have the fault than the dose '
        'asks for, "changed" is the most that it changed.',
        "",
        *([f"- {line}" for line in missed] if missed else ["Every bar is met."]),
        "",
    ]
    for judge in ("", *(item.name for item in results.judges)):
        lines += _table(results, judge)
    lines += [*_passing(results), *author_lines(results.authors), *_equal_lines(results)]
    return "\n".join(lines)


def _passing(results: DoseResults) -> list[str]:
    """Return how many kinds of each class pass in each system, of those that reach the dose, at each dose.

    A class is the author's own of a stranger's kind, else the harm that a judge is licensed for.
    """
    classes = {
        kind.name: (kind.seen_by, kind.group or (kind.harm if kind.seen_by == "judge" else ""))
        for kind in results.kinds
    }
    systems = list(dict.fromkeys(item.system for item in results.trials))
    lines = ["## Kinds that pass, of those that reach the dose", ""]
    lines += [
        f"| seen by | class | judge | kinds | {' | '.join(systems)} |",
        "|---|---|---|---|" + "---|" * len(systems),
    ]
    for seen_by, name in sorted(set(classes.values())):
        kinds = {kind for kind, found in classes.items() if found == (seen_by, name)}
        for judge in ("", *(item.name for item in results.judges)):
            here = [item for item in results.trials if item.kind in kinds and item.judge == judge and item.reached]
            cells = [
                " / ".join(
                    _passed([item for item in here if item.system == system and item.dose == dose])
                    for dose in results.doses
                )
                for system in systems
            ]
            if here and not (judge and seen_by == "code"):
                lines.append(f"| {seen_by} | {name or '-'} | {judge or 'none'} | {len(kinds)} | {' | '.join(cells)} |")
    headlines = Counter(item.headline for item in results.trials if item.verdict is Verdict.PASS)
    planted, accounted = planted_sentences(results)
    share = rate_interval(accounted, planted) if planted else None
    return [
        *lines,
        "",
        f"Of {headlines.total()} passes {headlines['pass']} read a bare *pass*.",
        *(
            [f"Code accounts for {accounted} of {planted} planted sentences, at most {share.high:.1%}."]
            if share is not None and share.high is not None
            else []
        ),
        "",
    ]


def _passed(trials: Sequence[DoseTrial]) -> str:
    return f"{sum(item.verdict is Verdict.PASS for item in trials)} of {len(trials)}" if trials else "-"


def planted_sentences(results: DoseResults) -> tuple[int, int]:
    """Return how many false sentences the largest dose of each kind planted in all systems, and for how many code accounts."""
    true = {kind.name for kind in results.kinds if kind.true}
    largest = [
        item for item in results.trials if item.dose == max(results.doses) and not item.judge and item.kind not in true
    ]
    return sum(item.planted for item in largest), sum(item.accounted for item in largest)


def _table(results: DoseResults, judge: str) -> list[str]:
    title = "Without a judge" if not judge else f"With scripted judge {judge}"
    heads = [
        "kind of harm",
        "what it does",
        *(f"{dose:.0%}" for dose in results.doses),
        "changed",
        "smallest dose seen",
    ]
    lines = [f"## {title}", "", f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    for row in dose_rows(results, judge):
        if judge and row.kind.seen_by == "code":
            continue  # a judge adds nothing to what code sees
        signs = [_sign(verdict, row) for verdict in row.verdicts]
        smallest = "nobody looked" if not row.seen else "-" if row.smallest is None else f"{row.smallest:.0%}"
        name = row.kind.name + (
            "" if not row.kind.kept else " (kept)" if row.kind.promised else " (invented afterwards)"
        )
        lines.append(f"| {' | '.join((name, row.kind.does, *signs, str(row.changed), smallest))} |")
    return [*lines, ""]


def _sign(verdict: Verdict | None, row: DoseRow) -> str:
    if verdict is None:
        return "-"
    if verdict is Verdict.PASS and not row.seen:
        return "unseen"
    return _SIGN[verdict]


def _equal_lines(results: DoseResults) -> list[str]:
    lines = ["## Equal systems: two independent draws", ""]
    for judge in ("", *(item.name for item in results.judges)):
        here = [item for item in results.equal if item.judge == judge]
        for system in dict.fromkeys(item.system for item in here):
            found = [item for item in here if item.system == system]
            counts = Counter(item.verdict for item in found)
            blamed = Counter(check for item in found for check in item.blamed)
            by = f", judge {judge}" if judge else ""
            why = "; ".join(f"{check} ({count})" for check, count in blamed.most_common(4))
            lines.append(
                f"- {system}{by}: {counts[Verdict.PASS]} of {len(found)} pass, {counts[Verdict.INCONCLUSIVE]} undecided, "
                f"{counts[Verdict.FAIL]} fail" + (f": {why}" if why else "")
            )
    return [*lines, ""]


def write_sensitivity(results: DoseResults, path: Path, *, suite_digest: str, measured: str) -> None:
    """Write down for the reports, at ``path``, the smallest dose that the gate sees of each kind."""
    rows = [
        asdict(
            SensitivityRow(
                kind=row.kind.name, does=row.kind.does, judge=row.judge, smallest=row.smallest, seen=row.seen
            )
        )
        for judge in ("", *(item.name for item in results.judges))
        for row in dose_rows(results, judge)
        if (not judge or row.kind.seen_by == "judge") and any(verdict is not None for verdict in row.verdicts)
    ]
    record = {"suite_digest": suite_digest, "measured": measured, "cases": results.cases, "rows": rows}
    write_whole(path, json.dumps(record, indent=1) + "\n")


def keep_doses(results: DoseResults, page: str, picture: str, *, stem: str, suite_digest: str, out_dir: Path) -> Path:
    """Write ``<stem>.md``, ``.svg`` and ``.json`` into ``out_dir``; return the page's path."""
    out_dir.mkdir(parents=True, exist_ok=True)
    write_whole(out_dir / f"{stem}.svg", picture)
    record = {
        "suite_digest": suite_digest,
        "trials": [asdict(trial) for trial in results.trials],
        "equal": [asdict(trial) for trial in results.equal],
    }
    write_whole(out_dir / f"{stem}.json", json.dumps(record, indent=1))
    path = out_dir / f"{stem}.md"
    write_whole(path, page)
    return path
