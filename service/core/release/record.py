"""The record of a pair as registries of agents have it: a view over the pair, its release and its signed evidence."""

import base64
import json
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from service.core.release.served import ServedPair
from service.core.release.unseen import ReadSentences, verdict_headline


class _Camel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class AgentConfig(_Camel):
    """How the model is sampled."""

    temperature: float
    maxTokens: int  # noqa: N815 - the record's name


class AgentPerformance(_Camel):
    """What the gate measured when the pair was released: ``approvalRate`` 0 to 1, ``avgScore`` 1 to 10.

    Null where the task's suite has no such figure, or the pair has no judge of its own.
    """

    approvalRate: float | None = None  # noqa: N815
    avgScore: float | None = None  # noqa: N815


class AgentRecord(_Camel):
    """One version of a task's pair that answers customers."""

    agentId: str = Field(description="The task")  # noqa: N815
    version: str = Field(description="The version that the pair's file states")
    promptTemplate: str = Field(description="The prompt in the registry")  # noqa: N815
    bedrockModel: str = Field(description="The id of the model that is asked first")  # noqa: N815
    config: AgentConfig
    status: Literal["production", "rollout"]
    share: int = Field(ge=0, le=100, description="Per cent of the customers whom this version answers")
    performance: AgentPerformance
    createdAt: str = Field(description="When it was released")  # noqa: N815
    approvalStatus: str = Field(description="The gate's verdict, with what nobody looked at")  # noqa: N815
    pairDigest: str  # noqa: N815


def agent_record(task: str, served: ServedPair, *, share: int) -> AgentRecord:
    """Return the record of a pair that answers ``share`` per cent of the customers."""
    pair, evidence = served.pair, predicate_of(served.attestation_envelope)
    measured = evidence.get("performance", {})
    return AgentRecord(
        agentId=task,
        version=pair.version,
        promptTemplate=f"prompts:/{task}/{served.registry_version}",
        bedrockModel=pair.model,
        config=AgentConfig(temperature=pair.sampling.temperature, maxTokens=pair.sampling.max_output_tokens),
        status="production" if served.rollout_arm == "production" else "rollout",
        share=share,
        performance=AgentPerformance(**{name: measured.get(name) for name in AgentPerformance.model_fields}),
        createdAt=served.released_at,
        approvalStatus=headline_of(evidence) if evidence else "no evidence",
        pairDigest=pair.digest,
    )


def headline_of(evidence: Mapping[str, Any]) -> str:
    """Return the verdict of an attestation's predicate, with what nobody looked at."""
    sentences = None if evidence.get("sentences") is None else ReadSentences(**evidence["sentences"])
    # Older attestations have neither list.
    return verdict_headline(evidence["verdict"], evidence.get("unseen"), evidence.get("looked_at", []), sentences)


def predicate_of(envelope: str) -> dict[str, Any]:
    """Return what a statement says that was verified when its pair was loaded; empty for the harness's own pair."""
    if not envelope:
        return {}
    payload = json.loads(base64.b64decode(json.loads(envelope)["payload"]))
    return dict(payload["predicate"])
