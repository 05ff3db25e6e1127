"""Moves a rollout by one step: a signed statement on the candidate's version, and the alias ``candidate`` pointed at it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from eval.release.evidence import PairEvidence
from eval.release.releaser import Releaser
from eval.release.services import no_deployment, step_of_services
from eval.release.signing import sign_statement, signer_to_release
from eval.release.to_release import find_evidence, read_to_release, refuse_demo
from eval.release.unseen import JudgeException, Say, Waiver, exception_of, refuse_another, say_aside
from eval.spine.errors import Refused, RolloutError
from eval.tracking.store import Production, Tracking
from figures.command_line import REASON, omni
from service.core.release.ledger_copy import ledger_lines, newest_step_in_ledger, rollout_ledger_copy
from service.core.release.registry_store import check_store
from service.core.release.release import attestation_tag
from service.core.release.rollout import CANDIDATE_ALIAS, ROLLOUT_TAG_PREFIX, Rollout, read_rollout
from service.core.release.statements import TrustedKeys, envelope_digest, load_trusted_keys
from service.core.release.unseen import UnseenPolicy
from service.core.unit.pair import Pair
from service.kit.frame.clock import wall_clock
from service.kit.frame.errors import RegistryError, StoreError
from service.kit.frame.files import write_whole
from service.kit.settings import Settings
from service.rollouts.step_state import read_step_on_disk

if TYPE_CHECKING:
    from securesystemslib.signer import Signer

DEFAULT_STEPS = (10, 25, 50, 100)


def advance_rollout(
    task_name: str,
    pair_name: str,
    why: str,
    settings: Settings,
    *,
    steps: Sequence[int] = DEFAULT_STEPS,
    shadow_percent: int = 0,
    shadow_only: bool = False,
    restart: bool = False,
    say: Say = say_aside,
    by: Releaser | None = None,
    without_judge: Waiver | None = None,
) -> Rollout:
    """Move the candidate to the next step of its plan if its gate passed against the present production.

    Args:
        task_name: its task.
        pair_name: the candidate.
        why: kept in the signed statement.
        settings: store, keys, environment.
        steps: rising shares in per cent; the plan cannot change during a rollout.
        shadow_percent: share of the other customers whose requests the candidate also answers, unseen.
        shadow_only: do not show the candidate's answers to customers yet.
        restart: begin at the first step again, also after the service stopped the rollout.
        say: see ``promote_pair``, as for the next two.
        by: who takes the step.
        without_judge: that it goes on without a judge.

    Raises:
        RolloutError: an impossible plan or share.
        Refused: no reason, evidence or pair in production, or the service stopped the step before.
        SigningError, PairError, CaseError, RegistryError: no usable key, or something could not be read or written.
    """
    _require_reason(why, "rollout", pair_name, task=task_name)
    plan, signer = _checked(steps, shadow_percent, shadow_only), signer_to_release(settings)
    tracking, keys = _open_store(settings)
    production = _production(task_name, pair_name, tracking)
    pair, evidence, exception = _earned(task_name, pair_name, production, tracking, keys, settings, say, without_judge)
    with no_deployment(f"rollout of {pair_name}", settings, by), tracking.release_lock(task_name):
        last = _newest(task_name, tracking, keys)
        before = last if last is not None and _continues(last, pair, production) and not restart else None
        plan = _continued(before, plan, steps, settings)
        rollout = Rollout(
            task=task_name,
            sequence=_next_number(task_name, last, keys, settings),
            registry_version=tracking.register(pair),
            pair_name=pair.name,
            pair_digest=pair.digest,
            production_digest=production.pair.digest,
            percent=0 if shadow_only else _next(plan, before.percent if before is not None else 0, pair),
            shadow_percent=shadow_percent,
            steps=plan,
            gate_run_id=evidence.mlflow_run_id,
            attestation=envelope_digest(evidence.envelope, "the gate attestation"),
            **_releaser(why, settings, by),
            **exception.fields,
        )
        _place(rollout, {attestation_tag(rollout.attestation): evidence.envelope}, tracking, signer, keys, settings)
    return rollout


def _require_reason(why: str, *command: str, task: str) -> None:
    if not why.strip():
        raise Refused(f"a reason is required: {omni(*command, *REASON, task=task)}")


def _checked(steps: Sequence[int], shadow_percent: int, shadow_only: bool) -> tuple[int, ...]:
    """Return the plan; refuse an invalid one."""
    plan = _plan(steps)
    if not 0 <= shadow_percent <= 100 or (shadow_only and shadow_percent == 0):
        raise RolloutError("--shadow is a share of the customers from 1 to 100 per cent")
    return plan


def _releaser(why: str, settings: Settings, by: Releaser | None) -> dict[str, Any]:
    """Return the fields of a step that say who takes it, why, when and where."""
    return {
        **asdict(by or Releaser.of({})),
        "why": why.strip(),
        "at": wall_clock(settings.clock_file)().isoformat(timespec="seconds"),
        "environment": settings.environment,
        "stage": settings.stage,
    }


def _open_store(settings: Settings) -> tuple[Tracking, TrustedKeys]:
    keys = load_trusted_keys(settings.trusted_keys_file)
    check_store(settings.registry.uri)
    return Tracking(settings.registry.uri, trusted_keys=settings.trusted_keys_file), keys


def _place(
    rollout: Rollout,
    evidence: Mapping[str, str],
    tracking: Tracking,
    signer: "Signer",
    keys: TrustedKeys,
    settings: Settings,
) -> None:
    """Write the signed step and the tags of its evidence, point the candidate's alias at it, and copy the steps."""
    tags = {**evidence, rollout.tag: sign_statement(signer, rollout.statement())}
    tracking.place(rollout.task, rollout.registry_version, tags, alias=CANDIDATE_ALIAS)
    copy_steps(rollout.task, tracking, keys, settings)


