"""Registers pairs, promotes a pair whose gate passed to production, and rolls production back."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from eval.behaviour.record import checks_of, find_result
from eval.release.evidence import PairEvidence
from eval.release.ledger import Ledger
from eval.release.reference import Bundle, read_bundle, take_over
from eval.release.releaser import Releaser
from eval.release.services import no_deployment
from eval.release.signing import signer_to_release
from eval.release.to_release import ToRelease, find_evidence, read_to_release, refuse_below_best, refuse_demo
from eval.release.unseen import JudgeException, Say, Waiver, exception_of, refuse_another, say_aside
from eval.report.conclusions import check_line
from eval.spine.errors import Refused
from eval.spine.results import Verdict
from eval.spine.suite import Suite
from eval.suites import load_suite
from eval.tracking.store import Production, Tracking
from figures.command_line import REASON, omni
from service.core.release.attestation import GateAttestation, read_attestation
from service.core.release.registry_store import check_store
from service.core.release.release import Release
from service.core.release.statements import load_trusted_keys
from service.core.release.unseen import UnseenPolicy
from service.core.release.worth import worth_problem
from service.core.unit.pair import Pair
from service.core.unit.pair_file.artifacts import open_artifacts
from service.kit.frame.clock import wall_clock
from service.kit.frame.errors import RegistryError
from service.kit.settings import Settings

if TYPE_CHECKING:
    from securesystemslib.signer import Signer


def register_pair(task_name: str, pair_name: str, settings: Settings) -> tuple[Pair, int]:
    """Write the pair file's content into the registry; return it with its registry version."""
    pair = read_to_release(task_name, pair_name, settings).pair
    return pair, Tracking(settings.registry.uri, trusted_keys=settings.trusted_keys_file).register(pair)


@dataclass(frozen=True, slots=True, kw_only=True)
class _ReleaseContext:
    """The resources for one release: the ledger with its ``releases`` as read at the start, and the signer."""

    ledger: Ledger
    signer: "Signer"
    releases: tuple[Release, ...]
    settings: Settings
    suite: Suite
    say: Say
    by: Releaser | None
    without_judge: Waiver | None

    @property
    def newest(self) -> Release | None:
        """The release with the highest sequence, or None."""
        return self.releases[0] if self.releases else None


def _open_context(
    task_name: str, settings: Settings, say: Say, by: Releaser | None, without_judge: Waiver | None
) -> _ReleaseContext:
    signer = signer_to_release(settings)
    keys = load_trusted_keys(settings.trusted_keys_file)
    tracking = Tracking(settings.registry.uri, trusted_keys=settings.trusted_keys_file)
    ledger = Ledger(task_name, tracking, settings, keys)
    return _ReleaseContext(
        ledger=ledger,
        signer=signer,
        releases=tuple(ledger.releases()),
        settings=settings,
        suite=load_suite(task_name),
        say=say,
        by=by,
        without_judge=without_judge,
    )


def promote_pair(
    task_name: str,
    pair_name: str,
    why: str,
    settings: Settings,
    say: Say = say_aside,
    *,
    by: Releaser | None = None,
    without_judge: Waiver | None = None,
    evidence_from: str | None = None,
) -> Release:
    """Release the pair if the store has a signed attestation that exactly this content passed the gate.

    ``say`` is told what nobody looked at, if the release goes on in spite of it; ``by``: who releases (None: the person at this
    machine); ``without_judge``: that it goes on although nobody looked at some kinds of harm. ``evidence_from`` is a file or S3
    address of another stage's evidence; recorded here, it counts as this store's own does.
    """
    if not why.strip():
        raise Refused(f"a reason is required: {omni('promote', pair_name, *REASON, task=task_name)}")
    wanted = read_to_release(task_name, pair_name, settings)
    pair = wanted.pair
    refuse_demo(pair, settings)
    _refuse_misbehaviour(pair, wanted.suite, settings)
    bundle = None if evidence_from is None else read_bundle(evidence_from, settings)
    if bundle is None:
        check_store(settings.registry.uri)  # evidence from elsewhere may well be the first that a store gets
    context = _open_context(task_name, settings, say, by, without_judge)
    try:
        production = _production(task_name, context)
    except RegistryError as err:
        return _restore(context, pair, why, err)
    production_digest = production.pair.digest if production else None
    if production_digest == pair.digest and not _needs_new_evidence(context):
        raise Refused(f"{pair_name} {pair.digest[:12]} is in production already")
    evidence, attestation = _evidence(context, wanted, production_digest, bundle, evidence_from or "")
    refuse_below_best(wanted, evidence, context.ledger.tracking, settings)
    with no_deployment(f"promotion of {pair_name}", settings, by):
        return _publish(context, wanted, evidence, attestation, production_digest, why)


def _publish(
    context: _ReleaseContext,
    wanted: ToRelease,
    evidence: PairEvidence,
    attestation: GateAttestation,
    production_digest: str | None,
    why: str,
) -> Release:
    policy = UnseenPolicy.of(context.settings)
    now = wall_clock(context.settings.clock_file)()
    exception = exception_of(
        attestation, wanted.suite, policy, context.say, without_judge=context.without_judge, now=now
    )
    refuse_another(context.newest, exception, now)
    return context.ledger.publish(
        wanted.pair,
        context.ledger.tracking.register(wanted.pair),
        kind="promote",
        gate_run_id=evidence.mlflow_run_id,
        attestation=evidence.envelope,
        why=why.strip(),
        from_digest=production_digest,
        after=context.newest.sequence if context.newest else 0,
        signer=context.signer,
        by=context.by,
        exception=exception,
    )


