"""The last result of `make drill`, which `omni doctor --release` shows: the tests that are too long for every change."""

from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from service.operate.doctor.checks import CheckedPart

_OLD_DAYS = 3  # it runs each night; two nights may be missed


class DrillResult(BaseModel):
    """What one run of the drill gave; ``at`` is when it ended, ``commit`` what it ran on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    at: datetime
    commit: str
    minutes: float
    passed: int
    failed: tuple[str, ...]
    skipped: int


def check_drill(root: Path, *, now: datetime | None = None) -> CheckedPart:
    """Return what docs/drill.json under ``root`` says as one part; its name says date, commit, counts and minutes."""
    do = "run make drill, or look at the workflow nightly"
    try:
        result = DrillResult.model_validate_json((root / "docs" / "drill.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return CheckedPart(part="drill", problem="docs/drill.json is not there: it has never run", do=do)
    except ValidationError as err:
        return CheckedPart(part="drill", problem=f"docs/drill.json: {str(err).splitlines()[0]}", do=do)
    part = (
        f"drill of {result.at:%Y-%m-%d} on {result.commit[:9]}: {result.passed} passed, {len(result.failed)} failed, "
        f"{result.skipped} skipped in {result.minutes:.0f} minutes"
    )
    if result.failed:
        return CheckedPart(part=part, problem=f"failed: {', '.join(result.failed[:5])}", do=do)
    days = ((now or datetime.now(UTC)) - result.at).days
    if days > _OLD_DAYS:
        return CheckedPart(part=part, problem=f"it is {days} days old", do=do)
    return CheckedPart(part=part)
