"""Measures the CPU seconds to score and gate two pairs on the gate set; a process of ``omni bench harness``."""

import datetime as dt
import time
from dataclasses import replace

from eval.run.loaders import load_dataset
from eval.run.scoring import score_one
from eval.spine.cases import Case
from eval.spine.results import CaseResult
from eval.spine.suite import Suite
from eval.suites import load_suite
from eval.verdict.deltas import build_deltas
from eval.verdict.gate import GateFigures, GateRules, Judgement, decide
from eval.verdict.metrics import build_metrics, build_slice_metrics
from eval.verdict.must_pass import must_pass_slices
from service.core.run.task import TaskResult, load_task
from service.core.tasks.summarize import SummarizeInputs
from service.core.tasks.summarize.digest import extractive_digest
from service.core.unit.cards import ModelCards
from service.core.unit.interaction import Interaction
from service.core.unit.pair_file import load_pair
from service.kit.frame.display.terminal import say
from service.kit.settings import Settings


def deciding_cpu_s(settings: Settings) -> float:
    """Return the CPU seconds from answers to a verdict: the digest against the references, all cases of the gate set.

    Two pairs are scored and gated, one against the other; reading the cases and importing libraries are not counted.
    """
    task, suite = load_task("summarize"), load_suite("summarize")
    cards = ModelCards.load(settings.prompts_dir / "models.yaml")
    dataset = load_dataset(suite.gate_dataset, task="summarize", input_model=task.input_model, settings=settings)
    path = settings.prompts_dir / "summarize" / "extractive.prompty"
    pair = load_pair(path, cards=cards, task_variables=task.variables, part_variables=task.part_variables)
    cases = {case.id: case for case in dataset.cases}
    digests = [_answer(case, extractive_digest(_visible(case))) for case in dataset.cases]
    references = [_answer(case, case.expectations.references[0]) for case in dataset.cases]
    rules = GateRules(suite=suite, cards=cards, today=dt.datetime.now(dt.UTC).date())
    began = time.process_time()
    candidate, production = _scored(suite, cases, digests), _scored(suite, cases, references)
    for side in (candidate, production):
        figures = GateFigures(
            metrics=build_metrics(suite, cases, side, deadline_ms=pair.serving.deadline_ms),
            slices=build_slice_metrics(suite, cases, side, deadline_ms=pair.serving.deadline_ms),
            deltas=build_deltas(suite, cases, side, production, timing="in turn"),
            must_pass=must_pass_slices(suite, cases, side),
        )
        decide(
            Judgement(
                pair=pair,
                answers=side,
                figures=figures,
                dataset_digest=dataset.digest,
                baseline_digest="0" * 64,
            ),
            rules,
        )
    return time.process_time() - began


def _visible(case: Case) -> list[Interaction]:
    return list(SummarizeInputs.model_validate(case.inputs).visible())


def _answer(case: Case, text: str) -> CaseResult:
    result = TaskResult(output=text, arm="primary", model="local.echo-v1", answered_by="echo", latency_ms=1.0)
    return CaseResult(case_id=case.id, arm="primary", repeat=0, result=replace(result, model_ms=1.0), live=True)


def _scored(suite: Suite, cases: dict[str, Case], answers: list[CaseResult]) -> list[CaseResult]:
    return [
        replace(item, scores=score_one(suite.scorers, suite.task, cases[item.case_id], item.result)) for item in answers
    ]


if __name__ == "__main__":
    say(deciding_cpu_s(Settings()))
