"""``verify``, ``history`` and ``releases``: check the releases behind production, list them, and send them to the warehouse."""

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from eval.commands.arguments import TaskName
from figures.command_line import as_typed_here, omni
from figures.formatting import plural
from service.kit.frame.display.inert import one_line
from service.kit.frame.display.output import AsJson, print_json
from service.kit.frame.display.terminal import say

if TYPE_CHECKING:
    from eval.release.audit import HistoryRow
    from service.core.release.release import Release

_LONGEST = 2_000  # characters of a line; on one line, because a name with a line feed could forge a second, good one


def verify(task: TaskName = "summarize", as_json: AsJson = False) -> None:
    """Check every release and every rollout step: signatures, chain, contents, evidence down to the per-case table.

    Exit code 0: everything verifies. 1: something is broken; its line says what to do.
    """
    from eval.release.audit import Audit
    from service.kit.settings import Settings

    items = []
    for item in Audit(task, Settings()).items():
        items.append(item)
        if not as_json:
            state = "ok    " if item.problem is None else "BROKEN"
            say(
                f"{state}  {one_line(as_typed_here(f'{item.name}: {item.problem or item.detail}'), _LONGEST)}",
                flush=True,
            )
    broken = sum(item.problem is not None for item in items)
    if as_json:
        print_json({"task": task, "checked": len(items), "broken": broken, "items": [asdict(item) for item in items]})
    else:
        say(f"{task}: {len(items)} checked, {broken} broken")
    if broken:
        raise typer.Exit(1)


def history(task: TaskName = "summarize", as_json: AsJson = False) -> None:
    """List the releases: who, when, why, on which evidence, and whether the signatures verify."""
    from eval.release.audit import Audit, exceptions_by_year
    from service.kit.settings import Settings

    rows = Audit(task, Settings()).history()
    if as_json:
        print_json([_plain(row) for row in rows])
        return
    if not rows:
        first = omni("promote", "PAIR", "--why", '"why, in one sentence"', task=task)
        say(f"task {task!r} has no releases yet; release a pair: {first}")
    for row in rows:
        release, evidence = row.entry.release, row.attestation
        if release is not None:
            said = one_line(f"{_people(release)}: {release.why}", _LONGEST)
            say(
                f"{release.sequence:>4}  {release.at}  {release.kind:<8}  {release.pair_name} {release.pair_digest[:12]} "
                f"(v{release.registry_version})  {said}"
            )
        if evidence is not None:
            say(
                f"      evidence: {evidence.headline}; evaluation {evidence.evaluation_id}, {evidence.dataset_name} "
                f"n={evidence.case_count}, {evidence.environment}, answered by {', '.join(evidence.answered_by) or 'nobody'}"
            )
        if row.although:
            say(f"      released {one_line(row.although, _LONGEST)}")
        problem = "signatures verified" if row.problem is None else f"NOT VERIFIED: {as_typed_here(row.problem)}"
        say(f"      {one_line(problem, _LONGEST)}")

    for year, count in exceptions_by_year(rows).items():
        say(f"{year}: {plural(count, 'release')} without a licensed judge")


def agents(as_json: AsJson = False) -> None:
    """List the pairs that answer customers as a registry of agents does: version, model, settings, approval rate."""
    from service.core.release.record import agent_record
    from service.core.release.registry import fetch_candidate, fetch_released
    from service.core.run.task import task_names
    from service.kit.frame.errors import RegistryError
    from service.kit.settings import Settings

    settings, found = Settings(), []
    for task in task_names():
        try:
            served = fetch_released(task, settings)
        except RegistryError:
            continue
        candidate = fetch_candidate(task, settings)
        share = 0 if candidate is None else candidate.rollout.percent
        found.append(agent_record(task, served, share=100 - share))
        if candidate is not None and share:
            found.append(agent_record(task, candidate.served, share=share))
    if as_json:
        print_json({"agents": [record.model_dump() for record in found]})
        return
    if not found:
        first = omni("promote", "PAIR", "--why", '"why, in one sentence"')
        say(f"no task has a release yet; release a pair: {first}")
    for record in found:
        known = (("approval rate", record.performance.approvalRate), ("average score", record.performance.avgScore))
        measured = ", ".join(f"{name} {value:g}" for name, value in known if value is not None)
        say(
            f"{record.agentId} {record.version} ({record.status}, {record.share}%): {record.bedrockModel}, temperature "
            f"{record.config.temperature:g}, at most {record.config.maxTokens} tokens"
        )
        say(f"      {measured or 'no approval rate: its suite has none'}; {one_line(record.approvalStatus, _LONGEST)}")


def releases(
    task: TaskName = "summarize",
    export: Annotated[
        bool,
        typer.Option("--export", help="Write rows into the warehouse directly instead of objects into the bucket."),
    ] = False,
) -> None:
    """Send every verified release to the warehouse, in case it was not reachable at the time. Safe to repeat."""
    from eval.release.announce import bucket_settings, export_releases, message_of, put_releases
    from eval.release.ledger import Ledger
    from service.kit.settings import Settings

    settings = Settings()
    ledger = Ledger.open(task, settings)
    messages = [message_of(release, ledger) for release in reversed(ledger.releases())]
    for one in messages:
        if one.missing is not None:
            say(f"release {one.record.sequence} is sent without the gate's figures: {one.missing}", file=sys.stderr)
    target = None if export else bucket_settings(settings)
    promises = sum(len(one.record.promises) for one in messages)
    what = f"{len(messages)} verified releases of {task} with {promises} figures of the gate"
    if target is None:
        say(f"{what}: {export_releases(messages, settings)} rows new or changed in the warehouse")
    else:
        new = put_releases(messages, target)
        say(f"{what}: {new} new objects in bucket {target.stores.archive_bucket}; `{omni('load-events')}` loads them")


def _people(release: "Release") -> str:
    """Return who released, who approved if that is somebody else, and the pull request."""
    approved = f", approved by {release.approved_by}" if release.approved_by not in (None, release.who) else ""
    request = f", pull request {release.pull_request}" if release.pull_request else ""
    return f"{release.who}{approved}{request}"


def _plain(row: "HistoryRow") -> dict[str, Any]:
    """Return a row as JSON values; ``release`` and ``evidence`` are None where they do not verify."""
    release, evidence = row.entry.release, row.attestation
    told = (
        "sequence",
        "at",
        "kind",
        "pair_name",
        "pair_digest",
        "registry_version",
        "from_digest",
        "who",
        "why",
        "stage",
    )
    signed = ("approved_by", "pull_request", "unseen_allowed_in", "without_judge", "without_judge_by")
    measured = ("evaluation_id", "verdict", "headline", "unseen", "looked_at", "dataset_name", "case_count")
    return {
        "release": None
        if release is None
        else {name: getattr(release, name) for name in (*told, *signed)}
        | {"without_judge_until": str(release.exception.until) if release.exception is not None else None},
        "evidence": None
        if evidence is None
        else {name: getattr(evidence, name) for name in (*measured, "environment", "answered_by", "origins")}
        | {"sentences": None if evidence.sentences is None else asdict(evidence.sentences)},
        "verified": row.problem is None,
        "problem": row.problem,
    }