def _continued(
    before: Rollout | None, plan: tuple[int, ...], steps: Sequence[int], settings: Settings
) -> tuple[int, ...]:
    """Return the plan of the step after ``before``; refuse to continue what was stopped, or by another plan."""
    if before is None:
        return plan
    stopped = stop_reason(before, settings)
    if stopped is not None:
        raise Refused(
            f"the service stopped step {before.sequence} ({stopped}). Fix the pair, or begin again with --restart"
        )
    if before.percent and before.steps != plan and steps != DEFAULT_STEPS:
        raise Refused(f"the rollout's plan is {_listed(before.steps)}; to begin with another one: --restart")
    return before.steps if before.percent else plan


def _production(task_name: str, pair_name: str, tracking: Tracking) -> Production:
    production = tracking.production(task_name)
    if production is None:
        first = omni("promote", pair_name, *REASON, task=task_name)
        raise Refused(f"nothing of task {task_name!r} is in production: {first}")
    return production


def end_rollout(task_name: str, why: str, settings: Settings, by: Releaser | None = None) -> Rollout:
    """Give all customers back to production by a step of 0 per cent; ``by`` as in ``advance_rollout``."""
    _require_reason(why, "rollout-end", task=task_name)
    signer = signer_to_release(settings)
    tracking, keys = _open_store(settings)
    with tracking.release_lock(task_name):
        last = _newest(task_name, tracking, keys)
        if last is None or (last.percent == 0 and last.shadow_percent == 0):
            raise Refused(f"no rollout of task {task_name!r} is running")
        number = _next_number(task_name, last, keys, settings)
        rollout = replace(last, sequence=number, percent=0, shadow_percent=0, **_releaser(why, settings, by))
        _place(rollout, {}, tracking, signer, keys, settings)
    return rollout


def running_rollout(task_name: str, settings: Settings) -> Rollout | None:
    """Return the step by which a candidate answers some customers now; None: there is none, or it was stopped or replaced."""
    tracking, keys = _open_store(settings)
    production = tracking.production(task_name)
    last = _newest(task_name, tracking, keys)
    if last is None or production is None or last.percent == last.shadow_percent == 0:
        return None
    replaced = last.production_digest != production.pair.digest or last.moment < production.release.moment
    return None if replaced or stop_reason(last, settings) is not None else last


def stop_reason(rollout: Rollout, settings: Settings) -> str | None:
    """Return why a service stopped ``rollout``, or None when none did."""
    on_disk = read_step_on_disk(settings.state_dir / "rollout" / rollout.task)
    try:
        states = (on_disk, step_of_services(rollout.task, settings, rollout))
    except StoreError as err:
        raise Refused(
            f"nobody can tell whether the services stopped step {rollout.sequence}: {err}. Try again, or begin again with "
            "--restart"
        ) from err
    return next((reason for state in states if (reason := state.stop_of(rollout)) is not None), None)


