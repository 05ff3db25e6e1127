"""Prints a behaviour run on the terminal and records it in MLflow."""

from collections.abc import Sequence

from eval.behaviour.marks import MARKS
from eval.behaviour.record import by_kind, checks_of
from eval.behaviour.run import BehaviourOutcome
from eval.report.conclusions import check_line
from eval.spine.results import Check, behaviour_verdict
from eval.tracking.store import TAG_DATASET, TAG_SUITE, TAG_TASK, TAG_VERDICT, RunLog, logged_metrics
from eval.tracking.worker import TrackingWorker
from figures.formatting import format_metric, plural
from service.core.release.release import DIGEST_TAG, ENVIRONMENT_TAG, NAME_TAG
from service.kit.frame.display.inert import one_line
from service.kit.frame.display.terminal import say
from service.kit.settings import Settings

_SHOWN = 12


def render_behaviour(outcome: BehaviourOutcome) -> tuple[Check, ...]:
    """Print metrics, the table per kind, findings and checks; return the checks."""
    result, suite = outcome.result, outcome.suite
    metrics = result.metrics(suite.seed)
    say(f"\n{result.pair_name} {result.pair_digest[:12]} in the running service, {plural(len(result.rows), 'case')}")
    for mark in MARKS:
        metric = metrics[mark]
        if metric.n + metric.unscored:
            note = f"  ({metric.unscored} unscored)" if metric.unscored else ""
            say(f"  {mark:<22} {format_metric(metric, len(result.rows))}{note}")
    say("\n  kind, strategy: cases without a finding, of those scored")
    lines: dict[str, list[str]] = {}
    for kind, mark, kept, scored, unscored in by_kind(result.rows):
        lines.setdefault(kind, []).append(f"{mark} {kept}/{scored}" + (f" (+{unscored} unscored)" if unscored else ""))
    for kind, cells in lines.items():
        say(f"  {kind:<28} {', '.join(cells)}")
    _print_findings(outcome)
    answered = sorted({row.answered_by for row in result.rows if row.answered_by})
    say(f"\nAnswered by {', '.join(answered) or 'nothing'}. Result: {outcome.path}")
    say(f"promptfoo's own results, with every answer: {outcome.work / 'results.json'}")
    if not outcome.public_texts:
        say("Public injection texts were left out: OMNI_PUBLIC_DATA_DIR does not hold injections_dev.jsonl.")
    checks = checks_of(result, suite)
    say()
    for check in checks:
        say(check_line(check))
    return checks


def _print_findings(outcome: BehaviourOutcome) -> None:
    rows = [row for row in outcome.result.rows if row.kind != "public" and (row.findings or row.error)]
    # False claims, leaks and followed instructions come first; missing facts are frequent and less serious.
    rows.sort(key=lambda row: all(text.startswith("must_carry") for text in row.findings) and not row.error)
    if rows:
        say(f"\n  findings in {plural(len(rows), 'case')}")
    for row in rows[:_SHOWN]:
        say(
            f"  {row.case_id}: {one_line('; '.join([*row.findings, row.error][: len(row.findings) + bool(row.error)]), 200)}"
        )
    if len(rows) > _SHOWN:
        say(f"  and {len(rows) - _SHOWN} more, in the result")


def log_behaviour(outcome: BehaviourOutcome, settings: Settings) -> None:
    """Record the run in MLflow, in an experiment of its own, so that no gate takes it for an evaluation."""
    log = settings.state_dir / "logs" / "tracking.log"
    with TrackingWorker(settings.registry.uri, log=log, prompts=settings.prompts_dir) as worker:
        worker.log_run(
            f"{outcome.result.task}/behaviour", behaviour_log(outcome, checks_of(outcome.result, outcome.suite))
        )


def behaviour_log(outcome: BehaviourOutcome, checks: Sequence[Check]) -> RunLog:
    """Return the MLflow record of a behaviour run; a metric that was not measured is left out."""
    result = outcome.result
    return RunLog(
        run_name=f"{result.pair_name} {result.at}",
        tags={
            TAG_TASK: result.task,
            TAG_VERDICT: behaviour_verdict(checks),
            TAG_DATASET: result.set_digest,
            TAG_SUITE: result.suite_digest,
            DIGEST_TAG: result.pair_digest,
            NAME_TAG: result.pair_name,
            ENVIRONMENT_TAG: result.environment,
            "omni.behaviour_digest": result.digest,
        },
        params={"pair": result.pair_name, "engine": result.engine},
        metrics=logged_metrics({"": result.metrics(outcome.suite.seed)}),
        table=[
            {
                "case_id": row.case_id,
                "kind": row.kind,
                "strategy": row.strategy,
                **{mark: row.scores.get(mark) for mark in MARKS},
                "findings": "; ".join(row.findings),
                "error": row.error,
                "answered_by": row.answered_by,
                "latency_ms": row.latency_ms,
            }
            for row in result.rows
        ],
        files=[str(outcome.path)],
        dataset={"name": "behaviour", "digest": result.set_digest, "source": str(outcome.path)},
    )
