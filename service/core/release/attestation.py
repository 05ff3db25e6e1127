"""The gate attestation: a signed statement of one pair's verdict, with its data, tools and expiry time."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Literal

from pydantic import ConfigDict, TypeAdapter

from service.core.llm.model_call import AnswerOrigin
from service.core.release.statements import Statement, TrustedKeys, build_statement, read_claims
from service.core.release.unseen import ReadSentences, verdict_headline

GATE_TYPE = "https://omni-insights.dev/gate/v1"  # a name; nothing is fetched
_SUBJECT = ("pair_name", "pair_digest")


@dataclass(frozen=True, slots=True, kw_only=True)
class GateAttestation:
    """One pair's verdict in one evaluation. Times are ISO 8601 UTC, digests SHA-256 in hexadecimal.

    ``scope`` is ``gate`` only for the whole gate set of the suite; ``checks`` counts verdicts, ``behaviour`` is the worst of
    the behaviour checks. The run's ``figures.json`` holds every metric and check and its ``cases.json`` every case; the
    statement holds only their digests, because AWS KMS signs at most 4,096 bytes with Ed25519.

    ``looked_at`` and ``unseen`` divide the kinds of harm that only a judge can see (``Suite.judged_only``): those that a
    licensed judge looked at, and those that nobody looked at. ``unseen`` None: older evidence, which does not state them.
    ``sentences`` counts what code or a reader accounts for; None: older evidence.

    ``origins`` are those of all answers that the verdict rests on: the pair's, those of the pair in production that it was
    compared with, and those of the judges whose figures gate. Empty: older evidence, which does not state them.

    ``counterpart`` is the digest of the code that talked to the pair where cases were played out, such as the scripted customer.
    ``documents`` are the digests of the indexes that the pair's tools searched, sorted. ``performance`` are the figures by which
    people know a pair, by the suite's names for them.

    ``candidates_tried`` is how many candidates a search measured before it chose this pair, and ``search_looks`` for how many
    looks of the search at the gate's cases the verdict's intervals are widened; both are 0 for a pair that a person wrote.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    pair_name: str
    pair_digest: str
    task: str
    scope: Literal["gate", "other"]
    dataset_name: str
    dataset_digest: str
    case_count: int
    suite_digest: str
    judges: tuple[str, ...]
    code_version: str
    environment: Literal["local", "aws"]
    answered_by: tuple[str, ...]
    origins: tuple[AnswerOrigin, ...] = ()
    baseline_digest: str | None
    evaluation_id: str
    verdict: Literal["pass", "fail", "inconclusive"]
    checks: dict[str, int]
    behaviour: Literal["pass", "fail", "inconclusive", "not measured"] = "not measured"
    unseen: tuple[str, ...] | None = None
    looked_at: tuple[str, ...] = ()
    sentences: ReadSentences | None = None
    counterpart: str = ""
    documents: tuple[str, ...] = ()
    performance: dict[str, float] = field(default_factory=dict)
    candidates_tried: int = 0
    search_looks: int = 0
    figures_digest: str
    cases_digest: str
    issued_at: datetime
    expires_at: datetime

    @property
    def moments(self) -> tuple[datetime, ...]:
        """All times in the statement."""
        return (self.issued_at, self.expires_at)

    @property
    def headline(self) -> str:
        """The verdict with what nobody looked at."""
        return verdict_headline(self.verdict, self.unseen, self.looked_at, self.sentences)

    def statement(self) -> dict[str, Any]:
        """Return the in-toto statement to sign."""
        optional = ("candidates_tried", "counterpart", "documents", "performance", "search_looks", "sentences")
        left_out = {*_SUBJECT, *(name for name in optional if not getattr(self, name))}
        predicate = _ADAPTER.dump_python(self, mode="json", exclude=left_out)
        return build_statement(f"{self.task}/{self.pair_name}", self.pair_digest, GATE_TYPE, predicate)


_ADAPTER: TypeAdapter[GateAttestation] = TypeAdapter(GateAttestation)


def read_attestation(text: str, keys: TrustedKeys, what: str) -> tuple[GateAttestation, Statement]:
    """Verify an attestation envelope and return it with its statement.

    Raises:
        RegistryError: it does not verify or lacks fields; ``what`` names it.
    """
    return read_claims(
        _ADAPTER,
        text,
        keys=keys.for_evidence,
        predicate_type=GATE_TYPE,
        what=what,
        remedy="evaluate again with this version of the code",
    )
