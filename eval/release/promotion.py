"""Register, promote, roll back: how a pair that earned it becomes production, and how the last one comes back."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from eval.behaviour.record import checks_of, find_result
from eval.cases import Dataset
from eval.errors import Refused
from eval.loaders import load_gate
from eval.release.evidence import read_evidence, refusals
from eval.release.ledger import Ledger
from eval.release.signing import signer_to_release
from eval.report.conclusions import check_line
from eval.results import Verdict
from eval.suite import Suite
from eval.suites import load_suite
from eval.tracking.store import Production, Tracking
from service.cards import ModelCards
from service.clock import wall_clock
from service.errors import RegistryError
from service.pair import Pair
from service.pair_file import load_pair
from service.release.attestation import read_attestation
from service.release.registry import check_store
from service.release.release import Release
from service.release.statements import TrustedKeys, load_trusted_keys
from service.settings import Settings
from service.task import load_task

if TYPE_CHECKING:
    from securesystemslib.signer import Signer


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
    dataset = load_gate(suite, input_model=task.input_model, settings=settings)
    return pair, dataset, suite.digest


def register_pair(task_name: str, pair_name: str, settings: Settings) -> Registered:
    """Write the pair file's content into the registry.

    Raises:
        PairError: the file is missing or wrong.
        RegistryError: the store did not take it or gave back something else.
    """
    pair, _, _ = _load(task_name, pair_name, settings)
    tracking = Tracking(settings.registry.uri, trusted_keys=settings.trusted_keys_file)
    return Registered(pair=pair, version=tracking.register(pair))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Desk:
    """What a release is made with: the open store, its ledger as it was read at the start, and who signs."""

    tracking: Tracking
    ledger: Ledger
    keys: TrustedKeys
    signer: "Signer"
    releases: tuple[Release, ...]
    settings: Settings

    @property
    def newest(self) -> Release | None:
        """The release with the highest sequence, or None."""
        return self.releases[0] if self.releases else None


def _open_desk(task_name: str, settings: Settings) -> _Desk:
    signer = signer_to_release(settings)
    keys = load_trusted_keys(settings.trusted_keys_file)
    check_store(settings.registry.uri)
    tracking = Tracking(settings.registry.uri, trusted_keys=settings.trusted_keys_file)
    ledger = Ledger(task_name, tracking, settings, keys)
    return _Desk(
        tracking=tracking,
        ledger=ledger,
        keys=keys,
        signer=signer,
        releases=tuple(ledger.releases()),
        settings=settings,
    )


def promote_pair(task_name: str, pair_name: str, why: str, settings: Settings) -> Release:
    """Move the alias to the pair, if a signed attestation of a passing gate for exactly this content is on record.

    Raises:
        Refused: there is no such evidence, or no reason was given.
        SigningError: there is no usable signing key.
        PairError, CaseError, RegistryError: something could not be read or written.
    """
    if not why.strip():
        raise Refused('say why: omni promote PAIR --why "one sentence"')
    pair, dataset, suite_digest = _load(task_name, pair_name, settings)
    suite = load_suite(task_name)
    _refuse_misbehaviour(pair, suite, settings)
    check_store(settings.registry.uri)
    desk = _open_desk(task_name, settings)
    try:
        production = _production(task_name, desk)
    except RegistryError as err:
        return _restore(desk, pair, why, err)
    production_digest = production.pair.digest if production else None
    if production_digest == pair.digest:
        raise Refused(f"{pair_name} {pair.digest[:12]} is in production already")
    evidence, reasons = refusals(
        read_evidence(desk.tracking.records(task_name, pair_name), desk.keys),
        task_name=task_name,
        pair_name=pair_name,
        pair_digest=pair.digest,
        dataset_digest=dataset.digest,
        dataset_name=dataset.name,
        suite_digest=suite_digest,
        production_digest=production_digest,
        environment=settings.environment,
        now=wall_clock(settings.clock_file)(),
        behaviour_required=suite.behaviour is not None and settings.environment in suite.behaviour.required_in,
    )
    if evidence is None:
        raise Refused(f"{pair_name} {pair.digest[:12]} is not promoted: " + "; ".join(reasons))
    return desk.ledger.publish(
        pair,
        desk.tracking.register(pair),
        kind="promote",
        gate_run_id=evidence.mlflow_run_id,
        attestation=evidence.envelope,
        why=why.strip(),
        from_digest=production_digest,
        after=desk.newest.sequence if desk.newest else 0,
        signer=desk.signer,
    )


def _production(task_name: str, desk: _Desk) -> Production | None:
    # Without this, whoever deletes the alias or points it at a weak old pair chooses what a candidate is compared with.
    production, newest = desk.tracking.production(task_name), desk.newest
    if newest is not None and production is None:
        raise RegistryError(
            f"no release in the registry is in production, although release {newest.sequence} was made: the alias or its "
            "version's tags were removed by hand"
        )
    if newest is not None and production is not None and production.release.sequence != newest.sequence:
        raise RegistryError(
            f"the alias points at release {production.release.sequence} and the newest is {newest.sequence}: it was moved by "
            "hand, or a release was interrupted"
        )
    return production


def _refuse_misbehaviour(pair: Pair, suite: Suite, settings: Settings) -> None:
    """Refuse a pair that misbehaved after its gate had passed: the gate could not know of it then."""
    result = find_result(pair.digest, suite, settings)
    failed = [] if result is None else [c for c in checks_of(result, suite) if c.verdict is Verdict.FAIL]
    if result is not None and failed:
        raise Refused(
            f"{pair.name} {pair.digest[:12]} is not promoted: the behaviour run of {result.at} fails "
            + "; ".join(check_line(check) for check in failed)
            + f". Mend the pair, then run `omni gate {pair.name} --task {suite.task}`"
        )


def _restore(desk: _Desk, pair: Pair, why: str, damage: RegistryError) -> Release:
    """Release the production pair once more from its file, under a clean version: the registered one was tampered with.

    It earned its place by the attestation that its release names; nothing else may be promoted over a damaged registry.
    """
    newest = desk.newest
    if newest is None:
        raise Refused(f"{damage}. No release of it verifies: see `omni verify`") from damage
    if newest.pair_digest != pair.digest:
        raise Refused(
            f"{damage}. Put production back first: omni promote {newest.pair_name} --task {pair.task} --why ..., or, if its "
            f"file has changed, omni rollback --to {newest.sequence} --task {pair.task} --why ..."
        ) from damage
    return _release_again(desk, pair, newest, "restore", why)


def _release_again(
    desk: _Desk, pair: Pair, earlier: Release, kind: Literal["restore", "rollback"], why: str
) -> Release:
    envelope = desk.ledger.attestation(earlier)
    if envelope is None:
        raise Refused(
            f"the gate attestation {earlier.attestation[:12]} of release {earlier.sequence} is gone from the registry and from "
            f"MLflow run {earlier.gate_run_id}: put the store's backup back; reports/out holds a copy of each attestation"
        )
    attestation, _ = read_attestation(envelope, desk.keys, f"the gate attestation of release {earlier.sequence}")
    if (attestation.pair_digest, attestation.environment) != (pair.digest, desk.settings.environment):
        raise Refused(
            f"release {earlier.sequence} was earned by {attestation.pair_digest[:12]} in {attestation.environment!r}, not by "
            f"{pair.digest[:12]} in {desk.settings.environment!r}"
        )
    newest = desk.newest
    assert newest is not None
    return desk.ledger.publish(
        pair,
        desk.tracking.register(pair),
        kind=kind,
        gate_run_id=earlier.gate_run_id,
        attestation=envelope,
        why=why.strip(),
        from_digest=newest.pair_digest,
        after=newest.sequence,
        signer=desk.signer,
    )


def roll_back(task_name: str, why: str, to: int | None, settings: Settings) -> Release:
    """Release again what release ``to`` (default: the newest release of another digest) had released.

    Raises:
        Refused: there is nothing to go back to, or no reason was given.
        SigningError: there is no usable signing key.
        RegistryError: the store failed, or the version was changed since.
    """
    if not why.strip():
        raise Refused('say why: omni rollback --why "one sentence"')
    check_store(settings.registry.uri)
    desk = _open_desk(task_name, settings)
    newest = desk.newest
    if newest is None:
        raise Refused(f"nothing of task {task_name!r} was ever released")
    if to is None:
        target = next((release for release in desk.releases if release.pair_digest != newest.pair_digest), None)
    else:
        target = next((release for release in desk.releases if release.sequence == to), None)
    if target is None:
        raise Refused(
            f"there is no earlier release of another pair to return to; see `omni history --task {task_name}`"
        )
    pair = desk.tracking.pair_of(task_name, target.registry_version)
    if pair.digest != target.pair_digest:
        raise Refused(
            f"version {target.registry_version} holds {pair.digest[:12]}, release {target.sequence} was of "
            f"{target.pair_digest[:12]}: somebody rewrote it; name another release with --to, see `omni history`"
        )
    return _release_again(desk, pair, target, "rollback", why)


def release_history(task_name: str, settings: Settings) -> list[Release]:
    """Return every verified release of the task, newest first.

    Raises:
        RegistryError: the store cannot be read.
        ConfigurationError: the trusted keys cannot be read.
    """
    check_store(settings.registry.uri)
    keys = load_trusted_keys(settings.trusted_keys_file)
    tracking = Tracking(settings.registry.uri, trusted_keys=settings.trusted_keys_file)
    return Ledger(task_name, tracking, settings, keys).releases()
