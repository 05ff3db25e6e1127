"""Measures the judge inside a pair, which approves what leaves, against labels: ``omni calibrate --judge approval``.

Production asks it about texts that code has nothing against. It is measured on all labelled texts alone, and the whole
approval, code and judge, beside it.
"""

import asyncio
import datetime as dt
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from eval.judges.agreeing import counting
from eval.judges.calibrate import OWN, CalibrateOptions, JudgeReport, open_bench
from eval.judges.calibration import (
    Agreement,
    Calibration,
    Labelled,
    agreement,
    fallen,
    interval_text,
    load,
    save,
    shortfall,
)
from eval.judges.grading import GradingQuestion, GradingRun, Judge
from eval.judges.labelled_rows import CALIBRATION_SET, CalibrationRow, OwnRows, load_own, own_digest
from eval.judges.licensing.due import JudgeDue
from eval.spine.approver import Approver
from eval.spine.results import JudgeNote
from eval.spine.suite import Suite
from eval.suites import load_suite
from figures.command_line import omni
from service.core.run.task import Task, load_task
from service.core.unit.cards import ModelCards
from service.core.unit.pair import OutputRules, Pair, ServingPolicy
from service.core.unit.pair_file import load_pair
from service.core.unit.question import Question
from service.kit.frame.canonical import canonical_json, sha256_hex
from service.kit.frame.errors import ConfigurationError, ModelError, OutputInvalid
from service.kit.settings import Settings
from service.kit.telemetry.log import Event, log

CODE_ALONE, WITH_CODE = "code alone", "code and judge"
_DEADLINE_MS = 60_000  # a calibration waits longer than a customer would


@dataclass(frozen=True, slots=True, kw_only=True)
class PairJudge(Judge):
    """The judge inside ``of``: ``pair`` holds its prompt and model alone, so that another generator keeps its calibration."""

    of: Pair
    schema: Mapping[str, Any] = field(default_factory=dict)

    @property
    def form(self) -> dict[str, Any] | None:
        """The JSON schema of an answer: the task's own."""
        return dict(self.schema)

    @property
    def digest(self) -> str:
        """SHA-256 over prompt, model, sampling, artifacts and the form of the answer."""
        return sha256_hex(canonical_json([self.pair.digest, self.form]))


def calibrate_approvals(options: CalibrateOptions, settings: Settings, say: Callable[[str], None]) -> list[JudgeReport]:
    """Measure the judge of each pair of a task that has one; none where the suite has no approver, or other judges are wanted.

    Raises:
        PairError, CaseError, ConfigurationError: bad input, before a model is asked; or a judge that never answered.
    """
    task, suite = load_task(options.task), load_suite(options.task)
    approver = suite.approver
    if approver is None or OWN not in options.sets or (options.rubrics and approver.spec.rubric not in options.rubrics):
        return []
    if own_digest(task.name, settings) is None:
        say(
            f"judge {approver.spec.rubric}: left out, task {task.name!r} has no labelled rows ({CALIBRATION_SET}.jsonl)"
        )
        return []
    cards = ModelCards.load(settings.prompts_dir / "models.yaml")
    own, wanted = load_own(task, settings), []
    for judge in pair_judges(task, approver, settings, cards, own, model=options.model):
        if options.model is None and _replaced(judge.pair.model, cards, settings):
            say(
                f"judge {approver.spec.rubric} of pair {judge.of.name}: none in this environment: {judge.pair.model} would be "
                "replaced by the bundled stand-in. To try the calibration with that: --model local.smollm2-135m-instruct-q4"
            )
        else:
            wanted.append(judge)
    if not wanted:
        return []
    with ExitStack() as stack:
        bench = open_bench(stack, options, settings, cards, wanted)
        return [_Measured(judge, bench, task, suite, own, options, settings).report() for judge in wanted]


def pair_judges(
    task: Task[Any],
    approver: Approver,
    settings: Settings,
    cards: ModelCards,
    own: OwnRows,
    *,
    model: str | None = None,
) -> list[PairJudge]:
    """Return the judges inside the task's pairs, equal ones once; ``model`` replaces their own.

    Raises:
        PairError: a pair's file is wrong, or a judge is code.
    """
    found = dict[str, PairJudge]()
    for path in sorted((settings.prompts_dir / task.name).glob("*.prompty")):
        pair = load_pair(path, cards=cards, task_variables=task.variables, part_variables=task.part_variables)
        if pair.has_part(approver.part):
            judge = _judge_of(pair, approver, task, own, cards, model)
            found.setdefault(judge.digest, judge)
    return list(found.values())


