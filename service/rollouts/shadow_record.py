"""The record of one shadow answer: what the candidate would have answered, beside what production did answer."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from service.core.run.task import Arm, TaskResult

SHADOW_PREFIX = "omni-shadow/"  # beside `omni-channel/`, whose objects the loader is told about


class AnswerRecord(BaseModel):
    """One pair's answer to a request; ``output`` is what a customer's agent would read, after the guard and the fallback.

    ``guarded`` lists the kinds of all findings of the guard, also those in answers that were repaired or replaced.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    pair_digest: str = Field(min_length=1)
    output: str | None
    arm: Arm
    model: str
    answered_by: str
    latency_ms: float = Field(ge=0)
    cost_usd: Decimal | None
    failure: str | None
    guarded: tuple[str, ...]
    repaired: bool

    @classmethod
    def of(cls, result: TaskResult, pair_digest: str) -> "AnswerRecord":
        """Return what to keep of ``result``."""
        return cls(
            pair_digest=pair_digest,
            output=result.output,
            arm=result.arm,
            model=result.model,
            answered_by=result.answered_by,
            latency_ms=round(result.latency_ms, 1),
            cost_usd=None if result.cost is None else result.cost.metered_usd,
            failure=result.failure,
            guarded=result.guarded,
            repaired=result.repaired,
        )


class ShadowRecord(BaseModel):
    """One request, answered twice. ``inputs`` are the task's own, with the ids of persons replaced.

    ``id`` is unique; lines that were written before it existed have "".
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(default="", pattern=r"^[0-9a-f]*$")
    at: AwareDatetime
    task: str
    rollout: int
    inputs: dict[str, Any]
    shown: AnswerRecord
    unseen: AnswerRecord

    @property
    def object_key(self) -> str:
        """Key of the record's object in S3: by task and hour, so that a listing is in the order of time."""
        return f"{shadow_prefix(self.task)}{_hour(self.at)}{self.id}.json"


def shadow_prefix(task: str) -> str:
    """Return the prefix of the keys of all records of ``task``."""
    return f"{SHADOW_PREFIX}{task}/"


def _hour(at: datetime) -> str:
    return f"{at:%Y/%m/%d/%H}/"
