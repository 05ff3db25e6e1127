"""Register, promote, roll back: how a pair that earned it becomes production, and how the last one comes back."""

from dataclasses import dataclass

from eval.behaviour.record import checks_of, find_result
from eval.cases import Dataset
from eval.errors import Refused
from eval.evidence import refusals
from eval.loaders import load_dataset
from eval.reading import check_line
from eval.results import Verdict
from eval.suite import Suite
from eval.suites import load_suite
from eval.tracking import Tracking
from service.cards import ModelCards
from service.errors import RegistryError
from service.pair import Pair
from service.pair_file import load_pair
from service.registry import check_store
from service.release import Release
from service.settings import Settings
from service.task import load_task


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """A pair as the registry holds it."""

    pair: Pair
    version: int

    @property
    def digest(self) -> str:
        """The pair's digest."""
        return self.pair.digest


def _load(task_name: str, pair_name: str, settings: Settings) -> tuple[Pair, Dataset, str]:
    task = load_task(task_name)
    cards = ModelCards.load(settings.prompts_dir / "models.yaml")
    pair = load_pair(
        settings.prompts_dir / task_name / f"{pair_name}.prompty", cards=cards, task_variables=task.variables
    )
    suite = load_suite(task_name)
    dataset = load_dataset(suite.gate_dataset, task=task_name, input_model=task.input_model, settings=settings)
    return pair, dataset, suite.digest


def register_pair(task_name: str, pair_name: str, settings: Settings) -> Registered:
    """Write the pair file's content into the registry.

    Raises:
        PairError: the file is missing or wrong.
        RegistryError: the store did not take it or gave back something else.
    """
    pair, _, _ = _load(task_name, pair_name, settings)
    return Registered(pair=pair, version=Tracking(settings.registry_uri).register(pair))


def promote_pair(task_name: str, pair_name: str, why: str, settings: Settings) -> Release:
    """Move the alias to the pair, if a passing gate for exactly this content is on record.

    Raises:
        Refused: there is no such evidence, or no reason was given.
        PairError, CaseError, RegistryError: something could not be read or written.
    """
    if not why.strip():
        raise Refused('say why: make promote PAIR=<name> WHY="one sentence"')
    pair, dataset, suite_digest = _load(task_name, pair_name, settings)
    suite = load_suite(task_name)
    _refuse_misbehaviour(pair, suite, settings)
    check_store(settings.registry_uri)
    tracking = Tracking(settings.registry_uri)
    try:
        production = tracking.production(task_name)
    except RegistryError as err:
        return _restore(tracking, pair, why, settings, err)
    production_digest = production.pair.digest if production else None
    if production_digest == pair.digest:
        raise Refused(f"{pair_name} {pair.digest[:12]} is in production already")
    evidence, reasons = refusals(
        tracking.evidence(task_name, pair_name=pair_name),
        pair_name=pair_name,
        pair_digest=pair.digest,
        dataset_digest=dataset.digest,
        dataset_name=dataset.name,
        suite_digest=suite_digest,
        production_digest=production_digest,
        environment=settings.environment,
        behaviour_required=suite.behaviour is not None and settings.environment in suite.behaviour.required_in,
    )
    if evidence is None:
        raise Refused(f"{pair_name} {pair.digest[:12]} is not promoted: " + "; ".join(reasons))
    version = tracking.register(pair)
    return tracking.release(
        pair,
        version,
        kind="promote",
        gate_run_id=evidence.mlflow_run_id,
        why=why.strip(),
        environment=settings.environment,
        expected_from=production_digest,
    )


def _refuse_misbehaviour(pair: Pair, suite: Suite, settings: Settings) -> None:
    """Refuse a pair that misbehaved after its gate had passed: the gate could not know of it then."""
    result = find_result(pair.digest, suite, settings)
    failed = [] if result is None else [c for c in checks_of(result, suite) if c.verdict is Verdict.FAIL]
    if result is not None and failed:
        raise Refused(
            f"{pair.name} {pair.digest[:12]} is not promoted: the behaviour run of {result.at} fails "
            + "; ".join(check_line(check, suite) for check in failed)
            + f". Mend the pair, then run `make gate PAIR={pair.name}`"
        )


def _restore(tracking: Tracking, pair: Pair, why: str, settings: Settings, damage: RegistryError) -> Release:
    """Release the production pair once more from its file, under a new version: the registered one was changed.

    It earned its place by the gate run that its release names; nothing else may be promoted over a damaged registry.
    """
    releases = tracking.releases(pair.task)
    if not releases or releases[0].pair_digest != pair.digest:
        name = releases[0].pair_name if releases else "?"
        raise Refused(f"{damage}. Put production back first: make promote PAIR={name} WHY=..., or make rollback")
    return tracking.release(
        pair,
        tracking.register(pair),
        kind="restore",
        gate_run_id=releases[0].gate_run_id,
        why=why.strip(),
        environment=settings.environment,
        expected_from=None,
    )


def roll_back(task_name: str, why: str, to: int | None, settings: Settings) -> Release:
    """Release again what release ``to`` (default: the newest release of another digest) had released.

    Raises:
        Refused: there is nothing to go back to, or no reason was given.
        RegistryError: the store failed, or the version was changed since.
    """
    if not why.strip():
        raise Refused('say why: make rollback WHY="one sentence"')
    check_store(settings.registry_uri)
    tracking = Tracking(settings.registry_uri)
    releases = tracking.releases(task_name)
    if not releases:
        raise Refused(f"nothing of task {task_name!r} was ever released")
    newest = releases[0]
    if to is None:
        target = next((release for release in releases if release.pair_digest != newest.pair_digest), None)
    else:
        target = next((release for release in releases if release.sequence == to), None)
    if target is None:
        raise Refused("there is no earlier release of another pair to return to; see `python -m eval history`")
    pair = tracking.pair_of(task_name, target.registry_version)
    return tracking.release(
        pair,
        target.registry_version,
        kind="rollback",
        gate_run_id=target.gate_run_id,
        why=why.strip(),
        environment=settings.environment,
        expected_from=newest.pair_digest,
    )


def release_history(task_name: str, settings: Settings) -> list[Release]:
    """Return every release of the task, newest first.

    Raises:
        RegistryError: the store cannot be read.
    """
    check_store(settings.registry_uri)
    return Tracking(settings.registry_uri).releases(task_name)