def approval_notes(suite: Suite, settings: Settings, cards: ModelCards, pairs: Sequence[Pair]) -> tuple[JudgeNote, ...]:
    """Return, for each of ``pairs`` with a judge of its own, whether that judge is calibrated and whose family it is of."""
    approver = suite.approver
    if approver is None or own_digest(suite.task, settings) is None:
        return ()
    task = load_task(suite.task)
    own, notes = load_own(task, settings), []
    for pair in pairs:
        if not pair.has_part(approver.part):
            continue
        judge = _judge_of(pair, approver, task, own, cards, None)
        record = load(settings.state_dir, judge.digest)
        short = _shortfall(record, approver, own.digest, suite)
        measured = ""
        if record is not None and not short:
            measured = (
                f"calibrated, kappa {interval_text(record.sets[0].kappa)} on n={own_n(record)}, {record.date[:10]}"
            )
        family = "; a model of the generator's own family" if approver.is_own_family(pair) else ""
        notes.append(
            JudgeNote(
                rubric=f"{approver.spec.rubric} of {pair.name}",
                digest=judge.digest,
                model=judge.pair.model,
                answered_by="" if record is None else record.answered_by,
                status=f"{measured or f'uncalibrated: {short}'}{family}; decides what leaves, not this gate",
                gates=False,
            )
        )
    return tuple(notes)


def own_n(record: Calibration) -> int:
    """Return how many labelled rows a record is of."""
    return record.sets[0].n


def approvals_due(task_name: str, settings: Settings, *, days: int, now: dt.datetime) -> list[JudgeDue]:
    """Return the judges inside the task's pairs; one measured more than ``days`` days ago is due. No model is asked."""
    suite = load_suite(task_name)
    approver = suite.approver
    if approver is None or own_digest(task_name, settings) is None:
        return []
    task, cards = load_task(task_name), ModelCards.load(settings.prompts_dir / "models.yaml")
    own, found = load_own(task, settings), []
    for judge in pair_judges(task, approver, settings, cards, own):
        record = load(settings.state_dir, judge.digest)
        reason = _shortfall(record, approver, own.digest, suite)
        if record is not None and not reason:
            age = (now - dt.datetime.fromisoformat(record.date)).days
            reason = f"measured {age} days ago" if age > days else ""
        name = f"{approver.spec.rubric} of {judge.of.name}"
        measured = "" if record is None else record.date
        found.append(JudgeDue(rubric=name, model=judge.pair.model, measured=measured, reason=reason))
    return found


def _replaced(model: str, cards: ModelCards, settings: Settings) -> bool:
    return settings.environment == "local" and settings.bedrock.endpoint is None and cards.get(model).replaced_locally


def _judge_of(
    pair: Pair, approver: Approver, task: Task[Any], own: OwnRows, cards: ModelCards, model: str | None
) -> PairJudge:
    part = pair.part(approver.part)
    if model is not None:
        of = replace(pair, parts=tuple(replace(p, model=cards.get(model).id) if p is part else p for p in pair.parts))
        return _judge_of(of, approver, task, own, cards, None)
    if cards.get(part.model).wire == "in_process":
        raise ConfigurationError(f"model {part.model!r} is code and cannot judge; choose a language model")
    alone = replace(
        pair, name=part.name, version="", model=part.model, backup=None, sampling=part.sampling, messages=part.messages,
        variables=part.variables, cache_prefix=False, tools=(), parts=(), output=OutputRules(schema="", max_words=0),
        serving=ServingPolicy(deadline_ms=_DEADLINE_MS),
    )  # fmt: skip
    row = own.rows[0]
    inputs = task.input_model.model_validate(own.cases[row.case_id].inputs)
    return PairJudge(pair=alone, of=pair, schema=approver.question(row.summary, inputs, pair).answer_schema or {})


def _shortfall(record: Calibration | None, approver: Approver, digest: str, suite: Suite) -> str:
    found = shortfall(record, approver.spec, set_digest=digest, max_unscored_rate=_MAX_UNSCORED)
    if not found and record is not None and record.first is not None:
        p = fallen(record.first, record.sets[0])
        if p is not None:
            found = f"it agrees with the labels less than on {record.first_date[:10]} (p={p:.2g})"
    return found and f"{found}; run {omni('calibrate', '--judge', approver.spec.rubric, task=suite.task)}"


_MAX_UNSCORED = 0.05  # an answer that cannot be read lets nothing leave in production, so more would cost messages


