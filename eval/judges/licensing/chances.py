"""The chance that a judge earns a licence on the contrast sets, by its true recall and false alarms: drawn many times over."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from eval.judges.baseline import flags_at
from eval.judges.calibration import Calibration
from eval.judges.contrast_texts import ContrastBench
from eval.judges.contrasts import ContrastMeasure, ContrastText, classes_of, clustered_rate
from eval.judges.licence import Licence, LicenceTerms, licence
from eval.spine.judge_spec import JudgeSpec

RECALLS = (0.80, 0.85, 0.90, 0.95)
FALSE_ALARMS = (0.0, 0.01, 0.02, 0.03, 0.04)
TRIES = 200
Judge = Callable[[ContrastText], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chance:
    """The share of tries in which a judge earned all classes (``whole``), and each class alone."""

    whole: float
    classes: Mapping[str, float]


def scripted(recall: float, false_alarms: float, draws: random.Random) -> Judge:
    """Return a judge that errs on each text independently of the others."""
    return lambda text: draws.random() < (recall if text.label == "wrong" else false_alarms)


def refused_judges(bench: ContrastBench) -> dict[str, Judge]:
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


def try_licence(judge: Judge, texts: Sequence[ContrastText], spec: JudgeSpec, classes: Mapping[str, str]) -> Licence:
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
