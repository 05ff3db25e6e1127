"""Takes evidence over from another stage: the same signed attestation with its figures and cases, never a new label on it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from eval.spine.errors import Refused
from eval.tracking import store
from figures.metric import Metric, Unit
from service.core.release.attestation import GateAttestation, read_attestation
from service.core.release.release import DIGEST_TAG, ENVIRONMENT_TAG, NAME_TAG
from service.core.release.statements import TrustedKeys
from service.kit.aws.clients import client
from service.kit.frame.canonical import canonical_json, sha256_hex
from service.kit.frame.display.inert import one_line
from service.kit.settings import Settings

NO_BASELINE = "none"
ATTESTATION_FILE, BUNDLE_FILE = "attestation.json", "evidence.json"
_PARTS = ("attestation", "figures", "cases")
_MOST_BYTES = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """One pair's evidence in one text: the attestation's envelope, and the figures and cases whose digests it holds."""

    attestation: str
    figures: str
    cases: str

    @property
    def text(self) -> str:
        """The bundle as JSON."""
        return canonical_json({name: getattr(self, name) for name in _PARTS})


def put_bundle(folder: Path, *, task: str, stem: str, evaluation_id: str, settings: Settings) -> str:
    """Write the bundle that lies in a report's ``folder`` as ``<stem>.evidence.json`` into the evidence bucket."""
    from botocore.exceptions import BotoCoreError, ClientError

    bucket = settings.release.evidence_bucket
    text = (folder / f"{stem}.{BUNDLE_FILE}").read_bytes()
    key = f"evidence/{task}/{stem}/{evaluation_id}.{BUNDLE_FILE}"
    try:
        client("s3", settings).put_object(Bucket=bucket, Key=key, Body=text, ContentType="application/json")
    except (BotoCoreError, ClientError) as err:
        raise Refused(
            f"the evidence bucket {bucket} did not take {key} ({type(err).__name__}): check OMNI_EVIDENCE_BUCKET"
        ) from err
    return f"s3://{bucket}/{key}"


def read_bundle(address: str, settings: Settings) -> Bundle:
    """Read a bundle from a file or from ``s3://bucket/key``."""
    where = one_line(address, 200)
    try:
        raw = json.loads(_fetch(address, settings))
        if (
            not isinstance(raw, dict)
            or set(raw) != set(_PARTS)
            or not all(isinstance(raw[name], str) for name in _PARTS)
        ):
            raise ValueError("other fields")
    except (ValueError, RecursionError) as err:
        raise Refused(
            f"{where} is no evidence: give the <pair>.{BUNDLE_FILE} that the evaluation wrote beside its report, or into the "
            "evidence bucket"
        ) from err
    return Bundle(**raw)


def _fetch(address: str, settings: Settings) -> bytes:
    where = one_line(address, 200)
    parts = urlsplit(address)
    try:
        if parts.scheme == "s3":
            found = client("s3", settings).get_object(Bucket=parts.netloc, Key=parts.path.lstrip("/"))
            body: bytes = found["Body"].read(_MOST_BYTES + 1)
        else:
            with Path(address).open("rb") as file:
                body = file.read(_MOST_BYTES + 1)
    except Exception as err:  # botocore's errors have no common base with OSError; the reader needs one line either way
        code = getattr(err, "response", {}).get("Error", {}).get("Code") or type(err).__name__
        raise Refused(f"the evidence {where} cannot be read ({code}): give a file or s3://bucket/key") from err
    if len(body) > _MOST_BYTES:
        raise Refused(f"the evidence {where} is larger than {_MOST_BYTES >> 20} MiB")
    return body


def take_over(
    bundle: Bundle, *, task: str, pair_name: str, address: str, tracking: store.Tracking, keys: TrustedKeys
) -> GateAttestation:
    """Verify ``bundle``, record it in this store as one MLflow run unless it is there, and return its attestation.

    Whether it allows a release here is decided as for this store's own evaluations.

    Raises:
        Refused: it is about another pair, or its figures or cases are not those that were attested.
        RegistryError: its signature does not verify with the trusted keys, or the store failed.
    """
    where = one_line(address, 200)
    attestation, _ = read_attestation(bundle.attestation, keys, f"the attestation in {where}")
    if (attestation.task, attestation.pair_name) != (task, pair_name):
        raise Refused(f"{where} is about {attestation.task}/{attestation.pair_name}, not about {task}/{pair_name}")
    for name, text, attested in (
        ("figures", bundle.figures, attestation.figures_digest),
        ("cases", bundle.cases, attestation.cases_digest),
    ):
        if sha256_hex(text) != attested:
            raise Refused(
                f"the {name} in {where} are not those that were attested: somebody changed them; fetch it again"
            )
    if all(record.attestation != bundle.attestation for record in tracking.records(task, pair_name)):
        tracking.log_run(task, _run_log(bundle, attestation, where))
    return attestation


def _run_log(bundle: Bundle, attestation: GateAttestation, where: str) -> store.RunLog:
    table, figures = json.loads(bundle.cases), json.loads(bundle.figures)
    return store.RunLog(
        run_name=f"{attestation.pair_name} {attestation.evaluation_id}",
        tags={
            store.TAG_TASK: attestation.task,
            store.TAG_EVALUATION: attestation.evaluation_id,
            store.TAG_VERDICT: attestation.verdict,
            store.TAG_DATASET: attestation.dataset_digest,
            store.TAG_DATASET_NAME: attestation.dataset_name,
            store.TAG_SUITE: attestation.suite_digest,
            store.TAG_BASELINE: attestation.baseline_digest or NO_BASELINE,
            store.TAG_BEHAVIOUR: attestation.behaviour,
            store.TAG_ATTESTATION: bundle.attestation,
            DIGEST_TAG: attestation.pair_digest,
            NAME_TAG: attestation.pair_name,
            ENVIRONMENT_TAG: attestation.environment,
            "omni.headline": attestation.headline,
            "omni.origins": ", ".join(attestation.origins) or "none",
            "omni.answered_by": ", ".join(attestation.answered_by) or "none",
            "omni.code_version": attestation.code_version,
            "omni.evidence_from": where,
        },
        params={"pair": attestation.pair_name, "dataset": f"{attestation.dataset_name} ({attestation.case_count})"},
        metrics=store.logged_metrics(
            {
                "": metrics_of(figures["metrics"]),
                "backup/": metrics_of(figures["backup_metrics"]),
                "delta/": metrics_of(figures["deltas"]),
            }
        ),
        table=[dict(zip(table["columns"], row, strict=True)) for row in table["data"]],
        files=[],
        dataset={"name": attestation.dataset_name, "digest": attestation.dataset_digest, "source": where},
        texts={store.FIGURES_FILE: bundle.figures, ATTESTATION_FILE: bundle.attestation},
    )


def metrics_of(figures: Mapping[str, Any]) -> dict[str, Metric]:
    """Return one group of a ``figures.json``; the direction of a metric is not in it."""
    kept = ("value", "low", "high", "n")
    return {
        name: Metric(
            name=name, higher_is_better=True, unit=Unit(figure["unit"]), **{field: figure[field] for field in kept}
        )
        for name, figure in figures.items()
    }