@dataclass(frozen=True, slots=True)
class _Measured:
    """One judge asked about every labelled row."""

    judge: PairJudge
    bench: GradingRun
    task: Task[Any]
    suite: Suite
    own: OwnRows
    options: CalibrateOptions
    settings: Settings
    reasons: list[str] = field(default_factory=list)
    names: set[str] = field(default_factory=set)

    @property
    def approver(self) -> Approver:
        """The suite's port; the caller has seen that there is one."""
        assert self.suite.approver is not None
        return self.suite.approver

    def report(self) -> JudgeReport:
        """Ask, store the record and return the report.

        Raises:
            ConfigurationError: nobody answered.
        """
        votes = asyncio.run(self._votes())
        if not self.names:
            why = next(iter(self.reasons), "")
            raise ConfigurationError(
                f"judge {self.approver.spec.rubric} of pair {self.judge.of.name} on {self.judge.pair.model}: nobody answered "
                f"({why}), so nothing was recorded; see that the model's server runs, with "
                f"{omni('models', 'check', self.judge.pair.model)}"
            )
        by_code = [
            tuple(self.approver.refused_by_code(row.summary, self._inputs(row), self.judge.of)) for row in self.own.rows
        ]
        record = self._record(votes, by_code)
        save(record, self.settings.state_dir)
        p = None if record.first is None else fallen(record.first, record.sets[0])
        log(
            Event.JUDGE_MEASURED,
            judge=f"{self.approver.spec.rubric} of {self.judge.of.name}",
            model=self.judge.pair.model,
            kappa=None if record.sets[0].kappa is None else round(record.sets[0].kappa.value, 3),
            n=own_n(record),
            fallen=int(p is not None),
        )
        return JudgeReport(
            spec=self.approver.spec,
            record=record,
            shortfall=_shortfall(record, self.approver, self.own.digest, self.suite),
            calls=len(votes) * self.options.repeats,
            failures=tuple(Counter(self.reasons).most_common()),
            approves=self.judge.of.name,
            notes=tuple(self._notes(by_code, record, p)),
        )

    def _notes(self, by_code: Sequence[tuple[str, ...]], record: Calibration, p: float | None) -> list[str]:
        kinds = Counter(
            kind for row, kinds in zip(self.own.rows, by_code, strict=True) if row.label == "good" for kind in kinds
        )
        lines = []
        if kinds:
            lines.append("code refuses good texts for: " + ", ".join(f"{kind} {n}" for kind, n in kinds.most_common()))
        if self.approver.is_own_family(self.judge.of):
            lines.append("the judge's model is of the family of the pair's generator: a model likes its own")
        if record.first is not None and record.first_date != record.date:
            drift = "no fall beyond chance" if p is None else f"agrees less, p={p:.2g}"
            lines.append(f"against {record.first_date[:10]}: {drift}")
        return lines

    def _record(self, votes: Sequence[tuple[bool | None, ...]], by_code: Sequence[tuple[str, ...]]) -> Calibration:
        date = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        alone = self._agreement(CALIBRATION_SET, votes)
        sets = (
            alone,
            self._agreement(CODE_ALONE, [(not kinds,) for kinds in by_code]),
            self._agreement(
                WITH_CODE, [(False,) * len(vote) if kinds else vote for vote, kinds in zip(votes, by_code, strict=True)]
            ),
        )
        kept = load(self.settings.state_dir, self.judge.digest)
        same = kept is not None and kept.first is not None and kept.first.set_digest == alone.set_digest
        return Calibration(
            judge_digest=self.judge.digest,
            rubric=f"{self.approver.spec.rubric} of {self.judge.of.name}",
            model=self.judge.pair.model,
            answered_by=", ".join(sorted(self.names)),
            environment=self.settings.environment,
            date=date,
            repeats=self.options.repeats,
            sets=sets,
            first=kept.first if same and kept is not None else alone,
            first_date=kept.first_date if same and kept is not None else date,
        )

    def _agreement(self, name: str, votes: Sequence[tuple[bool | None, ...]]) -> Agreement:
        labelled = [
            Labelled(row_id=row.id, group=row.case_id, good=row.label == "good", kind=row.kind, votes=vote)
            for row, vote in zip(self.own.rows, votes, strict=True)
        ]
        return agreement(labelled, set_name=name, set_digest=self.own.digest)

    async def _votes(self) -> list[tuple[bool | None, ...]]:
        """Return, for each row, whether the judge approved it, ``repeats`` times; None where it gave no score."""
        questions = [self.approver.question(row.summary, self._inputs(row), self.judge.of) for row in self.own.rows]
        asked = [(question, repeat) for repeat in range(self.options.repeats) for question in questions]
        line = counting(f"judge {self.approver.spec.rubric} of {self.judge.of.name}", len(asked))

        async def one(question: Question, repeat: int) -> bool | None:
            said = await self._ask(question, repeat)
            line(said is None)
            return said

        found = await self.bench.each([partial(one, *item) for item in asked])
        return [tuple(found[place :: len(questions)]) for place in range(len(questions))]

    async def _ask(self, question: Question, repeat: int) -> bool | None:
        try:
            reply = await self.bench.reply(self.judge, GradingQuestion(values=question.values), repeat)
        except ModelError as err:
            self.reasons.append(f"the judge did not answer: {err.code.value}")
            return None
        self.names.update({reply.answered_by} - {""})
        try:
            return self.approver.read(question.read(reply.text), self.judge.of).approved
        except OutputInvalid as err:
            self.reasons.append(f"the judge's answer cannot be read: {err}")
            return None

    def _inputs(self, row: CalibrationRow) -> Any:
        return self.task.input_model.model_validate(self.own.cases[row.case_id].inputs)
