"""The judges of an evaluation: which can be asked in this environment, their grades, and whether they may gate."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from eval.judges.asking import Asker, JudgedText
from eval.judges.grading import GradingRun, refuse_same_answerer, refuse_self_judging, rubrics
from eval.judges.jury import Jury, load_jury
from eval.judges.labelled_rows import own_digest, source_text
from eval.judges.reading import ReadableTexts, SentenceRead, Unread, changed_sentences, joined
from eval.labels.claims.labels import ClaimLabels, claims_digest, load_claims
from eval.run.runner import Runner
from eval.spine.accounts import ACCOUNTED, SentenceAccount
from eval.spine.cases import Case
from eval.spine.judge_spec import JudgeSpec
from eval.spine.results import ArmName, CaseResult, JudgeNote, Score
from eval.spine.scorer import unscored
from eval.spine.suite import Suite
from service.core.llm.model_call import Gateway
from service.core.run.task import Task
from service.core.unit.cards import ModelCards
from service.core.unit.pair import Pair
from service.kit.settings import Settings

if TYPE_CHECKING:  # brings scipy
    from eval.judges.licence import Licence

AnswersByArm = dict[tuple[str, ArmName], list[CaseResult]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """The judges of a run: those to ask, and a note on each other judge of the suite."""

    asked: tuple[tuple[JudgeSpec, Jury], ...] = ()
    left_out: tuple[JudgeNote, ...] = ()

    @property
    def pairs(self) -> list[Pair]:
        """The judges' pairs, so that the caller can prepare the gateway for them."""
        return [pair for _, jury in self.asked for pair in jury.pairs]


def open_panel(suite: Suite, settings: Settings, cards: ModelCards, *, model: str | None) -> Panel:
    """Return the suite's judges whose own models answer in this environment.

    In ``local`` the stand-in would answer for a provider's model, and its grades are meaningless, so such a judge is left out
    unless ``model`` names the judge's model.

    Raises:
        PairError: a judge's file is wrong, or ``model`` has no card.
    """
    asked, left_out = [], []
    there = rubrics(settings)
    for spec in suite.judges:
        if spec.rubric not in there:
            status = f"no judge: prompts/judges/{spec.rubric}.prompty is missing"
            missing = JudgeNote(rubric=spec.rubric, digest="", model="", answered_by="", status=status, gates=False)
            left_out.append(missing)
            continue
        jury = load_jury(spec.rubric, settings=settings, cards=cards, models=model)
        stand_in = settings.environment == "local" and settings.bedrock.endpoint is None
        if model is None and stand_in and cards.get(jury.model).replaced_locally:
            status = f"no judge in this environment: {cards.get(jury.model).short_name} is not reachable"
            left_out.append(_note(jury, "", status))
        elif spec.asks_claims and claims_digest(settings.datasets_dir, suite.task) is None:
            left_out.append(_note(jury, "", f"not asked: task {suite.task!r} has no labelled claims"))
        else:
            asked.append((spec, jury))
    return Panel(asked=tuple(asked), left_out=tuple(left_out))


def check_panel(panel: Panel, pairs: Sequence[Pair]) -> None:
    """Refuse a judge that runs on a model under test.

    Raises:
        ConfigurationError: naming judge, model and pair.
    """
    for _, jury in panel.asked:
        for judge in jury.judges:
            refuse_self_judging(judge, pairs)


