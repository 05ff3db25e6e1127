"""A pair that is to be released: what its evidence must have seen, and the evidence that allows the release."""

from dataclasses import dataclass

from eval.release.evidence import PairEvidence, read_evidence, refusals
from eval.run.loaders import load_gate
from eval.spine.cases import Dataset
from eval.spine.errors import Refused
from eval.spine.suite import Suite
from eval.suites import load_suite
from eval.tracking.store import Tracking
from service.core.release.attestation import GateAttestation
from service.core.release.statements import TrustedKeys
from service.core.run.task import load_task
from service.core.unit.cards import ModelCards
from service.core.unit.pair import Pair
from service.core.unit.pair_file import load_pair
from service.kit.frame.clock import wall_clock
from service.kit.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class ToRelease:
    """The pair as its file holds it, its task's suite, and the suite's gate set."""

    pair: Pair
    suite: Suite
    dataset: Dataset


def read_to_release(task_name: str, pair_name: str, settings: Settings) -> ToRelease:
    """Read the pair's file, the suite and the gate set.

    Raises:
        PairError, CaseError, ConfigurationError: something is missing or wrong.
    """
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
    """Refuse a demo outside stage ``local``.

    Raises:
        Refused: naming the file to change.
    """
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
