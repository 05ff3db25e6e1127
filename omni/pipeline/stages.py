"""What each stage of the pipeline does. A stage may be killed and begin again at any line, so its effects happen once."""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval.evaluation.evaluate import Options, evaluate
from eval.release.promotion import promote_pair
from eval.release.rollout import advance_rollout, running_rollout, stop_reason
from eval.release.to_release import find_evidence, read_to_release
from eval.spine.errors import HarnessError, Refused
from eval.spine.results import Verdict
from eval.tracking.store import Production, Tracking
from service.core.llm.gateway import build_gateway
from service.core.release.artifacts import with_artifacts
from service.core.release.registry import fetch_released
from service.core.run.task import Task, TaskContext, load_task
from service.core.unit.cards import ModelCards
from service.kit.frame.canonical import canonical_json, sha256_hex
from service.kit.frame.files import write_whole
from service.kit.settings import Settings


class StageFailed(HarnessError):
    """A stage could not do its work; the stages before keep what they did, and the same command goes on from here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineRun:
    """One run: whose pair goes which way. ``folder`` holds its records and files; ``customers`` has a JSON object a line."""

    task: str
    pair: str
    why: str
    customers: Path
    steps: tuple[int, ...]
    folder: Path
    settings: Settings

    def write(self, name: str, document: Mapping[str, Any]) -> None:
        """Write a JSON file of the run, as a whole or not at all."""
        write_whole(self.folder / name, canonical_json(document) + "\n", durable=True)


def prepare(run: PipelineRun) -> str:
    """Check each customer's record against the task's inputs; a wrong or repeated one is put aside with its reason."""
    task, good, aside = load_task(run.task), dict[str, str](), []
    try:
        lines = run.customers.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as err:
        raise StageFailed(f"{run.customers} cannot be read: {err}") from err
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            inputs = task.input_model.model_validate_json(line)
        except ValueError as err:
            errors = err.errors(include_url=False) if hasattr(err, "errors") else []
            place = ".".join(map(str, errors[0]["loc"])) if errors else ""
            aside.append({"line": number, "field": place, "reason": errors[0]["msg"] if errors else str(err)})
            continue
        text = canonical_json(inputs.model_dump(mode="json"))
        if text in good:
            aside.append({"line": number, "field": "", "reason": "the same record stands in an earlier line"})
        good.setdefault(text, sha256_hex(text))
    if not good:
        raise StageFailed(f"none of the {len(aside)} records in {run.customers} is right: see quarantined.jsonl's reasons "
                          f"({aside[0]['reason'] if aside else 'it is empty'})")  # fmt: skip
    write_whole(run.folder / "quarantined.jsonl", "".join(canonical_json(one) + "\n" for one in aside), durable=True)
    write_whole(run.folder / "prepared.jsonl", "".join(text + "\n" for text in good), durable=True)
    return f"{len(good)} records prepared, {len(aside)} put aside"


def evaluate_pair(run: PipelineRun) -> str:
    """Evaluate the pair, unless evidence holds already: then a stage that was killed behind its evaluation makes no second."""
    found = _evidence(run)
    said = "evidence holds already"
    if found is None:
        outcome = evaluate(Options(task=run.task, pairs=(run.pair,)), run.settings)
        verdicts = {one.pair_name: one.gate.verdict for one in outcome.evaluation.pairs}
        if verdicts.get(run.pair) is not Verdict.PASS:
            got = verdicts.get(run.pair)
            raise StageFailed(
                f"{run.pair} does not pass the gate ({got.value if got else 'not evaluated'}): {outcome.report}"
            )
        found, said = _evidence(run), "evaluated"
    if found is None:
        raise StageFailed(
            f"{run.pair} passed the gate, but its evidence allows no release in stage {run.settings.stage!r}"
        )
    run.write("evaluation.json", {"pair": run.pair, "pair_digest": _digest(run), "mlflow_run": found})
    return f"{run.pair} {said}, MLflow run {found[:12]}"


def deploy(run: PipelineRun) -> str:
    """Release the pair, or begin its rollout; what was done before a kill is found in the registry and not done again."""
    digest, production = _digest(run), _production(run)
    if production is not None and production.pair.digest == digest:
        done = {"kind": "promote", "sequence": production.release.sequence}
    elif production is None:
        done = {"kind": "promote", "sequence": promote_pair(run.task, run.pair, run.why, run.settings).sequence}
    else:
        step = running_rollout(run.task, run.settings)
        if step is None or step.pair_digest != digest:
            step = advance_rollout(run.task, run.pair, run.why, run.settings, steps=run.steps)
        elif (reason := stop_reason(step, run.settings)) is not None:
            raise StageFailed(f"the rollout of {run.pair} stopped at step {step.sequence}: {reason}")
        done = {"kind": "rollout", "sequence": step.sequence, "percent": step.percent}
    run.write("deployment.json", done | {"pair": run.pair, "pair_digest": digest})
    return f"{run.pair}: {done['kind']} {done['sequence']}" + (f", {done['percent']}%" if "percent" in done else "")


def infer(run: PipelineRun) -> str:
    """Have the released pair answer about each prepared record, a line each; lines written before a kill are kept."""
    served = with_artifacts(fetch_released(run.task, run.settings), run.settings)
    task = load_task(run.task)
    cards = ModelCards.load(run.settings.prompts_dir / "models.yaml")
    context = TaskContext(pair=served.pair, gateway=build_gateway(run.settings, cards, task.in_process), cards=cards)
    path = run.folder / "answers.part.jsonl"
    known = _known(path, served.pair.digest)
    records = [line for line in (run.folder / "prepared.jsonl").read_text(encoding="utf-8").splitlines() if line]
    write_whole(
        path, "".join(canonical_json(one) + "\n" for one in known.values()), durable=True
    )  # without a torn line
    failed = asyncio.run(_ask_all(task, context, [text for text in records if sha256_hex(text) not in known], path))
    if failed:
        raise StageFailed(
            f"{len(failed)} of {len(records)} records got no answer ({failed[0]}); the same command asks again"
        )
    answered = _known(path, served.pair.digest)
    in_order = [answered[sha256_hex(text)] for text in records]
    write_whole(run.folder / "answers.jsonl", "".join(canonical_json(one) + "\n" for one in in_order), durable=True)
    return f"{len(in_order)} records answered by {served.pair.name} (release {served.sequence}), {len(known)} of them before"


async def _ask_all(task: Task[Any], context: TaskContext, texts: list[str], path: Path) -> list[str]:
    failed = []
    with path.open("a", encoding="utf-8") as file:
        for text in texts:
            result = await task.run(task.input_model.model_validate_json(text), context)
            if result.output is None:
                failed.append(result.failure.value if result.failure else "no output")
                continue
            cost = None if result.cost is None else str(result.cost.metered_usd)
            line = {"record": sha256_hex(text), "pair_digest": context.pair.digest, "output": json.loads(result.output)}
            file.write(
                canonical_json(line | {"model": result.model, "latency_ms": round(result.latency_ms), "cost_usd": cost})
                + "\n"
            )
            file.flush()
    return failed


def _known(path: Path, pair_digest: str) -> dict[str, dict[str, Any]]:
    """Return the whole lines of this pair by record; a line that a kill tore is left out."""
    found = dict[str, dict[str, Any]]()
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            one = json.loads(line)
        except ValueError:
            continue
        if one["pair_digest"] == pair_digest:
            found[one["record"]] = one
    return found


def _digest(run: PipelineRun) -> str:
    return read_to_release(run.task, run.pair, run.settings).pair.digest


def _tracking(run: PipelineRun) -> Tracking:
    return Tracking(run.settings.registry.uri, trusted_keys=run.settings.trusted_keys_file)


def _production(run: PipelineRun) -> Production | None:
    return _tracking(run).production(run.task)


def _evidence(run: PipelineRun) -> str | None:
    """Return the MLflow run whose evidence allows the pair's release, or by which it was released; None: there is none."""
    if not run.settings.trusted_keys_file.exists():
        return None  # the first evaluation makes the key
    wanted, tracking = read_to_release(run.task, run.pair, run.settings), _tracking(run)
    production = tracking.production(run.task)
    if production is not None and production.pair.digest == wanted.pair.digest:
        return production.release.gate_run_id
    try:
        found, _ = find_evidence(
            wanted,
            None if production is None else production.pair.digest,
            doing="released",
            tracking=tracking,
            keys=tracking.keys,
            settings=run.settings,
        )
    except Refused:
        return None
    return found.mlflow_run_id


STAGES: Mapping[str, Callable[[PipelineRun], str]] = {
    "data-prep-processor": prepare,
    "agent-evaluator": evaluate_pair,
    "agent-deployer": deploy,
    "inference": infer,
}
