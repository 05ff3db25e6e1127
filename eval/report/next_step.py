"""Says what to do after an evaluation, by what it found: the last lines on the console and a box on the page."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from eval.report.conclusions import candidates, open_checks, replaced_models, table_metrics
from eval.spine.results import NOT_MEASURED, Evaluation, PairResult, Verdict, behaviour_verdict
from eval.spine.suite import Suite
from figures.command_line import REASON, omni
from service.core.release.unseen import UnseenPolicy
from service.kit.frame.display.inert import one_line

DEV = "dev"
_UNDECIDED_REPEATS = 3  # more than before


@dataclass(frozen=True, slots=True, kw_only=True)
class NextStep:
    """What to do, and the command that does it."""

    do: str
    command: str


def step_lines(steps: Sequence[NextStep]) -> list[str]:
    """Return the steps as the console prints them: "Next: release it: omni promote ...", "Then: ..."."""
    return [f"{'Then' if number else 'Next'}: {step.do}: {step.command}" for number, step in enumerate(steps)]


def next_steps(
    evaluation: Evaluation,
    suite: Suite,
    policy: UnseenPolicy,
    *,
    named: Collection[str] = (),
    has_dev: bool = True,
) -> tuple[NextStep, ...]:
    """Return what to do after ``evaluation``, in order; at least one step.

    ``policy``: whether this stage releases a pair although nobody looked at some kinds of harm.
    ``named``: the pairs that were asked for; the step is about one of them where there are any.
    ``has_dev``: whether the task has a development set to try an improvement on; else the gate's cases are tried again.
    """
    judged = [pair for pair in candidates(evaluation) if not named or pair.pair_name in named]
    if not judged:
        return _for_production(evaluation, suite)
    real = [pair for pair in judged if pair.role != "demo"]
    if not real:
        return _step("that was a demo; evaluate what is no demo", omni("eval", task=evaluation.task))
    if suite.episode is not None and suite.episode.customer is not None:
        names = ",".join(pair.pair_name for pair in real)
        again = omni("eval", "--pairs", names, task=evaluation.task)
        return _step("this is no evidence, as a model played the customers; let their scripts play them", again)
    passed = [pair for pair in real if pair.gate.verdict is Verdict.PASS]
    if passed:
        return _after_pass(_best(passed, suite), evaluation, suite, policy)
    undecided = [pair for pair in real if pair.gate.verdict is Verdict.INCONCLUSIVE]
    if undecided:
        return _after_undecided(_best(undecided, suite), evaluation, suite, has_dev)
    return _after_fail(min(real, key=lambda pair: len(open_checks(pair))), evaluation, has_dev)


def _after_pass(pair: PairResult, evaluation: Evaluation, suite: Suite, policy: UnseenPolicy) -> tuple[NextStep, ...]:
    name, task = pair.pair_name, evaluation.task
    if replaced_models(evaluation, pair):
        asked = f"OMNI_ENVIRONMENT=aws {omni('gate', name, task=task)}"
        return _step("a stand-in answered; ask the real model", asked)
    if evaluation.dataset_name != suite.gate_dataset:
        return _step("evaluate it on the gate's cases", omni("eval", "--pairs", name, task=task))
    steps: tuple[NextStep, ...] = ()
    if suite.behaviour is not None and behaviour_verdict(pair.gate.checks) == NOT_MEASURED:
        required = evaluation.environment in suite.behaviour.required_in
        needed = f", and {evaluation.environment} requires" if required else ""
        behaviour = f"judge its behaviour too, which this run did not measure{needed}"
        steps = _step(behaviour, omni("gate", name, task=task))
    if policy.refuses(pair.gate.unseen, None, pair.gate.sentences):
        text = pair.gate.limits
        judge = f"have a licensed judge look, as {text}, and stage {policy.stage} refuses that"
        return steps + _step(judge, omni("calibrate", task=task))
    return steps + _step("release it", omni("promote", name, *REASON, task=task))


def _after_undecided(pair: PairResult, evaluation: Evaluation, suite: Suite, has_dev: bool) -> tuple[NextStep, ...]:
    name, task = pair.pair_name, evaluation.task
    if evaluation.dataset_name != suite.gate_dataset:
        return _step("evaluate it on the gate's cases, which are more", omni("eval", "--pairs", name, task=task))
    if all(check.kind == "behaviour" for check in open_checks(pair)):
        return _step("measure its behaviour again", omni("gate", name, task=task))
    if pair.gate.look.planned > 1:
        more = ("--budget", str(pair.gate.look.planned - 1 + _UNDECIDED_REPEATS))
        return _step("gather more evidence", omni("eval", "--pairs", name, *more, task=task))
    return _step(f"improve {_made_of(pair, evaluation)} and try it", _again(pair, task, has_dev))


def _after_fail(pair: PairResult, evaluation: Evaluation, has_dev: bool) -> tuple[NextStep, ...]:
    name, task = pair.pair_name, evaluation.task
    if all(check.kind == "behaviour" for check in open_checks(pair)) and pair.gate.checks:
        return _step(f"improve {_made_of(pair, evaluation)} and try it", omni("behave", name, task=task))
    do = f"read its worst cases in the report, improve {_made_of(pair, evaluation)}, and try it"
    return _step(do, _again(pair, task, has_dev))


def _again(pair: PairResult, task: str, has_dev: bool) -> str:
    return omni("eval", "--pairs", pair.pair_name, *(("--dataset", DEV) if has_dev else ()), task=task)


def _for_production(evaluation: Evaluation, suite: Suite) -> tuple[NextStep, ...]:
    production = next((pair for pair in evaluation.pairs if pair.is_production), None)
    if (
        production is not None
        and production.gate.verdict is Verdict.FAIL
        and evaluation.dataset_name == suite.gate_dataset
    ):
        return _step("production fails its own gate; see what else was released", omni("history", task=evaluation.task))
    return _step("serve what is in production", omni("serve"))


def _step(do: str, command: str) -> tuple[NextStep, ...]:
    return (NextStep(do=do, command=command),)


def _best(pairs: list[PairResult], suite: Suite) -> PairResult:
    """The pair with the best value of the table's first metric; of equals the first."""
    spec = table_metrics(suite)[0]

    def quality(pair: PairResult) -> float:
        metric = pair.metrics.get(spec.name)
        if metric is None or metric.value is None:
            return float("-inf")
        return metric.value if spec.higher_is_better else -metric.value

    return max(pairs, key=quality)


def _made_of(pair: PairResult, evaluation: Evaluation) -> str:
    """Return what a person edits to change the pair's answers: its file, or the task's code where that answers."""
    if pair.model in evaluation.code_models:
        return f"the code of {pair.model} in service/core/tasks/{evaluation.task}"
    return f"prompts/{evaluation.task}/{one_line(pair.pair_name, 60)}.prompty"
