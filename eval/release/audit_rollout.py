"""Verifies the rollout steps of a task: signatures, contents, missing steps, and the alias ``candidate``.

Steps are numbered without gaps over all candidates, so a later step reveals a removed one. A removed newest step is revealed
by the ledger's copy, and by the services, which remember the highest step that they have seen.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from operator import itemgetter

from eval.release.services import step_of_services
from eval.tracking.store import Tracking
from figures.command_line import REASON, omni
from service.core.release.ledger_copy import newest_step_in_ledger, signed_step
from service.core.release.release import Release
from service.core.release.rollout import CANDIDATE_ALIAS, ROLLOUT_TAG_PREFIX, Rollout, read_rollout, verify_rollout
from service.core.release.statements import TrustedKeys, shown
from service.kit.frame.errors import RegistryError, StoreError
from service.kit.settings import Settings
from service.rollouts.step_state import StepState, read_step_on_disk


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditItem:
    """One checked item; ``problem`` says what is wrong and what to do, None if the item verifies."""

    name: str
    detail: str
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    version: int
    rollout: Rollout
    tags: dict[str, str]


def rollout_items(
    task: str, tracking: Tracking, keys: TrustedKeys, settings: Settings, releases: Collection[Release]
) -> Iterator[AuditItem]:
    """Yield one item per step, in the order of their numbers; nothing if the task never had a rollout."""
    steps: dict[int, list[_Step]] = defaultdict(list)
    for version, tags in tracking.version_tags(task):
        for name in sorted(tag for tag in tags if tag.startswith(ROLLOUT_TAG_PREFIX)):
            where = f"rollout tag {shown(name, 40)} of version {version}"
            try:
                rollout = read_rollout(tags[name], keys, where)
                if rollout.tag != name:
                    raise RegistryError(f"{where} is a copy of step {rollout.sequence}")
            except RegistryError as err:
                problem = f"{err}. Services refuse it; find out who wrote it, then delete the tag"
                yield AuditItem(name=where, detail="signature", problem=problem)
                continue
            steps[rollout.sequence].append(_Step(version=version, rollout=rollout, tags=tags))
    seen, newest_number = _seen(task, settings, keys), max(steps, default=0)
    found = [
        (number, _step_item(task, step, len(steps[number]), tracking, keys, releases))
        for number in steps
        for step in steps[number]
    ]
    found += [
        (before + 1, _missing_item(task, before + 1, after - 1, "later ones are there"))
        for before, after in pairwise([0, *sorted(steps)])
        if after > before + 1
    ]
    if seen > newest_number:
        why = "a service has seen it, or the ledger's copy holds it"
        found.append((seen, _missing_item(task, newest_number + 1, seen, why)))
    yield from (item for _, item in sorted(found, key=itemgetter(0)))
    yield from _unsigned_items(task, settings, max(newest_number, seen))
    newest = steps[max(steps)][0] if steps else None
    yield from _alias_items(task, tracking, newest)


def _step_item(
    task: str, step: _Step, copies: int, tracking: Tracking, keys: TrustedKeys, releases: Collection[Release]
) -> AuditItem:
    rollout = step.rollout
    return AuditItem(
        name=f"rollout step {rollout.sequence}",
        detail=f"{rollout.pair_name} {rollout.pair_digest[:12]} for {rollout.percent}%, shadow {rollout.shadow_percent}%, by "
        f"{rollout.who}"
        + (f", an exception signed for stage {rollout.unseen_allowed_in!r}" if rollout.unseen_allowed_in else ""),
        problem=_problem(task, step, copies, tracking, keys, releases),
    )


def _problem(
    task: str, step: _Step, copies: int, tracking: Tracking, keys: TrustedKeys, releases: Collection[Release]
) -> str | None:
    rollout = step.rollout
    if copies > 1:
        return f"{copies} steps have this number: one is a copy on another version; {_again(task)}"
    # The service checks only the newest step of a version; this checks every step.
    tags = {name: text for name, text in step.tags.items() if not name.startswith(ROLLOUT_TAG_PREFIX)}
    tags[rollout.tag] = step.tags[rollout.tag]
    try:
        pair = tracking.pair_of(task, step.version)
        verify_rollout(
            tags,
            task=task,
            version=step.version,
            pair_digest=pair.digest,
            environment=rollout.environment,
            keys=keys,
            policy=None,
        )
    except RegistryError as err:
        return str(err)
    if rollout.production_digest not in {release.pair_digest for release in releases}:
        return f"it runs beside {rollout.production_digest[:12]}, which was never released; {_again(task)}"
    return None


def _missing_item(task: str, first: int, last: int, why: str) -> AuditItem:
    """Report the steps ``first`` to ``last`` at once: a signed number may be anything."""
    steps, are = (f"step {first}", "is") if first == last else (f"steps {first} to {last}", "are")
    return AuditItem(
        name=f"rollout {steps}",
        detail="sequence",
        problem=f"{steps} {are} gone: {why}; no version has tag {ROLLOUT_TAG_PREFIX}{last:06d}. Services remember the number; "
        f"{_again(task)} to go on",
    )


def _again(task: str) -> str:
    return f"`{omni('rollout', 'PAIR', *REASON, task=task)}` again"


def _alias_items(task: str, tracking: Tracking, newest: _Step | None) -> Iterator[AuditItem]:
    target = tracking.alias_target(task, CANDIDATE_ALIAS)
    if target is None and newest is None:
        return
    problem = None
    if newest is None:
        problem = "no step verifies: somebody set the alias by hand; delete it"
    elif target != newest.version:
        problem = (
            f"step {newest.rollout.sequence} is the newest and belongs to version {newest.version}: somebody moved the alias by "
            f"hand, and services refuse it. {_again(task)}, or `{omni('rollout-end', *REASON, task=task)}`, repairs it"
        )
    detail = f"{CANDIDATE_ALIAS} -> version {target}" if target is not None else f"{CANDIDATE_ALIAS} is not set"
    yield AuditItem(name="alias candidate", detail=detail, problem=problem)


def _states(task: str, settings: Settings) -> Iterator[tuple[str, StepState]]:
    """Yield what is remembered of the steps, and where: on this disk and by the services, if they answer."""
    folder = settings.state_dir / "rollout" / task
    yield f"the copy in {folder}", read_step_on_disk(folder)
    with suppress(StoreError):  # the copy on disk and the ledger's remain
        yield "the table that the services share", step_of_services(task, settings)


def _seen(task: str, settings: Settings, keys: TrustedKeys) -> int:
    """Return the number of the highest signed step that a service has accepted or that the ledger's copy holds."""
    numbers = [state.number(partial(signed_step, task, settings)) for _, state in _states(task, settings)]
    return max(*numbers, newest_step_in_ledger(task, settings, keys), 0)


def _unsigned_items(task: str, settings: Settings, newest: int) -> Iterator[AuditItem]:
    """Yield an item for each number that is remembered without a signature and is above the ``newest`` signed one."""
    for where, state in _states(task, settings):
        if state.sequence > max(newest, state.number(partial(signed_step, task, settings))):
            yield AuditItem(
                name="rollout number",
                detail="signature",
                problem=f"{where} names step {state.sequence}, which nobody signed. Services ignore it, and the next step "
                "replaces it; look who can write there",
            )
