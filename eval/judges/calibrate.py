"""Calibrates a task's judges on labelled rows and on the contrast sets: ``omni calibrate``."""

import datetime as dt
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from typing import Any

from eval.judges.agreeing import LabelledAsker, counting, own_texts
from eval.judges.asking import Asker, JudgedText
from eval.judges.calibration import Agreement, Calibration, load, save, shortfall
from eval.judges.contrast_texts import ContrastBench, open_contrasts
from eval.judges.contrasts import ContrastMeasure, ask_about, measure
from eval.judges.grading import GradingRun, Judge
from eval.judges.jury import Jury, load_jury
from eval.judges.labelled_rows import LLMBAR, SALES_EMAIL, OwnRows, PublicRow, load_own, load_public, own_digest
from eval.judges.licence import Licence, licence, terms_of
from eval.judges.licensing.in_place import RIGHT_EDITS, WRONG_EDITS
from eval.judges.plan import Plan, plan_of
from eval.labels.claims.labels import ClaimLabels, claims_digest, load_claims
from eval.labels.contrasts.sets import has_contrasts
from eval.run.reply_cache import ReplyCache
from eval.spine.cases import numbered_lines
from eval.spine.judge_spec import JudgeSpec
from eval.spine.suite import Suite
from eval.suites import load_suite
from figures.command_line import omni
from service.core.llm.gateway import LiteLLMGateway
from service.core.run.task import Task, load_task
from service.core.unit.cards import ModelCards
from service.kit.frame.errors import ConfigurationError
from service.kit.settings import Settings
from service.local.process import LocalBedrock

