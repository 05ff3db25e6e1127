"""Calibrates a task's judges and its deterministic detectors on labelled rows: ``omni calibrate``."""

import asyncio
import datetime as dt
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any

from eval.judges.calibration import (
    Agreement,
    Calibration,
    Labelled,
    agreement,
    rate,
    save,
    shortfall,
)
from eval.judges.grading import GradingQuestion, GradingRun, Judge, load_judge
from eval.judges.labelled_rows import (
    CALIBRATION_SET,
    LLMBAR,
    SALES_EMAIL,
    OwnRows,
    PublicRow,
    load_own,
    load_public,
    source_text,
)
from eval.run.progress import count_lines
from eval.run.reply_cache import ReplyCache
from eval.scorers.judge import Grade, JudgeSpec, preference
from eval.suite import Suite
from eval.suites import load_suite
from service.cards import ModelCards
from service.errors import ConfigurationError
from service.llm.gateway import LiteLLMGateway
from service.local.process import LocalBedrock
from service.settings import Settings
from service.task import Task, load_task

OWN, PUBLIC = "own", "public"


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeReport:
    """A measured judge: its record, and why it may not gate ("" if it may)."""

    spec: JudgeSpec
    record: Calibration
    shortfall: str
    calls: int
    failures: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrateOptions:
    """``rubrics`` empty means all of the suite's; ``sets`` names ``own`` and ``public``."""

    task: str
    rubrics: tuple[str, ...] = ()
    model: str | None = None
    repeats: int = 3
    sets: tuple[str, ...] = (OWN, PUBLIC)
    concurrency: int | None = None
    fresh: bool = False


def calibrate(options: CalibrateOptions, settings: Settings, say: Callable[[str], None]) -> list[JudgeReport]:
    """Measure the judges whose own models answer in this environment, and store each record.

    ``say`` gets one line per thing that is left out, with its reason.

    Raises:
        PairError, CaseError, ConfigurationError: bad input; no model was asked.
    """
    task, suite = load_task(options.task), load_suite(options.task)
    cards = ModelCards.load(settings.prompts_dir / "models.yaml")
    specs = _specs(suite, options.rubrics)
    judges = [(spec, load_judge(spec.rubric, settings=settings, cards=cards, model=options.model)) for spec in specs]
    if options.model is None and settings.environment == "local" and settings.bedrock.endpoint is None:
        for spec, judge in [item for item in judges if cards.get(item[1].pair.model).runs == "provider"]:
            say(
                f"judge {spec.rubric}: none in this environment: {judge.pair.model} would be replaced by the bundled "
                "stand-in. To try the calibration with that: --model local.smollm2-135m-instruct-q4"
            )
            judges.remove((spec, judge))
    own = load_own(task, settings)
    reports: list[JudgeReport] = []
    if not judges:
        return reports
    with ExitStack() as stack:
        endpoint = settings.bedrock.endpoint
        if endpoint is None and settings.environment == "local":
            log = settings.state_dir / "logs" / "bedrock.log"
            log.parent.mkdir(parents=True, exist_ok=True)
            endpoint = stack.enter_context(LocalBedrock(("--preload",), log=log)).url
        gateway = LiteLLMGateway(
            cards, region=settings.aws.region, endpoint=endpoint, stand_in=settings.bedrock.stand_in
        )
        gateway.warm_up()
        cache = stack.enter_context(closing(ReplyCache(settings.state_dir / "calls")))
        for spec, judge in judges:
            stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
            bench = GradingRun(
                gateway=gateway,
                cache=cache,
                run_id=f"{stamp}-calibrate",
                concurrency=options.concurrency or (2 if settings.environment == "local" else 8),
                fresh=options.fresh,
            )
            reports.append(_measure(spec, judge, bench, task, suite, own, options, settings, say))
    return reports


def _specs(suite: Suite, wanted: Sequence[str]) -> list[JudgeSpec]:
    known = {spec.rubric: spec for spec in suite.judges}
    for name in wanted:
        if name not in known:
            raise ConfigurationError(
                f"suite {suite.task!r} has no judge {name!r}; judges: {', '.join(known) or 'none'}"
            )
    return [known[name] for name in wanted or known]


def _measure(
    spec: JudgeSpec,
    judge: Judge,
    bench: GradingRun,
    task: Task[Any],
    suite: Suite,
    own: OwnRows,
    options: CalibrateOptions,
    settings: Settings,
    say: Callable[[str], None],
) -> JudgeReport:
    measured: list[Agreement] = []
    grades: list[Grade] = []
    asker = _Asker(judge, bench, options.repeats, grades)
    if OWN in options.sets:
        ask_own = _own_pairs if spec.pairwise else _own_rows
        measured.append(ask_own(spec, asker, task, own))
    public_name = LLMBAR if spec.pairwise else SALES_EMAIL
    if PUBLIC in options.sets and (spec.pairwise or "swapped_amount" in spec.bad_kinds):
        public = load_public(public_name, settings.public_data_dir)
        if public is None:
            say(
                f"judge {spec.rubric}: public set {public_name} left out, it is not in {settings.public_data_dir}; "
                "set OMNI_PUBLIC_DATA_DIR to the folder that holds it"
            )
        else:
            measured.append(asker.pairs(public_name, *public) if spec.pairwise else asker.rows(public_name, *public))
    answered_by = sorted({grade.answered_by for grade in grades if grade.answered_by})
    record = Calibration(
        judge_digest=judge.digest,
        rubric=judge.rubric,
        model=judge.pair.model,
        answered_by=", ".join(answered_by),
        environment=settings.environment,
        date=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        repeats=options.repeats,
        sets=tuple(measured),
    )
    save(record, settings.state_dir)
    reasons: dict[str, int] = {}
    for grade in grades:
        if grade.unscored:
            reasons[grade.unscored] = reasons.get(grade.unscored, 0) + 1
    return JudgeReport(
        spec=spec,
        record=record,
        shortfall=shortfall(record, spec, set_digest=own.digest, max_unscored_rate=suite.max_unscored_rate),
        calls=len(grades),
        failures=tuple(sorted(reasons.items(), key=lambda item: -item[1])),
    )


