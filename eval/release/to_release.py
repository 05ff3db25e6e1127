"""A pair that is to be released: what its evidence must have seen, and the evidence that allows the release."""

import json
from dataclasses import dataclass

from eval.release.evidence import PairEvidence, read_evidence, refusals
from eval.release.reference import metrics_of
from eval.run.loaders import load_gate
from eval.spine.cases import Dataset
from eval.spine.errors import Refused
from eval.spine.results import Verdict
from eval.spine.suite import Suite
from eval.suites import load_suite
from eval.tracking.best_of_year import leads_of_year
from eval.tracking.store import FIGURES_FILE, Tracking
from eval.verdict.gate import best_of_year_checks
from service.core.release.attestation import GateAttestation
from service.core.release.statements import TrustedKeys
from service.core.run.task import load_task
from service.core.unit.cards import ModelCards
from service.core.unit.pair import Pair
from service.core.unit.pair_file import load_pair
from service.kit.frame.canonical import sha256_hex
from service.kit.frame.clock import wall_clock
from service.kit.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class ToRelease:
    """The pair as its file holds it, its task's suite, and the suite's gate set."""

    pair: Pair
    suite: Suite
    dataset: Dataset


def read_to_release(task_name: str, pair_name: str, settings: Settings) -> ToRelease:
    """Read the pair's file, the suite and the gate set."""
    task, suite = load_task(task_name), load_suite(task_name)
    cards = ModelCards.load(settings.prompts_dir / "models.yaml")
    pair = load_pair(
        settings.prompts_dir / task_name / f"{pair_name}.prompty",
        cards=cards,
        task_variables=task.variables,
        part_variables=task.part_variables,
    )
    dataset = load_gate(suite, input_model=suite.case_model(task.input_model), settings=settings)
    return ToRelease(pair=pair, suite=suite, dataset=dataset)


def refuse_demo(pair: Pair, settings: Settings) -> None:
    """Refuse a demo outside stage ``local``."""
    if pair.role == "demo" and settings.stage != "local":
        raise Refused(
            f"{pair.name} is a demo, and stage {settings.stage!r} serves none: say `role: candidate` in "
            f"prompts/{pair.task}/{pair.name}.prompty if it is one"
        )


def find_evidence(
    wanted: ToRelease,
    production_digest: str | None,
    *,
    doing: str,
    tracking: Tracking,
    keys: TrustedKeys,
    settings: Settings,
) -> tuple[PairEvidence, GateAttestation]:
    """Return the evaluation that allows releasing ``wanted`` here, with its attestation.

    Raises:
        Refused: there is none; the message says why, that the pair is not ``doing`` (as "promoted"), and what to do.
    """
    pair, suite = wanted.pair, wanted.suite
    evidence, reasons = refusals(
        read_evidence(tracking.records(pair.task, pair.name), keys),
        task_name=pair.task,
        pair_name=pair.name,
        pair_digest=pair.digest,
        dataset_digest=wanted.dataset.digest,
        dataset_name=wanted.dataset.name,
        suite_digest=suite.digest,
        production_digest=production_digest,
        environment=settings.environment,
        stage=settings.stage,
        now=wall_clock(settings.clock_file)(),
        behaviour_required=suite.behaviour is not None and settings.environment in suite.behaviour.required_in,
    )
    if evidence is None or evidence.attestation is None:
        raise Refused(f"{pair.name} {pair.digest[:12]} is not {doing}: " + "; ".join(reasons))
    return evidence, evidence.attestation


def refuse_below_best(wanted: ToRelease, evidence: PairEvidence, tracking: Tracking, settings: Settings) -> None:
    """Refuse a pair that is more than one margin worse than the best release of the last year in this stage.

    Its evidence says so of the stage that it is from, and another stage had other releases.
    """
    leads = leads_of_year(wanted.pair.task, tracking, tracking.keys, wall_clock(settings.clock_file)())
    text = tracking.artifact(evidence.mlflow_run_id, FIGURES_FILE) if leads else None
    attestation = evidence.attestation
    if text is None or attestation is None or sha256_hex(text) != attestation.figures_digest:
        return  # nothing to compare with; `omni verify` reports figures that are gone or were changed
    deltas = metrics_of(json.loads(text)["deltas"])
    below = [
        f"{check.name} ({check.explanation})"
        for check in best_of_year_checks(wanted.suite, deltas, leads)
        if check.verdict is not Verdict.PASS
    ]
    if below:
        raise Refused(f"{wanted.pair.name} {wanted.pair.digest[:12]} is not promoted: {'; '.join(below)}")
