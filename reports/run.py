"""Reads the warehouse and writes one week's three files, for one task or all."""

import os
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from figures.command_line import is_simulated
from figures.files import out_folder
from reports.errors import TaskError, WeekError
from reports.read.weeks import Week
from service.kit.frame.clock import wall_clock
from service.kit.settings import Settings
from service.warehouse.opening import open_warehouse

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from reports.compare.advice import Action
    from reports.compare.weekly import WeeklyReport
    from service.warehouse.port import Warehouse

DEFAULT_TASK = "summarize"  # whose week without answers is reported where no task has any


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenReport:
    """The paths of the files written, the report's headline and the sentence with its figures.

    ``report_id`` is the same for every report on these tasks and week; ``note`` says that the week is simulated, else "".
    ``tasks`` are the page's, as is the order of ``actions``. ``empty``: the week holds no answer and no scored call of them.
    """

    report_id: str
    tasks: tuple[str, ...]
    headline: str
    evidence: str
    note: str
    page: Path
    digest: Path
    numbers: Path
    actions: "tuple[Action, ...]" = ()
    empty: bool = False


def write_weekly(
    settings: Settings, *, week: str = "", task: str = "", zone: str = "", now: datetime | None = None
) -> WrittenReport:
    """Write page, digest and numbers to ``reports/out/weekly/<week>/``. The warehouse is open only while it is read.

    They cover all tasks with answers in the week or the one before. Those of one ``task`` go to a folder of its name below.
    A simulated week goes to ``reports/out/simulated/weekly/``, and its files' names, like their contents, say so.

    Args:
        settings: which warehouse to read, and the root folder to write below.
        week: ISO week as 2026-W47, "" for the last one that is over.
        task: name of the only task to report on, "" for all.
        zone: IANA time zone of the week, "" for the one in the settings.
        now: aware time of the report; default: the current time.

    Raises:
        WeekError: there is no such week or zone, or the week has not begun.
        TaskError: there is no such task.
        WarehouseError: there is no warehouse, or another process has locked it.
    """
    # A k-means step over a few hundred texts takes less time than waking up a second thread.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    moment = now or datetime.now(UTC)
    zone_name = zone or settings.warehouse.report_zone
    chosen = Week.parse(week, zone_name) if week else Week.before(moment, zone_name)
    if chosen.start > moment:
        raise WeekError(f"week {chosen.name} has not begun: it starts {chosen.start:%Y-%m-%d %H:%M} UTC")
    warehouse = open_warehouse(settings, read_only=True)
    try:
        from reports.read.data import read_week
        from reports.read.stops import read_stops

        # Scored calls are of no task: they stand once, with the first.
        tasks = _tasks(warehouse, settings, chosen, task, moment)
        stops = read_stops(settings, tasks)
        read = [
            read_week(warehouse, chosen, name, moment, with_calls=place == 0, stops=stops.get(name, ()))
            for place, name in enumerate(tasks)
        ]
    finally:
        warehouse.close()
    from reports.compare.weekly import make_report
    from reports.write.overview import by_urgency

    reports = by_urgency([make_report(data, simulated=is_simulated()) for data in read])
    folder = out_folder(settings.root, "weekly") / chosen.name / task
    folder.mkdir(parents=True, exist_ok=True)
    return _written(folder, reports)