class _Asker:
    """Asks one judge about whole sets; ``grades`` collects every answer."""

    def __init__(self, judge: Judge, bench: GradingRun, repeats: int, grades: list[Grade]) -> None:
        self._judge, self._bench, self._repeats, self._grades = judge, bench, repeats, grades

    def ask(self, questions: Sequence[GradingQuestion], title: str) -> list[list[Grade]]:
        """Return ``repeats`` grades for each question."""
        asked = [(self._judge, question, repeat) for repeat in range(self._repeats) for question in questions]
        progress = _progress(f"judge {self._judge.rubric} on {title}", len(asked))
        grades = asyncio.run(self._bench.ask_all(asked, progress))
        self._grades.extend(grades)
        return [grades[place :: len(questions)] for place in range(len(questions))]

    def rows(self, name: str, rows: Sequence[PublicRow], digest: str) -> Agreement:
        """Grade texts one by one."""
        questions = [GradingQuestion(values={"source": row.source, "summary": row.summary}) for row in rows]
        answers = self.ask(questions, name)
        labelled = [
            Labelled(row_id=r.row_id, group=r.group, good=r.good, kind=None if r.good else "bad", votes=_votes(grades))
            for r, grades in zip(rows, answers, strict=True)
        ]
        return agreement(labelled, set_name=name, set_digest=digest)

    def pairs(self, name: str, rows: Sequence[PublicRow], digest: str) -> Agreement:
        """Compare each better text with its worse one in both orders.

        The vote is on the text that was shown as ``a``; each order is one row, so half of the labels are good and a judge
        that always prefers the first text has kappa 0.
        """
        questions = []
        for row in rows:
            for first, second in ((row.summary, row.other or ""), (row.other or "", row.summary)):
                questions.append(
                    GradingQuestion(values={"source": row.source, "summary_a": first, "summary_b": second})
                )
        answers = self.ask(questions, name)
        labelled, same, settled = [], [], []
        for place, row in enumerate(rows):
            orders = answers[2 * place : 2 * place + 2]
            for good, grades in zip((True, False), orders, strict=True):
                labelled.append(
                    Labelled(
                        row_id=row.row_id,
                        group=row.group,
                        good=good,
                        kind=None if good else "worse shown first",
                        votes=_votes(grades),
                    )
                )
            score = preference(orders[0][0], orders[1][0])
            if score.value is not None:
                settled.append(labelled[-1])
                same.append(score.value != 0.5)
        return agreement(labelled, set_name=name, set_digest=digest, swap_agreement=rate(settled, same))


def _own_rows(spec: JudgeSpec, asker: _Asker, task: Task[Any], own: OwnRows) -> Agreement:
    sources = {case_id: source_text(task, case) for case_id, case in own.cases.items()}
    questions = [GradingQuestion(values={"source": sources[row.case_id], "summary": row.summary}) for row in own.rows]
    answers = asker.ask(questions, CALIBRATION_SET)
    labelled = [
        Labelled(row_id=row.id, group=row.case_id, good=row.label == "good", kind=row.kind, votes=_votes(grades))
        for row, grades in zip(own.rows, answers, strict=True)
    ]
    concerned = [row for row in labelled if row.kind is None or row.kind in spec.bad_kinds]
    others = [row for row in labelled if row not in concerned]
    return agreement(concerned, set_name=CALIBRATION_SET, set_digest=own.digest, others=others)


def _own_pairs(spec: JudgeSpec, asker: _Asker, task: Task[Any], own: OwnRows) -> Agreement:
    by_id = {row.id: row for row in own.rows}
    rows = [
        PublicRow(
            row_id=row.id,
            group=row.case_id,
            source=source_text(task, own.cases[row.case_id]),
            summary=by_id[row.pair_id].summary,
            other=row.summary,
        )
        for row in own.rows
        if row.kind in spec.bad_kinds and row.pair_id in by_id
    ]
    return asker.pairs(CALIBRATION_SET, rows, own.digest)


def _votes(grades: Sequence[Grade]) -> tuple[bool | None, ...]:
    return tuple(grade.good for grade in grades)


def _progress(title: str, total: int) -> Callable[[Grade], None]:
    """Count answers and print how far they are on standard error."""
    unscored, line = 0, count_lines(title, total)

    def count(grade: Grade) -> None:
        nonlocal unscored
        unscored += grade.unscored is not None
        line(f"{unscored} unscored")

    return count
