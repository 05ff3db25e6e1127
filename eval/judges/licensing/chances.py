"""The chance that a judge earns a licence on the contrast sets, by its true recall and false alarms: drawn many times over."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from eval.judges.baseline import flags_at
from eval.judges.calibration import Calibration
from eval.judges.contrast_texts import ContrastBench, open_contrasts
from eval.judges.contrasts import ContrastMeasure, ContrastText, classes_of, clustered_rate
from eval.judges.licence import Licence, LicenceTerms, classes_by_kind, licence, terms_of
from eval.spine.judge_spec import JudgeSpec
from eval.suites import load_suite
from service.core.run.task import load_task
from service.kit.frame.errors import ConfigurationError
from service.kit.settings import Settings

RECALLS = (0.80, 0.85, 0.90, 0.95)
FALSE_ALARMS = (0.0, 0.01, 0.02, 0.03, 0.04)
TRIES = 200
_ALL = 1_000_000  # more cases than any set has
Decides = Callable[[ContrastText], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chance:
    """The share of tries in which a judge earned all classes (``whole``), and each class alone."""

    whole: float
    classes: Mapping[str, float]


def scripted(recall: float, false_alarms: float, draws: random.Random) -> Decides:
    """Return a judge that errs on each text independently of the others."""
    return lambda text: draws.random() < (recall if text.label == "wrong" else false_alarms)


def refused_judges(bench: ContrastBench) -> dict[str, Decides]:
    """Return judges that must earn nothing, by name: they read nothing, words alone, or know every text but the held ones."""
    draws = random.Random(1)
    flags = {} if bench.words is None else flags_at(bench.words, bench.sets.contrasts, 0.02)
    return {
        "always": lambda _: True,
        "never": lambda _: False,
        "coin": lambda _: draws.random() < 0.5,
        "words alone": lambda text: flags.get(text.id, False),
        "by heart, else yes": lambda text: text.label == "wrong" and not text.held,
        "by heart, else no": lambda text: text.label == "wrong" or text.held,
    }


def try_licence(judge: Decides, texts: Sequence[ContrastText], spec: JudgeSpec, classes: Mapping[str, str]) -> Licence:
    """Return the licence that ``judge`` earns when it decides every text."""
    rows = [(text, judge(text)) for text in texts]
    found = ContrastMeasure(
        set_digest="",
        claims_digest=None,
        max_undecided=spec.max_undecided,
        cases={},
        kinds=(),
        false_alarms=clustered_rate([(text.case_id, objects) for text, objects in rows if text.label != "wrong"]),
        coverage=clustered_rate([(text.case_id, True) for text, _ in rows]),
        classes=classes_of(rows),
    )
    record = Calibration(
        judge_digest="",
        rubric=spec.rubric,
        model="",
        answered_by="",
        environment="",
        date="",
        repeats=1,
        contrasts=found,
    )
    terms = LicenceTerms(task="", set_digest="", claims_digest=None, classes=classes, quarters=("",))
    return licence(record, replace(spec, asks_claims=False), terms)


def chance(
    recall: float,
    false_alarms: float,
    texts: Sequence[ContrastText],
    spec: JudgeSpec,
    classes: Mapping[str, str],
    tries: int = TRIES,
) -> Chance:
    """Return how often a judge of this recall and these false alarms (0 to 1) earns its licence in ``tries`` draws."""
    draws = random.Random(20261123)
    found = [try_licence(scripted(recall, false_alarms, draws), texts, spec, classes) for _ in range(tries)]
    names = {item.name for granted in found for item in granted.classes}
    return Chance(
        whole=sum(granted.whole for granted in found) / tries,
        classes={
            name: sum(item.licensed for granted in found for item in granted.classes if item.name == name) / tries
            for name in sorted(names)
        },
    )


def chance_lines(task: str, settings: Settings, rubric: str | None = None) -> list[str]:
    """Return the chance of a whole licence by true recall and false alarms, and what judges earn that must earn nothing.

    ``rubric`` names the suite's judge; by default it is the first one whose licence can be drawn.

    Raises:
        CaseError: the task has no contrast sets, or a file is wrong.
        ConfigurationError: the suite has no judge ``rubric`` whose licence can be drawn.
    """
    suite = load_suite(task)
    drawn = {one.rubric: one for one in suite.judges if one.kinds and not one.asks_claims}
    if rubric is not None and rubric not in drawn:
        known = ", ".join(drawn) or "none"
        raise ConfigurationError(
            f"suite {task!r} has no judge {rubric!r} whose licence could be drawn; judges: {known}"
        )
    if not drawn:
        return [f"suite {task!r} has no judge whose licence could be drawn"]
    spec = drawn[rubric or next(iter(drawn))]
    classes = classes_by_kind(suite)
    quarter = terms_of(suite, settings).quarters[0]
    opened = open_contrasts(load_task(spec.measured_on or task), settings, dev_cases=_ALL, gate_cases=_ALL)
    bench = opened.with_held("0" * 64, quarter)
    lines = [
        f"Judge {spec.rubric}: chance of a licence for every class, of {TRIES} draws on {len(bench.texts)} texts, errors "
        "independent of each other",
        f"{'false alarms':<16}" + "".join(f"{rate:>8.2f}" for rate in FALSE_ALARMS),
    ]
    for recall in RECALLS:
        found = [chance(recall, rate, bench.texts, spec, classes) for rate in FALSE_ALARMS]
        lines.append(f"{f'recall {recall:.2f}':<16}" + "".join(f"{one.whole:>8.2f}" for one in found))
    for name, judge in refused_judges(bench).items():
        granted = try_licence(judge, bench.texts, spec, classes)
        lines.append(f"{name}: {granted.summary or 'nothing'}")
    return lines