def feature_drift_lines(settings: Settings, names: "Sequence[str]", *, days: int) -> "Iterator[str]":
    """Yield how each feature of all customers differs from what was known ``days`` ago; ``names``: views, none for all served.

    Raises:
        ConfigurationError: there is no view of a name.
        WarehouseError: there is no warehouse, or it is busy.
    """
    from reports.compare.drift import feature_drifts
    from reports.read.features import framed
    from service.features.definitions import read_views
    from service.features.history import values_at

    now, views = datetime.now(UTC), read_views()
    with closing(open_warehouse(settings, read_only=True)) as warehouse:
        for view in [views.find(name) for name in names] or views.served():
            rows: list[tuple[int, dict[str, object]]] = []
            for period, moment in ((0, now), (-1, now - timedelta(days=days))):
                frame = values_at(warehouse, view, moment).rows[list(view.columns)]
                known = frame.astype(object).where(frame.notna(), None).to_dict("records")
                rows += [(period, {str(name): value for name, value in row.items()}) for row in known]
            yield f"{view.id}, now against {days} days ago:"
            for one in feature_drifts(framed(rows)):
                ks = "" if one.ks is None else f", KS {one.ks:.3f}"
                yield f"  {one.name}: {one.result}, PSI {one.psi:.3f} (by chance {one.chance:.3f}){ks}; {one.most or 'no change'}"


def look_at_approvals(settings: Settings, task: str) -> tuple[list[str], bool]:
    """Return what pairs approved of their own messages as lines, and whether something is unusual; logs what alarms ring for.

    Raises:
        WarehouseError: there is no warehouse, or another process has locked it.
    """
    from reports.compare.approvals import KINDS, LOWEST, findings_of
    from reports.read.approvals import read_approvals
    from reports.write.approvals import approval_lines
    from service.kit.telemetry.exporting import exporting
    from service.kit.telemetry.log import Event, configure_logging, log

    configure_logging(settings.telemetry.log_level)
    with closing(open_warehouse(settings, read_only=True)) as warehouse, exporting(settings):
        data = read_approvals(warehouse, task, wall_clock(settings.clock_file)())
        found = findings_of(data)
        counts = {kind: sum(one.kind == kind for one in found) for kind in KINDS}
        log(Event.APPROVALS_CHECKED, task=task, judged=int(data.days["judged"].sum()), **counts)
    told = [f"{one.kind}: {one.told}" for one in found]
    quiet = f"nothing unusual; an alarm rings below {LOWEST:.2f}, and beyond chance"
    return [*approval_lines(data), *(told or [quiet])], bool(found)


def _written(folder: Path, reports: "Sequence[WeeklyReport]") -> WrittenReport:
    from reports.write import digest, numbers, page
    from reports.write.headline import SIMULATED_WARNING, evidence_sentence, file_name, headline
    from reports.write.overview import overall_actions, overall_evidence, overall_headline

    first, several = reports[0], len(reports) > 1
    week = first.data.week.name
    return WrittenReport(
        report_id=file_name(first, f"weekly-{week}" if several else f"weekly-{first.data.task}-{week}"),
        tasks=tuple(report.data.task for report in reports),
        headline=overall_headline(reports) if several else headline(first),
        evidence=overall_evidence(reports) if several else evidence_sentence(first),
        note=f"{SIMULATED_WARNING}." if first.simulated else "",
        page=page.write_page(folder, *reports),
        digest=digest.write_digest(folder, *reports),
        numbers=numbers.write_numbers(folder, *reports),
        actions=tuple(overall_actions(reports) if several else first.actions),
        empty=all(report.outcome == "no data" and not report.scores.calls for report in reports),
    )


def _tasks(warehouse: "Warehouse", settings: Settings, week: Week, task: str, now: datetime) -> list[str]:
    """Return the tasks to report on: ``task`` alone, or those with answers in the week or the one before, most first.

    Raises:
        TaskError: the warehouse has no answer of ``task`` from any week, and ``prompts/`` no folder for it.
    """
    from reports.read.data import answered_tasks, known_tasks

    if not task:
        found = answered_tasks(warehouse, week, now) | answered_tasks(warehouse, week.shifted(-1), now)
        return list(found) or [DEFAULT_TASK]
    known = {*known_tasks(warehouse), *(path.name for path in settings.prompts_dir.glob("*/") if path.name != "judges")}
    if known and task not in known:
        raise TaskError(f"no task {task!r}; tasks: {', '.join(sorted(known))}. Without --task the report covers all.")
    return [task]
