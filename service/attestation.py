"""The gate attestation: what was judged, on what, by what, with which verdict, and until when that counts."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError

from service.errors import RegistryError
from service.statements import Statement, TrustedKeys, build_statement, read_statement

GATE_TYPE = "https://omni-insights.dev/gate/v1"  # a name; nothing is fetched
_SUBJECT = ("pair_name", "pair_digest")


@dataclass(frozen=True, slots=True, kw_only=True)
class GateAttestation:
    """One pair's verdict in one evaluation. Times are ISO 8601 UTC, digests SHA-256 in hexadecimal.

    ``scope`` is ``gate`` only for the whole gate set of the suite; ``checks`` counts verdicts, ``behaviour`` is the
    worst of the behaviour checks among them. Every metric and check stands
    in the run's ``figures.json`` and every case in its ``cases.json``, which the two digests fix: AWS KMS signs at most
    4,096 bytes with Ed25519, whatever the number of metrics.
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
    baseline_digest: str | None
    evaluation_id: str
    verdict: Literal["pass", "fail", "inconclusive"]
    checks: dict[str, int]
    behaviour: Literal["pass", "fail", "inconclusive", "not measured"] = "not measured"
    figures_digest: str
    cases_digest: str
    issued_at: datetime
    expires_at: datetime

    def statement(self) -> dict[str, Any]:
        """Return the in-toto statement to sign."""
        predicate = _ADAPTER.dump_python(self, mode="json", exclude=set(_SUBJECT))
        return build_statement(f"{self.task}/{self.pair_name}", self.pair_digest, GATE_TYPE, predicate)


_ADAPTER: TypeAdapter[GateAttestation] = TypeAdapter(GateAttestation)


def read_attestation(text: str, keys: TrustedKeys, what: str) -> tuple[GateAttestation, Statement]:
    """Verify an attestation envelope and return it with its statement.

    Raises:
        RegistryError: it does not verify or lacks fields; ``what`` names it.
    """
    statement = read_statement(text, keys=keys, predicate_type=GATE_TYPE, what=what)
    task, _, name = statement.subject_name.partition("/")
    try:
        attestation = _ADAPTER.validate_python(
            statement.predicate | {"pair_name": name, "pair_digest": statement.subject_digest}
        )
    except ValidationError as err:
        missing = ", ".join(".".join(map(str, item["loc"])) for item in err.errors())
        raise RegistryError(
            f"{what} has wrong fields ({missing}): evaluate again with this version of the code"
        ) from err
    times = (attestation.issued_at, attestation.expires_at)
    if attestation.task != task or any(time.tzinfo is None for time in times):
        raise RegistryError(f"{what} contradicts itself: evaluate again")
    return attestation, statement
