"""Verifies the rollout steps of a task: signatures, contents, missing steps, and the alias ``candidate``.

Steps are numbered without gaps over all candidates, so a later step reveals a removed one. A removed newest step is revealed
by the ledger's copy, and by the services, which remember the highest step that they have seen.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from eval.release.audit_item import AuditItem
from eval.release.services import step_of_services
from eval.tracking.store import Tracking
from figures.command_line import REASON, omni
from service.core.release.ledger_copy import newest_step_in_ledger
from service.core.release.release import Release
from service.core.release.rollout import CANDIDATE_ALIAS, ROLLOUT_TAG_PREFIX, Rollout, read_rollout, verify_rollout
from service.core.release.statements import TrustedKeys, shown
from service.kit.frame.errors import RegistryError, StoreError
from service.kit.settings import Settings
from service.rollouts.step_state import read_step_on_disk


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    version: int
    rollout: Rollout
    tags: dict[str, str]


def rollout_items(
    task: str, tracking: Tracking, keys: TrustedKeys, settings: Settings, releases: Collection[Release]
) -> Iterator[AuditItem]:
    """Yield one item per step, in the order of their numbers; nothing if the task never had a rollout.

    Raises:
        RegistryError: the store cannot be read.
    """
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
    seen = _seen(task, settings, keys)
    for number in range(1, max([*steps, seen], default=0) + 1):
        if number not in steps:
            what = (
                f"step {number} is gone: "
                + (
                    "a service has seen it, or the ledger's copy holds it"
                    if number > max(steps, default=0)
                    else "later ones are there"
                )
                + f"; somebody removed tag {ROLLOUT_TAG_PREFIX}{number:06d}. Services remember it; {_again(task)} to go on"
            )
            yield AuditItem(name=f"rollout step {number}", detail="sequence", problem=what)
        for step in steps.get(number, ()):
            yield _step_item(task, step, len(steps[number]), tracking, keys, releases)
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


def _seen(task: str, settings: Settings, keys: TrustedKeys) -> int:
    """Return the number of the highest step that a service has accepted or that the ledger's copy holds."""
    try:
        shared = step_of_services(task, settings).sequence
    except StoreError:
        shared = 0  # the copy on disk and the ledger's remain
    on_disk = read_step_on_disk(settings.state_dir / "rollout" / task).sequence
    return max(shared, on_disk, newest_step_in_ledger(task, settings, keys))