OWN, PUBLIC, CONTRASTS = "own", "public", "contrasts"
SETS = (OWN, PUBLIC, CONTRASTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeReport:
    """A measured judge: its record, and why it may not gate ("" if it may); ``licence`` is None for a judge without kinds.

    ``approves`` names the pair whose part the judge is, and ``notes`` are further lines about it.
    """

    spec: JudgeSpec
    record: Calibration
    shortfall: str
    calls: int
    failures: tuple[tuple[str, int], ...]
    licence: Licence | None = None
    approves: str = ""
    notes: tuple[str, ...] = ()


def missing_licences(reports: Sequence[JudgeReport]) -> list[str]:
    """Return what the suite would gate on and no measured judge may: kinds of harm, and judges without kinds by name."""
    bounded = [report for report in reports if report.spec.bounded]
    licensed = {kind for report in bounded if report.licence is not None for kind in report.licence.licensed}
    kinds = dict.fromkeys(kind for report in bounded for kind in report.spec.kinds if kind not in licensed)
    of_pairs = (f"approval of {report.approves}" for report in reports if report.approves and report.shortfall)
    return [
        *kinds,
        *(report.spec.rubric for report in bounded if report.licence is None and report.shortfall),
        *of_pairs,
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrateOptions:
    """``rubrics`` empty means all of the suite's; ``sets`` names some of ``SETS``.

    ``model`` replaces the judges' own model, or names several, comma separated, that must agree. ``dev_cases`` and
    ``gate_cases`` are the numbers of cases whose contrasts are asked about, spread over intents.
    """

    task: str
    rubrics: tuple[str, ...] = ()
    model: str | None = None
    repeats: int = 3
    sets: tuple[str, ...] = SETS
    concurrency: int | None = None
    fresh: bool = False
    dev_cases: int = 40
    gate_cases: int = 200


@dataclass(frozen=True, kw_only=True)
class _Setting:
    """What stays the same over the judges of one calibration."""

    options: CalibrateOptions
    settings: Settings
    task: Task[Any]
    suite: Suite
    cards: ModelCards
    own: OwnRows | None
    claims: ClaimLabels | None
    contrasts: Mapping[str, ContrastBench]
    quarter: str
    say: Callable[[str], None]

    def contrasts_for(self, spec: JudgeSpec, jury: Jury) -> ContrastBench | None:
        """Return the contrast sets that the judge is measured on, with the edits that are held for this jury."""
        bench = self.contrasts.get(spec.measured_on or self.task.name)
        return None if bench is None else bench.with_held(jury.digest, self.quarter)


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """One jury and the contrast sets that it is measured on."""

    spec: JudgeSpec
    jury: Jury
    contrasts: ContrastBench | None


def calibrate(options: CalibrateOptions, settings: Settings, say: Callable[[str], None]) -> list[JudgeReport]:
    """Measure the judges whose own models answer in this environment, and store each record.

    ``say`` gets one line per thing that is left out, with its reason.

    Raises:
        PairError, CaseError, ConfigurationError: bad input, before a model is asked; or a judge that never answered.
    """
    task, suite = load_task(options.task), load_suite(options.task)
    cards = ModelCards.load(settings.prompts_dir / "models.yaml")
    juries = _juries(options, suite, settings, cards, say)
    if not juries:
        return []
    setting = _Setting(
        options=options,
        settings=settings,
        task=task,
        suite=suite,
        cards=cards,
        own=load_own(task, settings) if own_digest(task.name, settings) else None,
        claims=load_claims(settings.datasets_dir, task.name) if any(spec.asks_claims for spec, _ in juries) else None,
        contrasts=_contrasts(options, {spec.measured_on or task.name for spec, _ in juries}, settings, say),
        quarter=terms_of(suite, settings).quarters[0],
        say=say,
    )
    asked = [_Asked(spec=spec, jury=jury, contrasts=setting.contrasts_for(spec, jury)) for spec, jury in juries]
    for one in asked:
        say(str(_plan(one, setting)))
        if one.spec.conversations:
            say(_each_run(one.spec, setting))
        if (name := _public_name(one.spec, options)) and _public(one.spec, setting) is None:
            say(
                f"judge {one.spec.rubric}: public set {name} left out, it is not in {settings.public_data_dir}; "
                "set OMNI_PUBLIC_DATA_DIR to the folder that holds it"
            )
    with ExitStack() as stack:
        bench = open_bench(stack, options, settings, cards, [judge for _, jury in juries for judge in jury.judges])
        found, silent = list[JudgeReport](), list[str]()
        for one in asked:
            try:
                found.append(_measure(one, bench, setting))
            except ConfigurationError as err:  # the others are measured, and their records kept
                silent.append(str(err))
    if silent:
        raise ConfigurationError("; ".join(silent))
    return found


def open_bench(
    stack: ExitStack, options: CalibrateOptions, settings: Settings, cards: ModelCards, judges: Sequence[Judge]
) -> GradingRun:
    """Return where the judges are asked; ``stack`` closes it, with the bundled server if one of them is asked there."""
    endpoint = settings.bedrock.endpoint
    here = any(cards.get(judge.pair.model).wire == "bedrock" for judge in judges)
    if endpoint is None and settings.environment == "local" and here:
        log = settings.state_dir / "logs" / "bedrock.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        endpoint = stack.enter_context(LocalBedrock(("--preload",), log=log)).url
    gateway = LiteLLMGateway(
        cards,
        region=settings.aws.region,
        endpoint=endpoint,
        stand_in=settings.bedrock.stand_in,
        endpoints=settings.bedrock.model_endpoints,
        https_only=settings.environment == "aws",
    )
    gateway.warm_up()
    return GradingRun(
        gateway=gateway,
        cache=stack.enter_context(closing(ReplyCache(settings.state_dir / "calls"))),
        run_id=f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-calibrate",
        concurrency=_concurrency(options, settings),
        fresh=options.fresh,
    )


def _concurrency(options: CalibrateOptions, settings: Settings) -> int:
    return options.concurrency or (2 if settings.environment == "local" else 8)


def _plan(asked: _Asked, setting: _Setting) -> Plan:
    """Return what measuring a judge will ask."""
    spec, options = asked.spec, setting.options
    texts: list[JudgedText] = []
    if OWN in options.sets and setting.own is not None:
        texts += own_texts(spec, setting.task, setting.own) * options.repeats
    if (found := _public(spec, setting)) is not None:
        texts += [
            JudgedText(case_id=row.row_id, text=row.summary, source=row.source, other=row.other) for row in found[1]
        ] * options.repeats
    if asked.contrasts is not None:
        texts += asked.contrasts.asked(spec)
    return plan_of(
        spec,
        asked.jury,
        texts,
        setting.cards,
        claims=setting.claims,
        concurrency=_concurrency(options, setting.settings),
    )


def _each_run(spec: JudgeSpec, setting: _Setting) -> str:
    """Return what a judge of conversations is asked in every evaluation, where it reads them whole and in all repeats."""
    suite, repeats = setting.suite, setting.suite.least_repeats
    path = setting.settings.datasets_dir / suite.task / f"{suite.gate_dataset}.jsonl"
    cases = sum(1 for _ in numbered_lines(path))
    return (
        f"judge {spec.rubric}: an evaluation of {cases} cases in {repeats} repeats asks it at most {cases * repeats:,} questions "
        f"about each model of a pair, one for conversations that went the same way, and {WRONG_EDITS + RIGHT_EDITS} about known "
        "changes"
    )


def _juries(
    options: CalibrateOptions, suite: Suite, settings: Settings, cards: ModelCards, say: Callable[[str], None]
) -> list[tuple[JudgeSpec, Jury]]:
    """Return the wanted judges that can be asked here."""
    kept = []
    for spec in _specs(suite, options.rubrics):
        jury = load_jury(spec.rubric, settings=settings, cards=cards, models=options.model)
        stand_in = settings.environment == "local" and settings.bedrock.endpoint is None
        if options.model is None and stand_in and cards.get(jury.model).replaced_locally:
            say(
                f"judge {spec.rubric}: none in this environment: {jury.model} would be replaced by the bundled "
                "stand-in. To try the calibration with that: --model local.smollm2-135m-instruct-q4"
            )
        elif spec.asks_claims and claims_digest(settings.datasets_dir, suite.task) is None:
            say(f"judge {spec.rubric}: left out, task {suite.task!r} has no labelled claims")
        else:
            kept.append((spec, jury))
    return kept


def _specs(suite: Suite, wanted: Sequence[str]) -> list[JudgeSpec]:
    known = {spec.rubric: spec for spec in suite.judges}
    if suite.approver is not None and wanted:  # the pairs' own judge is measured in eval/judges/pair_judges.py
        wanted = [name for name in wanted if name != suite.approver.spec.rubric]
        if not wanted:
            return []
    for name in wanted:
        if name not in known:
            raise ConfigurationError(
                f"suite {suite.task!r} has no judge {name!r}; judges: {', '.join(known) or 'none'}"
            )
    return [known[name] for name in wanted or known]


def _contrasts(
    options: CalibrateOptions, tasks: Collection[str], settings: Settings, say: Callable[[str], None]
) -> dict[str, ContrastBench]:
    """Return the contrast sets of ``tasks`` by task."""
    found = {}
    for name in sorted(tasks) if CONTRASTS in options.sets else ():
        if not has_contrasts(settings.datasets_dir, name):
            say(f"contrast sets left out: task {name!r} has none, so no judge gets a licence")
            continue
        if name != options.task:
            say(
                f"contrast sets of task {name!r}: reading is measured there; each run measures it on its own answers, too"
            )
        counts = {"dev_cases": options.dev_cases, "gate_cases": options.gate_cases}
        found[name] = open_contrasts(load_task(name), settings, **counts)
    return found


def _measure(asked: _Asked, bench: GradingRun, setting: _Setting) -> JudgeReport:
    options, settings, spec, jury = setting.options, setting.settings, asked.spec, asked.jury
    asker = Asker(spec=spec, jury=jury, bench=bench, claims=setting.claims)
    labelled = LabelledAsker(asker=asker, repeats=options.repeats)
    measured: list[Agreement] = []
    if OWN in options.sets and setting.own is not None:
        measured.append(labelled.own(setting.task, setting.own))
    measured += _on_public(spec, labelled, setting)
    contrasts = _on_contrasts(labelled, asked.contrasts, setting) if asked.contrasts is not None else None
    if labelled.reasons and not labelled.names:
        why = next(filter(None, labelled.reasons), "")
        raise ConfigurationError(
            f"judge {spec.rubric} on {jury.model}: nobody answered ({why}), so nothing was recorded; see that the model's server "
            f"runs and its name is right, with {omni('models', 'check', jury.judges[0].pair.model)}"
        )
    # One judge may serve several tasks: what this calibration did not ask stays as it was measured.
    kept = load(settings.state_dir, jury.digest)
    asked_sets = {one.set_name for one in measured}
    if kept is not None:
        measured += [one for one in kept.sets if one.set_name not in asked_sets]
        contrasts = contrasts or kept.contrasts
    record = Calibration(
        judge_digest=jury.digest,
        rubric=jury.rubric,
        model=jury.model,
        answered_by=", ".join(sorted(labelled.names)),
        environment=settings.environment,
        date=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        repeats=options.repeats,
        sets=tuple(measured),
        contrasts=contrasts,
    )
    save(record, settings.state_dir)
    return _report(spec, record, labelled, setting)


def _on_public(spec: JudgeSpec, labelled: LabelledAsker, setting: _Setting) -> list[Agreement]:
    """Measure on the public set that fits the rubric, if there is one."""
    found = _public(spec, setting)
    if found is None:
        return []
    return [labelled.pairs(*found) if spec.pairwise else labelled.rows(*found)]


def _public(spec: JudgeSpec, setting: _Setting) -> tuple[str, tuple[PublicRow, ...], str] | None:
    """Return name, rows and digest of the public set that fits the rubric, if it is here."""
    name = _public_name(spec, setting.options)
    public = load_public(name, setting.settings.public_data_dir) if name else None
    return None if public is None else (name, *public)


def _public_name(spec: JudgeSpec, options: CalibrateOptions) -> str:
    """Return the public set that fits the rubric; "" for one that reads claims or sentences, or where none is wanted."""
    fits = spec.pairwise or "swapped_amount" in spec.bad_kinds
    if PUBLIC not in options.sets or spec.asks_claims or spec.reads or not fits:
        return ""
    return LLMBAR if spec.pairwise else SALES_EMAIL


def _on_contrasts(labelled: LabelledAsker, bench: ContrastBench, setting: _Setting) -> ContrastMeasure:
    asker = labelled.asker
    line = counting(f"judge {asker.spec.rubric} on the contrast sets", len(bench.texts))
    score = asker.spec.score
    judged = ask_about(
        replace(asker, progress=lambda found: line(found.scores[score].unscored is not None)),
        bench.asked(asker.spec),
    )
    labelled.note(judged)
    found = measure(bench.texts, judged, asker.spec)
    return ContrastMeasure(
        set_digest=bench.sets.digest,
        claims_digest=setting.claims.digest if setting.claims is not None and asker.spec.asks_claims else None,
        max_undecided=asker.spec.max_undecided,
        cases=bench.cases,
        kinds=bench.with_baselines(found.kinds, 0.0 if found.false_alarms is None else found.false_alarms.value),
        classes=found.classes,
        false_alarms=found.false_alarms,
        coverage=found.coverage,
        quarter=setting.quarter,
        words_auc=None if bench.words is None else bench.words.auc,
    )


def _report(spec: JudgeSpec, record: Calibration, labelled: LabelledAsker, setting: _Setting) -> JudgeReport:
    reasons: dict[str, int] = {}
    for reason in filter(None, labelled.reasons):
        reasons[reason] = reasons.get(reason, 0) + 1
    granted = None
    if spec.kinds:
        granted = licence(record, spec, terms_of(setting.suite, setting.settings, spec))
        short = granted.shortfall
    else:
        short = shortfall(
            record,
            spec,
            set_digest=None if setting.own is None else setting.own.digest,
            max_unscored_rate=setting.suite.max_unscored_rate,
        )
    return JudgeReport(
        spec=spec,
        record=record,
        shortfall=short,
        calls=len(labelled.reasons),
        failures=tuple(sorted(reasons.items(), key=lambda item: -item[1])),
        licence=granted,
    )