def _evidence(
    context: _ReleaseContext, wanted: ToRelease, production_digest: str | None, bundle: Bundle | None, address: str
) -> tuple[PairEvidence, GateAttestation]:
    """Return the evidence that allows the promotion, after taking over ``bundle`` from ``address`` if there is one."""
    if bundle is not None:
        attested = take_over(
            bundle,
            task=wanted.pair.task,
            pair_name=wanted.pair.name,
            address=address,
            tracking=context.ledger.tracking,
            keys=context.ledger.keys,
        )
        _refuse_other_production(attested.baseline_digest, production_digest, wanted, context.settings)
    return find_evidence(
        wanted,
        production_digest,
        doing="promoted",
        tracking=context.ledger.tracking,
        keys=context.ledger.keys,
        settings=context.settings,
    )


def _refuse_other_production(there: str | None, here: str | None, wanted: ToRelease, settings: Settings) -> None:
    """Refuse evidence whose comparison was with another pair than the one that it would replace here.

    No worse than that pair is not no worse than this one: the other stage may have had a weaker one in production.
    """
    if there == here:
        return
    pair = wanted.pair
    again = omni("gate", pair.name, task=pair.task)
    compared = (
        f"compared it with {there[:12]}" if there else "compared it with nothing, as nothing was in production there"
    )
    now = f"{here[:12]} is in production" if here else "nothing is in production"
    first = f"Release {there[:12]} here first, on its own evidence, or evaluate" if there else "Evaluate"
    raise Refused(
        f"{pair.name} {pair.digest[:12]} is not promoted: the evidence {compared}, but in stage {settings.stage!r} {now}. "
        f"{first} {pair.name} against what is in production here: `{again}`"
    )


def _production(task_name: str, context: _ReleaseContext) -> Production | None:
    # Otherwise a person could choose a weak baseline by deleting the alias or pointing it at an old pair.
    production, newest = context.ledger.tracking.production(task_name), context.newest
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
    """Return whether services of this stage refuse the pair in production: released for another stage, or with unseen harms.

    Then the same pair may be promoted again: for this stage, on evidence in which a judge looked, or with an exception.
    """
    newest = context.newest
    envelope = None if newest is None else context.ledger.attestation(newest)
    if newest is None or envelope is None:
        return False
    attestation, _ = read_attestation(
        envelope, context.ledger.keys, f"the gate attestation of release {newest.sequence}"
    )
    elsewhere = not newest.is_for(context.settings.stage, context.settings.environment)
    policy = UnseenPolicy.of(context.settings)
    return elsewhere or policy.lacks_exception(attestation.unseen, newest.unseen_allowed_in, attestation.sentences)


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
    open_artifacts(pair, context.settings.prompts_dir / pair.task)  # services without these bytes would refuse it
    envelope = context.ledger.attestation(earlier)
    if envelope is None:
        raise Refused(
            f"the gate attestation {earlier.attestation[:12]} of release {earlier.sequence} is gone from the registry and from "
            f"MLflow run {earlier.gate_run_id}: restore the store from a backup; reports/out holds a copy of each attestation"
        )
    attestation, _ = read_attestation(
        envelope, context.ledger.keys, f"the gate attestation of release {earlier.sequence}"
    )
    problem = worth_problem(attestation, context.settings.stage)
    if attestation.pair_digest != pair.digest:
        problem = f"it is for {attestation.pair_digest[:12]}, not for {pair.digest[:12]}"
    if problem is not None:
        raise Refused(f"the gate attestation of release {earlier.sequence} does not allow that: {problem}")
    newest = context.newest
    assert newest is not None
    policy = UnseenPolicy.of(context.settings)
    exception = exception_of(
        attestation,
        context.suite,
        policy,
        context.say,
        without_judge=context.without_judge,
        earlier=JudgeException.of(earlier),
    )
    return context.ledger.publish(
        pair,
        context.ledger.tracking.register(pair),
        kind=kind,
        gate_run_id=earlier.gate_run_id,
        attestation=envelope,
        why=why.strip(),
        from_digest=newest.pair_digest,
        after=newest.sequence,
        signer=context.signer,
        by=context.by,
        exception=exception,
    )


def roll_back(
    task_name: str,
    why: str,
    to: int | None,
    settings: Settings,
    say: Say = say_aside,
    *,
    by: Releaser | None = None,
    without_judge: Waiver | None = None,
) -> Release:
    """Release the pair of release ``to`` again (default: the newest release of another digest).

    ``say``, ``by`` and ``without_judge``: see ``promote_pair``.
    """
    if not why.strip():
        raise Refused(f"a reason is required: {omni('rollback', *REASON, task=task_name)}")
    check_store(settings.registry.uri)
    context = _open_context(task_name, settings, say, by, without_judge)
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
    pair = context.ledger.tracking.pair_of(task_name, target.registry_version)
    if pair.digest != target.pair_digest:
        raise Refused(
            f"version {target.registry_version} holds {pair.digest[:12]}, but release {target.sequence} released "
            f"{target.pair_digest[:12]}: somebody rewrote it; name another release with --to, see "
            f"`{omni('history', task=task_name)}`"
        )
    return _release_again(context, pair, target, "rollback", why)