def _plan(steps: Sequence[int]) -> tuple[int, ...]:
    plan = tuple(steps)
    if not plan or any(not 1 <= step <= 100 for step in plan) or list(plan) != sorted(set(plan)):
        raise RolloutError(
            f"--steps are rising shares from 1 to 100 per cent, as in --steps 10,25,50,100; not {_listed(plan)}"
        )
    return plan


def _listed(steps: Sequence[int]) -> str:
    return ",".join(str(step) for step in steps) or "nothing"


def _next(plan: Sequence[int], percent: int, pair: Pair) -> int:
    step = next((step for step in plan if step > percent), None)
    if step is None:
        raise Refused(
            f"{pair.name} has reached the last step of its plan ({percent} per cent); promote it: "
            f"{omni('promote', pair.name, *REASON, task=pair.task)}"
        )
    return step


def _continues(last: Rollout, pair: Pair, production: Production) -> bool:
    """Return whether ``last`` belongs to the rollout that is to go on: a release since then ended its plan."""
    same = (last.pair_digest, last.production_digest) == (pair.digest, production.pair.digest)
    return same and last.moment >= production.release.moment


def _newest(task_name: str, tracking: Tracking, keys: TrustedKeys) -> Rollout | None:
    """Return the verified step with the highest sequence, over all versions."""
    found = (step.rollout for step in tagged_steps(task_name, tracking, keys))
    return max(found, key=lambda rollout: rollout.sequence, default=None)


def _next_number(task_name: str, last: Rollout | None, keys: TrustedKeys, settings: Settings) -> int:
    # A step that was removed from the registry keeps its number: `omni verify` reports it as missing.
    return 1 + max(last.sequence if last else 0, newest_step_in_ledger(task_name, settings, keys))


def _earned(
    task_name: str,
    pair_name: str,
    production: Production,
    tracking: Tracking,
    keys: TrustedKeys,
    settings: Settings,
    say: Say,
    without_judge: Waiver | None,
) -> tuple[Pair, PairEvidence, JudgeException]:
    """Return the pair, the evidence that allows the step, and the exception to sign into it."""
    wanted = read_to_release(task_name, pair_name, settings)
    pair = wanted.pair
    refuse_demo(pair, settings)
    if pair.digest == production.pair.digest:
        raise Refused(f"{pair_name} {pair.digest[:12]} is in production already")
    evidence, attestation = find_evidence(
        wanted, production.pair.digest, doing="rolled out", tracking=tracking, keys=keys, settings=settings
    )
    exception = exception_of(attestation, wanted.suite, UnseenPolicy.of(settings), say, without_judge=without_judge)
    refuse_another(production.release, exception, wall_clock(settings.clock_file)())
    return wanted.pair, evidence, exception


@dataclass(frozen=True, slots=True, kw_only=True)
class TaggedStep:
    """A verified step and its envelope."""

    rollout: Rollout
    envelope: str


def tagged_steps(task: str, tracking: Tracking, keys: TrustedKeys) -> Iterator[TaggedStep]:
    """Yield the verified steps in the tags of all versions; services refuse a forged or copied one, too."""
    for version, tags in tracking.version_tags(task):
        for name, text in tags.items():
            if not name.startswith(ROLLOUT_TAG_PREFIX):
                continue
            try:
                rollout = read_rollout(text, keys, f"{name} at version {version}")
            except RegistryError:
                continue
            if (rollout.task, rollout.tag) == (task, name):
                yield TaggedStep(rollout=rollout, envelope=text)


def copy_steps(task: str, tracking: Tracking, keys: TrustedKeys, settings: Settings) -> None:
    """Add the steps to the copy that it lacks."""
    path = rollout_ledger_copy(task, settings)
    lines = ledger_lines(path)
    known = set(lines)
    steps = sorted(tagged_steps(task, tracking, keys), key=lambda step: step.rollout.sequence)
    lines += [step.envelope for step in steps if step.envelope not in known]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, "".join(f"{line}\n" for line in lines), durable=True)
    except OSError as err:
        raise RegistryError(
            f"the rollout step is in the registry, but its copy {path} cannot be written ({type(err).__name__}); make the folder "
            "writable: the next step writes it"
        ) from err
