"""Reads the warehouse and writes one week's three files."""

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from figures.command_line import is_simulated
from figures.files import out_folder
from reports.errors import WeekError
from reports.read.weeks import Week
from service.settings import Settings
from service.warehouse.opening import open_warehouse

if TYPE_CHECKING:
    from reports.compare.advice import Action


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenReport:
    """The paths of the files written, the report's headline and the sentence with its figures.

    ``report_id`` is the same for every report on this task and week; ``note`` says that the week is simulated, else "".
    ``actions`` are the page's, in its order.
    """

    report_id: str
    headline: str
    evidence: str
    note: str
    page: Path
    digest: Path
    numbers: Path
    actions: "tuple[Action, ...]" = ()


def write_weekly(
    settings: Settings, *, week: str = "", task: str = "summarize", zone: str = "", now: datetime | None = None
) -> WrittenReport:
    """Write page, digest and numbers to ``reports/out/weekly/<week>/``. The warehouse is open only while it is read.

    A simulated week goes to ``reports/out/simulated/weekly/<week>/``, and its files' names, like their contents, say so.

    Args:
        settings: which warehouse to read, and the root folder to write below.
        week: ISO week as 2026-W47, "" for the last one that is over.
        task: name of the task.
        zone: IANA time zone of the week, "" for the one in the settings.
        now: aware time of the report; default: the current time.

    Raises:
        WeekError: there is no such week or zone, or the week has not begun.
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

        data = read_week(warehouse, chosen, task, moment)
    finally:
        warehouse.close()
    from reports.compare.weekly import make_report
    from reports.write import digest, numbers, page
    from reports.write.headline import SIMULATED_WARNING, evidence_sentence, file_name, headline

    report = make_report(data, simulated=is_simulated())
    folder = out_folder(settings.root, "weekly") / chosen.name
    folder.mkdir(parents=True, exist_ok=True)
    return WrittenReport(
        report_id=file_name(report, f"weekly-{task}-{chosen.name}"),
        headline=headline(report),
        evidence=evidence_sentence(report),
        note=f"{SIMULATED_WARNING}." if report.simulated else "",
        page=page.write_page(report, folder),
        digest=digest.write_digest(report, folder),
        numbers=numbers.write_numbers(report, folder),
        actions=tuple(report.actions),
    )
