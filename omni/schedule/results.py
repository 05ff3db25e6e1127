"""Makes of a run what is delivered: the report that the command printed, its output, or word of its failure."""

from base64 import b64encode
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from figures.command_line import is_simulated, omni
from omni.delivery.outgoing import Outgoing, OutgoingFile
from omni.schedule.plan import ScheduledJob
from omni.schedule.runs import RunRecord
from service.kit.frame.strict import NotStrict, parse_json, read_strict

_MOST_BYTES = 1_000_000
_MOST_LINES = 20
_MEDIA_TYPES = {".html": "text/html", ".md": "text/markdown"}


class NoReport(Exception):
    """A command that ended well printed no report, or named files that cannot be read."""


class PrintedReport(BaseModel):
    """What `omni report --json` prints, as far as it is delivered."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    report_id: str
    headline: str
    evidence: str
    note: str
    page: Path
    digest: Path


def result_of(job: ScheduledJob, record: RunRecord, out: Path, err: Path, now: datetime) -> Outgoing | None:
    """Return what the job's destinations get of a run that has ended; None if nothing.

    Raises:
        NoReport: a report was to be delivered and there is none.
    """
    rule = job.deliver
    if rule is None:
        return None
    if record.state in ("done", "attention"):
        if rule.what == "report":
            return _printed(out, now) if record.state == "done" else None
        wanted = rule.what == "output" or record.state == "attention"
        title = f"{job.id}: {job.what}" if record.state == "done" else f"{job.id} found something: {job.what}"
        return _told(job, record, title, _last_lines(out, err), now) if wanted else None
    if not record.is_final(job):
        return None
    lines = [record.detail, f"Due {record.slot:%Y-%m-%d %H:%M} UTC. On its machine: {omni('schedule', 'status')}"]
    return _told(job, record, f"{job.id} could not run: {job.what}", lines, now, ending="-failed")


def last_line(out: Path, err: Path) -> str:
    """Return the last line that the command printed, errors first; "" if it printed nothing."""
    return next((lines[-1] for lines in (_lines(err), _lines(out)) if lines), "")


def _printed(out: Path, now: datetime) -> Outgoing:
    try:
        found = PrintedReport.model_validate(parse_json(read_strict(out, _MOST_BYTES)))
        files = tuple(_file(path) for path in (found.page, found.digest))
        return Outgoing(
            report_id=found.report_id,
            title=found.headline,
            lines=tuple(filter(None, (found.evidence, found.note))),
            files=files,
            made_at=now,
        )
    except NotStrict as err:
        raise NoReport(f"the command printed no report: {err}") from err
    except ValidationError as err:
        raise NoReport(f"the command printed no report: {err.errors(include_url=False)[0]['msg']}") from err
    except OSError as err:
        raise NoReport(f"a file of the report cannot be read: {err.filename}") from err


def _file(path: Path) -> OutgoingFile:
    media_type = _MEDIA_TYPES.get(path.suffix, "text/plain")
    return OutgoingFile(name=path.name, media_type=media_type, content=b64encode(path.read_bytes()))


def _told(
    job: ScheduledJob, record: RunRecord, title: str, lines: Sequence[str], now: datetime, ending: str = ""
) -> Outgoing:
    simulated = is_simulated()
    return Outgoing(
        report_id=f"{'simulated-' if simulated else ''}{job.id}-{record.slot:%Y-%m-%dT%H%MZ}{ending}",
        title=f"Simulated weeks: {title}" if simulated else title,
        lines=tuple(lines),
        made_at=now,
    )


def _last_lines(out: Path, err: Path) -> list[str]:
    lines = [*_lines(out), *_lines(err)]
    left_out = len(lines) - _MOST_LINES
    return [f"({left_out} lines before these)", *lines[-_MOST_LINES:]] if left_out > 0 else lines


def _lines(path: Path) -> list[str]:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _MOST_BYTES))
        text = file.read().decode("utf-8", errors="replace")
    return [line.rstrip() for line in text.splitlines() if line.strip()]
