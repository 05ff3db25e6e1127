"""GET /v1/pairs and /v1/agents: the pair that each task serves, with its release (who, when, why), evidence and rollout."""

from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from service.api.answering import runtime_of, short_name
from service.api.examples import examples
from service.core.release.judge_exception import exception_from
from service.core.release.record import AgentRecord, agent_record, headline_of, predicate_of
from service.core.release.served import ServedPair
from service.kit.settings import Stage
from service.runtime import Runtime
from service.runtime.answering import AnsweringParts

router = APIRouter(prefix="/v1", tags=["operator"])
_SIGNED = ("kind", "why", "from_digest", "attestation", "unseen_allowed_in", "without_judge", "without_judge_by")


class ReleaseFacts(BaseModel):
    """The signed release of the served pair; ``attestation`` is the digest of its evidence."""

    sequence: int
    kind: str | None = None
    released_at: str
    released_by: str
    why: str | None = None
    from_digest: str | None = None
    attestation: str | None = None
    unseen_allowed_in: Stage | None = Field(
        default=None,
        description="The stage for which the releaser allowed this release although nobody looked at the kinds of harm in the "
        "evidence's `unseen` (OMNI_RELEASE_UNSEEN=allow); null: no such exception was signed",
    )
    without_judge: str | None = Field(default=None, description="Why nobody looked; null: no such exception")
    without_judge_by: str | None = Field(default=None, description="Who allowed the exception")
    without_judge_until: str | None = Field(
        default=None, description="The last day (UTC) on which the exception holds; after it the pair is still served"
    )
    exception_over: bool = Field(default=False, description="The exception has run out, and nobody has looked since")


class EvidenceFacts(BaseModel):
    """The signed gate attestation behind the release."""

    evaluation_id: str
    verdict: str
    headline: str = Field(description="The verdict with what nobody looked at, in words")
    unseen: list[str] | None = Field(
        description="Kinds of harm that only a judge can see, and that nobody looked at: the verdict says nothing about them. "
        "Empty: a judge that is licensed for it looked at every kind. Null: older evidence, which does not state it"
    )
    looked_at: list[str] = Field(description="Kinds of harm that a licensed judge looked at")
    dataset: str
    case_count: int
    behaviour: str
    issued_at: str
    expires_at: str
    environment: str


class PairInService(BaseModel):
    """One task's pair. ``source`` is ``last_known_good`` until the registry confirms it after a start."""

    model_config = ConfigDict(json_schema_extra=examples("PairInService"))

    task: str
    pair: str
    prompt_version: str
    pair_digest: str
    model: str
    backup: str | None
    parts: dict[str, list[str]] = Field(
        default={},
        description="The pair's further prompts by name, each with its model and its backup's, if it has one",
    )
    registry_version: int
    source: str
    release: ReleaseFacts
    evidence: EvidenceFacts | None
    last_refresh_at: str | None
    last_error: str | None
    rollout: dict[str, Any] | None = Field(
        default=None,
        description="The running rollout, if any: step, share, counts of both sides, why it was stopped, the candidate's "
        "evidence",
    )


class PairsAnswer(BaseModel):
    """Every task that serves a pair."""

    environment: str
    pairs: list[PairInService]


@router.get("/pairs")
async def pairs(request: Request) -> PairsAnswer:
    """Return the pair that answers each task, with its release and evidence."""
    runtime = runtime_of(request)
    found = [_in_service(task, runtime) for task in sorted(runtime.answering.pair_sources)]
    return PairsAnswer(environment=runtime.settings.environment, pairs=[pair for pair in found if pair is not None])


class AgentsAnswer(BaseModel):
    """Every version that answers customers: of each task the one in production, and the one that is rolled out."""

    model_config = ConfigDict(json_schema_extra=examples("AgentsAnswer"))

    agents: list[AgentRecord]


@router.get("/agents")
async def agents(request: Request) -> AgentsAnswer:
    """Return the records of the pairs that answer, in the words of a registry of agents."""
    return AgentsAnswer(agents=agents_of(runtime_of(request).answering))


def agents_of(answering: AnsweringParts) -> list[AgentRecord]:
    """Return the record of each task's pair in production, and behind it that of the pair which is rolled out."""
    found = list[AgentRecord]()
    for task in sorted(answering.pair_sources):
        served, control = answering.pair_sources[task].status().served, answering.rollouts.get(task)
        if served is None:
            continue
        candidate = None if control is None else control.candidate
        share = 0 if control is None or candidate is None else int(control.status()["percent"])
        found.append(agent_record(task, served, share=100 - share))
        if candidate is not None and share:
            found.append(agent_record(task, candidate, share=share))
    return found


def _in_service(task: str, runtime: Runtime) -> PairInService | None:
    status = runtime.answering.pair_sources[task].status()
    served = status.served
    if served is None:
        return None
    pair = served.pair
    return PairInService(
        task=task,
        pair=pair.name,
        prompt_version=f"v{pair.version}",
        pair_digest=pair.digest,
        model=short_name(pair.model, runtime),
        backup=None if pair.backup is None else short_name(pair.backup, runtime),
        parts={part.name: [short_name(model, runtime) for model in part.models] for part in pair.parts},
        registry_version=served.registry_version,
        source=served.source,
        release=_release(served, datetime.now(UTC)),
        evidence=_evidence(served),
        last_refresh_at=status.last_refresh_at,
        last_error=status.last_error,
        rollout=_rollout(task, runtime),
    )


def _rollout(task: str, runtime: Runtime) -> dict[str, Any] | None:
    control = runtime.answering.rollouts.get(task)
    status = None if control is None else control.status()
    if control is None or status is None or status["pair"] is None:
        return None
    evidence = None if control.candidate is None else _evidence(control.candidate)
    return status | {"evidence": None if evidence is None else evidence.model_dump()}


def _release(served: ServedPair, now: datetime) -> ReleaseFacts:
    said = predicate_of(served.release_envelope)
    signed = exception_from(said)
    return ReleaseFacts(
        without_judge_until=str(signed.until) if signed is not None else None,
        exception_over=signed is not None and signed.over(now),
        sequence=served.sequence,
        released_at=served.released_at,
        released_by=served.released_by,
        **{name: said.get(name) for name in _SIGNED},
    )


def _evidence(served: ServedPair) -> EvidenceFacts | None:
    said = predicate_of(served.attestation_envelope)
    if not said:
        return None
    derived = {
        "dataset": said["dataset_name"],
        "headline": headline_of(said),
        "unseen": said.get("unseen"),  # older attestations have neither
        "looked_at": said.get("looked_at", []),
    }
    return EvidenceFacts(**derived, **{name: said[name] for name in EvidenceFacts.model_fields.keys() - derived.keys()})