def grading_run_of(runner: Runner, gateway: Gateway) -> GradingRun:
    """Return where the judges of ``runner``'s run are asked: through ``gateway``, into the same cache."""
    return GradingRun(
        gateway=gateway,
        cache=runner.cache,
        run_id=runner.run_id,
        concurrency=runner.concurrency,
        fresh=runner.fresh,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class GradedAnswers:
    """Answers with the judges' scores, the suite with their metrics and floors, and a note on every judge."""

    answers: AnswersByArm
    suite: Suite
    notes: tuple[JudgeNote, ...]


def judge_answers(
    panel: Panel,
    bench: GradingRun,
    *,
    pairs: Sequence[Pair],
    task: Task[Any],
    suite: Suite,
    settings: Settings,
    cases: Sequence[Case],
    answers: AnswersByArm,
    production: str | None,
) -> GradedAnswers:
    """Have every judge grade every answer, in this process: judges need the gateway.

    ``production`` is the digest of the pair that pairwise judges compare with; without one they are not asked.

    Raises:
        ConfigurationError: a judge runs on a model of ``pairs``, or what answered as a judge also wrote answers of this run.
    """
    check_panel(panel, pairs)
    bench_of = _Bench(run=bench, task=task, suite=suite, settings=settings, cases={case.id: case for case in cases})
    wrote = {name for results in answers.values() for item in results for name in item.result.answerers}
    notes, metrics, gating = list(panel.left_out), [], []
    claims = _claims_of(panel, task, settings)
    for spec, jury in panel.asked:
        if spec.pairwise and production is None:
            notes.append(_note(jury, "", "not asked: no pair is in production to compare with"))
            continue
        asker = Asker(spec=spec, jury=jury, bench=bench, claims=claims)
        graded = asyncio.run(_ask(asker, bench_of, answers, production))
        for judge in jury.judges:
            for name in graded.answered_by:
                refuse_same_answerer(judge, name, wrote)
        note, whole = _standing(asker, bench_of, answers, graded)
        answers = {
            key: [_with_scores(item, graded, join=spec.reads and whole) for item in results]
            for key, results in answers.items()
        }
        heard = {origin for judge in jury.judges for origin in bench.origins.get(judge.digest, ())}
        note = replace(note, origins=tuple(sorted(heard)))
        metrics.append(spec)
        if note.gates:
            gating.append(spec if production else _with_own_floor(spec, jury, settings))
        notes.append(note)
    return GradedAnswers(
        answers=answers, suite=suite.judged_by(metrics, gating) if metrics else suite, notes=tuple(notes)
    )


@dataclass(frozen=True, kw_only=True)
class _Bench:
    """What all judges of a run are asked about."""

    run: GradingRun
    task: Task[Any]
    suite: Suite
    settings: Settings
    cases: Mapping[str, Case]

    @property
    def texts(self) -> ReadableTexts:
        return ReadableTexts(task=self.task, suite=self.suite)

    def transcript(self, item: CaseResult) -> str:
        """Return the conversation that ``item`` is."""
        assert self.suite.episode is not None, "checked when the suite was made"
        return self.suite.episode.transcript(item.result.output or "")


@dataclass(frozen=True, kw_only=True)
class _Read:
    """What a reader was asked about an answer and said."""

    accounts: tuple[SentenceAccount, ...]
    unread: tuple[Unread, ...]
    readings: tuple[SentenceRead, ...] = ()


@dataclass(frozen=True, kw_only=True)
class _Graded:
    """A judge's scores and readings of each result, by ``id``, and who answered as the judge."""

    scores: dict[int, dict[str, Score]]
    readings: dict[int, _Read]
    answered_by: frozenset[str]


def _with_scores(item: CaseResult, graded: _Graded, *, join: bool) -> CaseResult:
    """Return ``item`` with the judge's scores; with ``join`` also with a reader's readings of its sentences."""
    read = graded.readings.get(id(item))
    with_scores = replace(item, scores=item.scores | graded.scores[id(item)])
    return with_scores if read is None or not join else joined(with_scores, read.accounts, read.unread, read.readings)


def _claims_of(panel: Panel, task: Task[Any], settings: Settings) -> ClaimLabels | None:
    if not any(spec.asks_claims for spec, _ in panel.asked):
        return None
    return load_claims(settings.datasets_dir, task.name)


def _standing(asker: Asker, bench: _Bench, answers: AnswersByArm, graded: _Graded) -> tuple[JudgeNote, bool]:
    """Return the note on a judge that was asked (whether it gates, on which kinds of harm, or why not), and if it sees all."""
    from eval.judges.calibration import interval_text, load, shortfall  # bring scipy, so only where a judge was asked
    from eval.judges.licence import licence, terms_of

    spec, jury, settings = asker.spec, asker.jury, bench.settings
    answered_by = ", ".join(sorted(graded.answered_by))
    record = load(settings.state_dir, jury.digest)
    if spec.kinds:
        if not answered_by:
            return _note(jury, answered_by, "no licence, shown only: nobody answered as this judge"), False
        granted = licence(record, spec, terms_of(bench.suite, settings, spec), answered_by=answered_by)
        if granted.licensed:
            granted, in_place = _in_place(granted, asker, bench, answers, graded)
        if granted.shortfall or not spec.bounded:
            reason = granted.shortfall or "the suite sets it no bound"
            return _note(jury, answered_by, f"no licence, shown only: {reason}"), False
        status = f"licensed, {granted.summary}; {in_place}; gates"
        return _note(jury, answered_by, status, gates=True, kinds=granted.licensed), granted.whole
    short = shortfall(
        record,
        spec,
        set_digest=own_digest(bench.task.name, settings),
        max_unscored_rate=bench.suite.max_unscored_rate,
    )
    if not short and record is not None and record.answered_by != answered_by:
        short = f"calibrated on answers of {record.answered_by}, but {answered_by or 'no model'} answered here"
    if short:
        return _note(jury, answered_by, f"uncalibrated, shown only: {short}"), False
    assert record is not None
    agreed = f"kappa {interval_text(record.sets[0].kappa)} on n={record.sets[0].n}, {record.date[:10]}"
    ending = "gates" if spec.bounded else "shown only"
    return _note(jury, answered_by, f"calibrated, {agreed}; {ending}", gates=spec.bounded), False


def _with_own_floor(spec: JudgeSpec, jury: Jury, settings: Settings) -> JudgeSpec:
    """Return ``spec`` with the floor for a first release, which follows from the false alarms of a judge licensed for kinds."""
    from eval.judges.calibration import load
    from eval.verdict.needed_recall import gating_spec

    record = load(settings.state_dir, jury.digest) if spec.kinds else None
    found = None if record is None else record.contrasts
    return spec if found is None or found.false_alarms is None else gating_spec(spec, found.false_alarms)


def _in_place(
    granted: "Licence", asker: Asker, bench: _Bench, answers: AnswersByArm, graded: _Graded
) -> tuple["Licence", str]:
    """Return what is left of a licence once the judge was asked about known changes to the answers that it accepted."""
    from eval.judges.calibration import interval_text
    from eval.judges.contrasts import objection
    from eval.judges.licensing.in_place import edits_of, licence_in_place, measure_in_place
    from eval.labels.contrasts.editors import OF_ANSWERS, OF_CONVERSATIONS
    from eval.verdict.needed_recall import bounds_of, most_false_alarms

    spec = asker.spec
    items = [item for results in answers.values() for item in results if item.result.output is not None]
    fine = [item for item in items if objection(graded.scores[id(item)][spec.score], spec) is False]
    if spec.conversations:
        documents = {(item.case_id, bench.transcript(item)): "" for item in fine}
    else:
        documents = {
            (item.case_id, text.text): text.source_text
            for item in fine
            for text in bench.texts.of(bench.cases[item.case_id], item.result)
        }
    by_case = {case_id: document for (case_id, _), document in documents.items()}
    edits = edits_of(list(documents), by_case, OF_CONVERSATIONS if spec.conversations else OF_ANSWERS)
    texts = [
        JudgedText(
            case_id=edit.case_id,
            text=edit.text,
            source="" if spec.reads or spec.conversations else source_text(bench.task, bench.cases[edit.case_id]),
            sentences=tuple(
                (sentence, documents[edit.case_id, edit.good or ""])
                for sentence in changed_sentences(edit.text, edit.good or "")
            ),
        )
        for edit in edits
    ]
    judged = asyncio.run(asker.ask(texts))
    objections = [objection(found.scores[spec.score], spec) for found in judged]
    found = measure_in_place(edits, objections, accepted=len(fine), answers=len(items))
    left = licence_in_place(granted, found, most_false_alarms(bounds_of(spec)))
    return left, f"{interval_text(found.recall)} of {len(edits)} known changes to this run's answers seen"


async def _ask(asker: Asker, bench: _Bench, answers: AnswersByArm, production: str | None) -> _Graded:
    spec = asker.spec
    baseline = {item.case_id: item for item in answers.get((production or "", "primary"), [])}
    scores: dict[int, dict[str, Score]] = {}
    texts: list[JudgedText] = []
    wanted: list[CaseResult] = []
    read: dict[int, _Read] = {}
    for item in [item for results in answers.values() for item in results]:
        other = baseline.get(item.case_id)
        compared = other.result.output if other is not None and spec.pairwise else None
        if item.result.output is None:
            code = item.result.failure.value if item.result.failure else "no output"
            scores[id(item)] = unscored(spec.scores, f"no answer: {code}")
        elif spec.pairwise and compared is None:
            scores[id(item)] = unscored(spec.scores, "production has no answer to compare with")
        elif spec.pairwise and compared == item.result.output:
            scores[id(item)] = {spec.score: Score(value=0.5, rationale="tie: the same text as production's")}
        else:
            wanted.append(item)
            if spec.reads:
                read[id(item)] = _to_read(item, bench)
            if spec.conversations:  # without the repeat: one that went the same way again is asked about once
                texts.append(JudgedText(case_id=item.case_id, text=bench.transcript(item), source=""))
            else:
                texts.append(_text_of(item, bench, compared, read.get(id(item))))
    judged = await asker.ask(texts)
    scores |= {id(item): found.scores for item, found in zip(wanted, judged, strict=True)}
    return _Graded(
        scores=scores,
        readings={
            id(item): replace(read[id(item)], readings=found.readings)
            for item, found in zip(wanted, judged, strict=True)
            if spec.reads
        },
        answered_by=frozenset(name for found in judged for name in found.answered_by),
    )


def _to_read(item: CaseResult, bench: _Bench) -> _Read:
    """Return the sentences of an answer that code did not account for."""
    case, known = bench.cases[item.case_id], item.scores.get(ACCOUNTED)
    accounts = known.sentences if known is not None else bench.texts.accounts(case, item.result)
    return _Read(accounts=accounts, unread=bench.texts.unread(case, item.result, accounts))


def _text_of(item: CaseResult, bench: _Bench, compared: str | None, read: _Read | None) -> JudgedText:
    case = bench.cases[item.case_id]
    return JudgedText(
        case_id=item.case_id,
        text=item.result.output or "",
        source="" if read is not None else source_text(bench.task, case),
        other=compared,
        repeat=item.repeat,
        sentences=None if read is None else tuple((one.sentence, one.document) for one in read.unread),
    )


def _note(jury: Jury, answered_by: str, status: str, *, gates: bool = False, kinds: tuple[str, ...] = ()) -> JudgeNote:
    return JudgeNote(
        rubric=jury.rubric,
        digest=jury.digest,
        model=jury.model,
        answered_by=answered_by,
        status=status,
        gates=gates,
        kinds=kinds,
    )
