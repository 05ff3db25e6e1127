"""The data card's table: what floor, bundled models and references reach on a dataset, each figure with its interval."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval.judges.contrast_card import contrast_card
from eval.run.ceiling import reference_ceiling
from eval.run.loaders import load_dataset
from eval.spine.cases import Dataset
from eval.spine.errors import CardError, CaseError
from eval.spine.suite import Suite
from eval.suites import load_suite
from figures.command_line import omni
from figures.files import out_folder, write_whole
from figures.formatting import NOTE_MARK, format_metric, plural
from figures.metric import Metric, Unit
from service.core.run.task import load_task
from service.core.unit.cards import ModelCards
from service.core.unit.pair import Pair
from service.core.unit.pair_file import load_pair
from service.kit.settings import Settings

START, END = "<!-- table:start -->", "<!-- table:end -->"
AGAINST_EACH_OTHER = "reference against reference"


@dataclass(frozen=True, slots=True, kw_only=True)
class CardColumn:
    """A pair's newest figures on one dataset: over all cases, and over those that the ceiling has (``like_for_like``)."""

    name: str
    run_id: str
    answered_by: str
    metrics: dict[str, Metric]
    like_for_like: dict[str, Metric]


def card_table(task_name: str, datasets: Sequence[str], settings: Settings) -> tuple[str, list[str]]:
    """Return the Markdown of every dataset's table, and what is left out with the command that would put it in.

    The contrast sets' table follows, where the task has them.

    Figures come from the newest finished evaluation of each pair whose pair, cases and suite are today's; the references'
    from the cases themselves.

    Raises:
        CardError: there is not one figure of a pair for any of ``datasets``.
        PairError, ConfigurationError: pairs, cards or suite are wrong.
    """
    task, suite = load_task(task_name), load_suite(task_name)
    cards = ModelCards.load(settings.prompts_dir / "models.yaml")
    paths = sorted((settings.prompts_dir / task_name).glob("*.prompty"))
    pairs = [
        load_pair(path, cards=cards, task_variables=task.variables, part_variables=task.part_variables)
        for path in paths
    ]
    if settings.environment == "local":
        # What only a stand-in would answer says nothing about the pair.
        pairs = [pair for pair in pairs if all(cards.get(m).runs == "local" for m in pair.models_of(backup=False))]
    # The floor, which is code, before the models.
    pairs.sort(key=lambda pair: (cards.get(pair.model).wire != "in_process", pair.name))
    reports = _reports(settings, task_name)
    parts, missing, found = [], [], 0
    for name in datasets:
        try:
            dataset = load_dataset(
                name, task=task_name, input_model=suite.case_model(task.input_model), settings=settings
            )
        except CaseError as err:
            missing.append(f"{name}: {err}")
            continue
        columns = [column for pair in pairs if (column := _column(pair, dataset, suite, reports)) is not None]
        absent = [pair.name for pair in pairs if pair.name not in {column.name for column in columns}]
        if absent:
            missing.append(
                f"{name}: no finished evaluation of {', '.join(absent)} with today's pair, cases and suite; run "
                f"{omni('eval', '--pairs', ','.join(absent), '--dataset', name, task=task_name)}"
            )
        found += len(columns)
        parts.append(_dataset_part(dataset, suite, columns))
    if not found:
        raise CardError("no figure for the card: " + "; ".join(missing))
    parts += contrast_card(task_name, settings, cards)
    return "\n".join(parts), missing


