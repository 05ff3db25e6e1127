"""Registers pairs, promotes a pair whose gate passed to production, and rolls production back."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from eval.behaviour.record import checks_of, find_result
from eval.errors import Refused
from eval.release.evidence import read_evidence, refusals
from eval.release.ledger import Ledger
from eval.release.signing import signer_to_release
from eval.release.to_release import read_to_release, refuse_demo
from eval.release.unseen import Say, exception_of, say_aside
from eval.report.conclusions import check_line
from eval.results import Verdict
from eval.suite import Suite
from eval.suites import load_suite
from eval.tracking.store import Production, Tracking
from figures.command_line import REASON, omni
from service.clock import wall_clock
from service.errors import RegistryError
from service.pair import Pair
from service.release.attestation import read_attestation
from service.release.registry import check_store
from service.release.release import Release
from service.release.statements import TrustedKeys, load_trusted_keys
from service.release.unseen import UnseenPolicy
from service.settings import Settings

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


def register_pair(task_name: str, pair_name: str, settings: Settings) -> Registered:
    """Write the pair file's content into the registry.

    Raises:
        PairError: the file is missing or wrong.
        RegistryError: the store rejected it or returned other content.
    """
    pair = read_to_release(task_name, pair_name, settings).pair
    tracking = Tracking(settings.registry.uri, trusted_keys=settings.trusted_keys_file)
    return Registered(pair=pair, version=tracking.register(pair))


@dataclass(frozen=True, slots=True, kw_only=True)
class _ReleaseContext:
    """The resources for one release: the open store, its ledger as read at the start, and the signer."""

    tracking: Tracking
    ledger: Ledger
    keys: TrustedKeys
    signer: "Signer"
    releases: tuple[Release, ...]
    settings: Settings
    suite: Suite
    say: Say

    @property
    def newest(self) -> Release | None:
        """The release with the highest sequence, or None."""
        return self.releases[0] if self.releases else None


def _open_context(task_name: str, settings: Settings, say: Say) -> _ReleaseContext:
    signer = signer_to_release(settings)
    keys = load_trusted_keys(settings.trusted_keys_file)
    check_store(settings.registry.uri)
    tracking = Tracking(settings.registry.uri, trusted_keys=settings.trusted_keys_file)
    ledger = Ledger(task_name, tracking, settings, keys)
    return _ReleaseContext(
        tracking=tracking,
        ledger=ledger,
        keys=keys,
        signer=signer,
        releases=tuple(ledger.releases()),
        settings=settings,
        suite=load_suite(task_name),
        say=say,
    )


def promote_pair(task_name: str, pair_name: str, why: str, settings: Settings, say: Say = say_aside) -> Release:
    """Release the pair if the store has a signed attestation that exactly this content passed the gate.

    ``say`` is told what nobody looked at, if the stage takes such evidence.

    Raises:
        Refused: there is no such evidence, or no reason was given.
        SigningError: there is no usable signing key.
        PairError, CaseError, RegistryError: something could not be read or written.
    """
    if not why.strip():
        raise Refused(f"a reason is required: {omni('promote', pair_name, *REASON, task=task_name)}")
    wanted = read_to_release(task_name, pair_name, settings)
    pair, dataset, suite = wanted.pair, wanted.dataset, wanted.suite
    refuse_demo(pair, settings)
    _refuse_misbehaviour(pair, suite, settings)
    check_store(settings.registry.uri)
    context = _open_context(task_name, settings, say)
    try:
        production = _production(task_name, context)
    except RegistryError as err:
        return _restore(context, pair, why, err)
    production_digest = production.pair.digest if production else None
    if production_digest == pair.digest and not _needs_new_evidence(context):
        raise Refused(f"{pair_name} {pair.digest[:12]} is in production already")
    evidence, reasons = refusals(
        read_evidence(context.tracking.records(task_name, pair_name), context.keys),
        task_name=task_name,
        pair_name=pair_name,
        pair_digest=pair.digest,
        dataset_digest=dataset.digest,
        dataset_name=dataset.name,
        suite_digest=suite.digest,
        production_digest=production_digest,
        environment=settings.environment,
        now=wall_clock(settings.clock_file)(),
        behaviour_required=suite.behaviour is not None and settings.environment in suite.behaviour.required_in,
    )
    if evidence is None or evidence.attestation is None:
        raise Refused(f"{pair_name} {pair.digest[:12]} is not promoted: " + "; ".join(reasons))
    exception = exception_of(evidence.attestation, suite, UnseenPolicy.of(settings), say)
    return context.ledger.publish(
        pair,
        context.tracking.register(pair),
        kind="promote",
        gate_run_id=evidence.mlflow_run_id,
        attestation=evidence.envelope,
        why=why.strip(),
        from_digest=production_digest,
        after=context.newest.sequence if context.newest else 0,
        signer=context.signer,
        unseen_allowed_in=exception,
    )


def _production(task_name: str, context: _ReleaseContext) -> Production | None:
    # Otherwise a person could choose a weak baseline by deleting the alias or pointing it at an old pair.
    production, newest = context.tracking.production(task_name), context.newest
    if newest is not None and production is None:
        raise RegistryError(
            f"release {newest.sequence} was made, but the registry has no release in production: somebody removed the alias or "
            "its version's tags by hand"
        )
    if newest is not None and production is not None and production.release.sequence != newest.sequence:
        raise RegistryError(
            f"the alias points at release {production.release.sequence}, but the newest is {newest.sequence}: somebody moved it "
            "by hand, or a release was interrupted"
        )
    return production


def _needs_new_evidence(context: _ReleaseContext) -> bool:
    """Return whether services of this stage refuse the pair in production because nobody looked at some kinds of harm.

    Then the same pair may be promoted again: on evidence in which a judge looked, or with an exception.
    """
    newest = context.newest
    envelope = None if newest is None else context.ledger.attestation(newest)
    if newest is None or envelope is None:
        return False
    attestation, _ = read_attestation(envelope, context.keys, f"the gate attestation of release {newest.sequence}")
    return UnseenPolicy.of(context.settings).lacks_exception(attestation.unseen, newest.unseen_allowed_in)


def _refuse_misbehaviour(pair: Pair, suite: Suite, settings: Settings) -> None:
    """Refuse a pair whose latest behaviour run failed, even if that run is newer than its gate."""
    result = find_result(pair.digest, suite, settings)
    failed = [] if result is None else [c for c in checks_of(result, suite) if c.verdict is Verdict.FAIL]
    if result is not None and failed:
        raise Refused(
            f"{pair.name} {pair.digest[:12]} is not promoted: the behaviour run of {result.at} fails "
            + "; ".join(check_line(check) for check in failed)
            + f". Fix the pair, then run `{omni('gate', pair.name, task=suite.task)}`"
        )


def _restore(context: _ReleaseContext, pair: Pair, why: str, damage: RegistryError) -> Release:
    """Release the production pair again from its file as a new version, because its registered version was tampered with.

    The attestation of its earlier release is the evidence. No other pair may be promoted over a damaged registry.
    """
    newest = context.newest
    if newest is None:
        verify = omni("verify", task=pair.task)
        raise Refused(f"{damage}. No release in the ledger verifies: see `{verify}`") from damage
    if newest.pair_digest != pair.digest:
        again = omni("promote", newest.pair_name, *REASON, task=pair.task)
        back = omni("rollback", "--to", str(newest.sequence), *REASON, task=pair.task)
        raise Refused(
            f"{damage}. Repair production first: `{again}`, or, if its file has changed, `{back}`"
        ) from damage
    return _release_again(context, pair, newest, "restore", why)


def _release_again(
    context: _ReleaseContext, pair: Pair, earlier: Release, kind: Literal["restore", "rollback"], why: str
) -> Release:
    envelope = context.ledger.attestation(earlier)
    if envelope is None:
        raise Refused(
            f"the gate attestation {earlier.attestation[:12]} of release {earlier.sequence} is gone from the registry and from "
            f"MLflow run {earlier.gate_run_id}: restore the store from a backup; reports/out holds a copy of each attestation"
        )
    attestation, _ = read_attestation(envelope, context.keys, f"the gate attestation of release {earlier.sequence}")
    if (attestation.pair_digest, attestation.environment) != (pair.digest, context.settings.environment):
        raise Refused(
            f"the gate attestation of release {earlier.sequence} is for {attestation.pair_digest[:12]} in "
            f"{attestation.environment!r}, not for {pair.digest[:12]} in {context.settings.environment!r}"
        )
    newest = context.newest
    assert newest is not None
    policy = UnseenPolicy.of(context.settings)
    exception = exception_of(attestation, context.suite, policy, context.say, earlier.unseen_allowed_in)
    return context.ledger.publish(
        pair,
        context.tracking.register(pair),
        kind=kind,
        gate_run_id=earlier.gate_run_id,
        attestation=envelope,
        why=why.strip(),
        from_digest=newest.pair_digest,
        after=newest.sequence,
        signer=context.signer,
        unseen_allowed_in=exception,
    )


def roll_back(task_name: str, why: str, to: int | None, settings: Settings, say: Say = say_aside) -> Release:
    """Release the pair of release ``to`` again (default: the newest release of another digest).

    ``say`` is told what nobody looked at, if the stage takes such evidence.

    Raises:
        Refused: there is no release to go back to, or no reason was given.
        SigningError: there is no usable signing key.
        RegistryError: the store failed, or the version was changed since.
    """
    if not why.strip():
        raise Refused(f"a reason is required: {omni('rollback', *REASON, task=task_name)}")
    check_store(settings.registry.uri)
    context = _open_context(task_name, settings, say)
    newest = context.newest
    if newest is None:
        raise Refused(f"task {task_name!r} has no releases to go back to")
    if to is None:
        target = next((release for release in context.releases if release.pair_digest != newest.pair_digest), None)
    else:
        target = next((release for release in context.releases if release.sequence == to), None)
    if target is None:
        raise Refused(
            f"there is no earlier release of another pair to return to; see `{omni('history', task=task_name)}`"
        )
    pair = context.tracking.pair_of(task_name, target.registry_version)
    if pair.digest != target.pair_digest:
        raise Refused(
            f"version {target.registry_version} holds {pair.digest[:12]}, but release {target.sequence} released "
            f"{target.pair_digest[:12]}: somebody rewrote it; name another release with --to, see "
            f"`{omni('history', task=task_name)}`"
        )
    return _release_again(context, pair, target, "rollback", why)


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
