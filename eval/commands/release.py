"""``python -m eval verify`` and ``history``: what stands behind production, checked and told."""

from typing import Annotated

import typer

TaskArgument = Annotated[str, typer.Argument(help="Which task.")]


def verify(task: TaskArgument = "summarize") -> None:
    """Check every release from the ledger to the per-case table, and every rollout step: signatures, chain, contents, evidence.

    Exit code 0: all of it holds. 1: something is broken; its line says what to do.
    """
    from eval.release.audit import Audit
    from service.settings import Settings

    checked = broken = 0
    for item in Audit(task, Settings()).items():
        checked += 1
        broken += item.problem is not None
        state = "ok    " if item.problem is None else "BROKEN"
        print(f"{state}  {item.name}: {item.problem or item.detail}", flush=True)
    print(f"{task}: {checked} checked, {broken} broken")
    if broken:
        raise typer.Exit(1)


def history(task: TaskArgument = "summarize") -> None:
    """Print who released what, when, why, on which evidence, and whether the signatures hold."""
    from eval.release.audit import Audit
    from service.settings import Settings

    rows = Audit(task, Settings()).history()
    if not rows:
        print(f"nothing of task {task!r} was ever released; see `make promote`")
    for row in rows:
        release, evidence = row.entry.release, row.attestation
        if release is not None:
            print(
                f"{release.sequence:>4}  {release.at}  {release.kind:<8}  {release.pair_name} {release.pair_digest[:12]} "
                f"(v{release.registry_version})  {release.who}: {release.why}"
            )
        if evidence is not None:
            print(
                f"      evidence: evaluation {evidence.evaluation_id}, {evidence.verdict}, {evidence.dataset_name} "
                f"n={evidence.case_count}, {evidence.environment}, answered by {', '.join(evidence.answered_by) or 'nobody'}"
            )
        print(f"      {'signatures verified' if row.problem is None else f'NOT VERIFIED: {row.problem}'}")