def write_table(path: Path, table: str) -> None:
    """Put ``table`` between the markers of the Markdown file at ``path``, as a whole or not at all.

    Raises:
        CardError: the file is missing, or does not hold both markers once, in order.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise CardError(f"no data card at {path}; write one with the lines {START} and {END}") from None
    if text.count(START) != 1 or text.count(END) != 1 or text.index(START) > text.index(END):
        raise CardError(f"{path} must hold the line {START} and below it the line {END}, each once; add them")
    before, _, rest = text.partition(START)
    after = rest.partition(END)[2]
    write_whole(path, f"{before}{START}\n\n{table.strip()}\n\n{END}{after}")


def _reports(settings: Settings, task: str) -> list[dict[str, Any]]:
    """Return the finished evaluations of ``task`` in this environment, newest first; other files are passed over."""
    reports = []
    for path in sorted(out_folder(settings.root, "eval").glob("*/report.json"), reverse=True):
        try:
            report = json.loads(path.read_text(encoding="utf-8"))
            if report["task"] == task and report["environment"] == settings.environment and "ceiling" in report:
                reports.append(report)
        except (OSError, ValueError, KeyError, TypeError):
            continue  # another version's report is no evidence
    return reports


def _column(pair: Pair, dataset: Dataset, suite: Suite, reports: Sequence[dict[str, Any]]) -> CardColumn | None:
    for report in reports:
        if report["dataset_digest"] != dataset.digest or report["suite_digest"] != suite.digest:
            continue
        for item in report["pairs"]:
            if item["pair_digest"] == pair.digest:
                return CardColumn(
                    name=pair.name,
                    run_id=report["run_id"],
                    answered_by=", ".join(item["answered_by"]),
                    metrics=_metrics(item["metrics"]),
                    like_for_like=_metrics(item["like_for_like"]),
                )
    return None


def _metrics(plain: dict[str, dict[str, Any]]) -> dict[str, Metric]:
    known = set(Metric.__slots__)
    return {
        name: Metric(
            **{key: value for key, value in fields.items() if key in known and key != "unit"}, unit=Unit(fields["unit"])
        )
        for name, fields in plain.items()
    }


def _dataset_part(dataset: Dataset, suite: Suite, columns: Sequence[CardColumn]) -> str:
    count = len(dataset.cases)
    lines = [f"### {dataset.name}, {plural(count, 'case')}"]
    ceiling = reference_ceiling(suite, dataset.cases)
    if columns:
        lines += ["", "95% intervals in brackets; n is given where it is not the number of cases.", ""]
        lines += _markdown(suite, [(column.name, column.metrics) for column in columns], count)
        notes = {metric.note: column.name for column in columns for metric in column.metrics.values() if metric.note}
        lines += [f"\n{NOTE_MARK} {name}: {note}." for note, name in notes.items()]
    if ceiling:
        n = max(metric.n for metric in ceiling.values())
        lines += [
            "",
            f"References against each other: the {plural(n, 'case')} with several references. Every text, a pair's or a "
            "reference's, is scored against all references but one, so that nobody has the easier task.",
            "",
        ]
        shown = [(AGAINST_EACH_OTHER, ceiling), *((column.name, column.like_for_like) for column in columns)]
        lines += _markdown(suite, shown, n, only=frozenset(ceiling))
    runs = "; ".join(f"{column.name} run {column.run_id}, answered by {column.answered_by}" for column in columns)
    source = f"Cases sha256 {dataset.digest[:12]}, suite sha256 {suite.digest[:12]}"
    lines += ["", f"{source}; {runs}." if runs else f"{source}; no pair was evaluated.", ""]
    return "\n".join(lines)


def _markdown(
    suite: Suite,
    columns: Sequence[tuple[str, dict[str, Metric]]],
    count: int,
    *,
    only: frozenset[str] | None = None,
) -> list[str]:
    lines = ["| | " + " | ".join(name for name, _ in columns) + " |", "|---|" + "---|" * len(columns)]
    for spec in suite.metrics:
        found = [metrics.get(spec.name) for _, metrics in columns]
        if (only is None or spec.name in only) and any(metric is not None for metric in found):
            cells = ["–" if metric is None else format_metric(metric, count) for metric in found]
            arrow = "↑" if spec.higher_is_better else "↓"
            lines.append(f"| {spec.name} {arrow} | " + " | ".join(cells) + " |")
    return lines
