"""The part of the contrast sets that judges are asked about, with what the baselines make of the same texts."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from eval.judges.agreeing import sources_of
from eval.judges.asking import JudgedText
from eval.judges.baseline import WordScores, flags_at, word_scores
from eval.judges.contrasts import ContrastLabel, ContrastText, KindMeasure, choose_cases, texts_of
from eval.judges.detectors import detector_values
from eval.judges.licence import LEAST_EDITS, classes_by_kind
from eval.judges.reading import ReadableTexts, result_of
from eval.labels.contrasts.by_code import RIGHT
from eval.labels.contrasts.editors import OF_ANSWERS, OF_CONVERSATIONS, Editor
from eval.labels.contrasts.sets import EDITED, ContrastSets, load_contrasts
from eval.run.loaders import load_dataset
from eval.spine.cases import Case
from eval.spine.judge_spec import JudgeSpec
from eval.spine.suite import Suite
from eval.suites import load_suite
from service.core.run.task import Task
from service.kit.settings import Settings

LEAST_HELD = LEAST_EDITS // 3  # edits of a class that are made after the judge was fixed
LEAST_WRITTEN = LEAST_EDITS - LEAST_HELD
_RIGHT, _HELD_RIGHT = 60, 120


@dataclass(frozen=True, kw_only=True)
class ContrastBench:
    """Texts with their sources by case id; ``cases`` counts by dataset; ``editor`` makes more edits.

    ``by_code``: does a detector of the suite object to a text? None where they read no such texts. ``unread``: what of a text a
    reader reads.
    """

    sets: ContrastSets
    texts: tuple[ContrastText, ...]
    sources: Mapping[str, str]
    cases: Mapping[str, int]
    words: WordScores | None
    by_code: Callable[[ContrastText], bool] | None = None
    unread: Callable[[ContrastText], tuple[tuple[str, str], ...]] = lambda _: ()
    editor: Editor = OF_ANSWERS

    def asked(self, spec: JudgeSpec) -> list[JudgedText]:
        """Return what a judge is asked about: of each text, for a reader, the sentences that code does not account for."""
        return [
            JudgedText(
                case_id=text.case_id,
                text=text.text,
                source=self.sources[text.case_id],
                other=text.good,
                sentences=self.unread(text) if spec.reads else None,
            )
            for text in self.texts
        ]

    def with_held(self, judge_digest: str, quarter: str) -> "ContrastBench":
        """Return this bench with half as many edits again in each class, which nobody could know before the judge was fixed."""
        counts = Counter(text.harm_class for text in self.texts if text.harm_class)
        wanted = {name: max(-(-counts[name] // 2), self._share(LEAST_HELD)) for name in self.editor.classes}
        edits = self.editor.edits(
            self._good,
            self.sources,
            seed=f"{judge_digest}/{quarter}",
            wanted={**wanted, RIGHT: self._share(_HELD_RIGHT)},
            besides={text.text for text in self.texts},
            held=True,
        )
        sets = replace(self.sets, contrasts=(*self.sets.contrasts, *edits))
        texts = tuple(texts_of(sets, dict.fromkeys(self.sources)))
        return replace(self, sets=sets, texts=texts, words=word_scores(sets.contrasts))

    @property
    def _good(self) -> list[tuple[str, str]]:
        return [(text.case_id, text.text) for text in self.texts if text.label == "good"]

    def _share(self, count: int) -> int:
        """Return the part of ``count`` that falls to the chosen cases."""
        return share_of(count, self.sets, len(self.sources))

    @property
    def kinds(self) -> tuple[KindMeasure, ...]:
        """Every kind with its number of texts, objected to by nobody."""
        counts: dict[tuple[ContrastLabel, str, bool], int] = {}
        for text in self.texts:
            key = (text.label, text.kind, text.kept)
            counts[key] = counts.get(key, 0) + 1
        return tuple(
            KindMeasure(kind=kind, label=label, kept=kept, n=n, flagged=0, abstained=0)
            for (label, kind, kept), n in counts.items()
        )

    def with_baselines(self, kinds: Sequence[KindMeasure], false_alarms: float) -> tuple[KindMeasure, ...]:
        """Return ``kinds`` with what words alone, at the judge's rate of ``false_alarms``, and detectors object to."""
        flags: dict[str, bool] = {}
        if self.words is not None:
            flags = flags_at(self.words, self.sets.contrasts, false_alarms)
        code = {} if self.by_code is None else {text.id: self.by_code(text) for text in self.texts}
        return tuple(
            replace(item, by_words=self._count(item, flags), by_code=self._count(item, code)) for item in kinds
        )

    def _count(self, item: KindMeasure, flags: Mapping[str, bool]) -> int | None:
        ids = [
            text.id for text in self.texts if (text.label, text.kept, text.kind) == (item.label, item.kept, item.kind)
        ]
        return sum(flags[name] for name in ids) if all(name in flags for name in ids) else None


def open_contrasts(task: Task[Any], settings: Settings, *, dev_cases: int, gate_cases: int) -> ContrastBench:
    """Choose the cases and make their texts; detectors and the statement-only baseline take no model.

    Raises:
        CaseError: a case file or a contrast file is wrong.
    """
    suite = load_suite(task.name)
    sets = with_classes(load_contrasts(settings.datasets_dir, task.name), suite)
    if suite.episode is not None:
        return _of_conversations(sets, dev_cases + gate_cases)
    datasets = [
        load_dataset(name, task=task.name, input_model=task.input_model, settings=settings)
        for name in ("dev", suite.gate_dataset)
    ]
    chosen = choose_cases(datasets, (dev_cases, gate_cases))
    cases: dict[str, Case] = {case.id: case for found in chosen.values() for case in found}
    sources = sources_of(task, list(cases.values()))
    sets = multiplied(sets, sources)
    texts = texts_of(sets, cases)

    @cache
    def objects(text: ContrastText) -> bool:
        found = detector_values(suite.scorers, task.name, cases[text.case_id], text.text)
        return any(value < 1.0 for value in found.values())

    asked_of = ReadableTexts(task=task, suite=suite)

    @cache
    def unread(text: ContrastText) -> tuple[tuple[str, str], ...]:
        case, result = cases[text.case_id], result_of(text.text)
        left = asked_of.unread(case, result, asked_of.accounts(case, result))
        return tuple((one.sentence, one.document) for one in left)

    return ContrastBench(
        sets=sets,
        texts=tuple(texts),
        sources=sources,
        cases={name.partition("[")[0]: len(found) for name, found in chosen.items()},
        words=word_scores(sets.contrasts),
        by_code=objects,
        unread=unread,
    )


def _of_conversations(sets: ContrastSets, most: int) -> ContrastBench:
    """Return the bench of sets of conversations, which are no cases of a dataset and need no source beside them."""
    sources = dict.fromkeys(list(sets.good[EDITED])[:most], "")
    sets = multiplied(sets, sources, OF_CONVERSATIONS)
    return ContrastBench(
        sets=sets,
        texts=tuple(texts_of(sets, sources)),
        sources=sources,
        cases={"conversations": len(sources)},
        words=word_scores(sets.contrasts),
        editor=OF_CONVERSATIONS,
    )


def with_classes(sets: ContrastSets, suite: Suite) -> ContrastSets:
    """Return ``sets`` with the class of each harm that the suite's judges may be licensed for."""
    classes = classes_by_kind(suite)
    edits = [replace(item, harm_class=classes.get(item.kind, "") if item.wrong else "") for item in sets.contrasts]
    return replace(sets, contrasts=tuple(edits))


def multiplied(sets: ContrastSets, sources: Mapping[str, str], editor: Editor = OF_ANSWERS) -> ContrastSets:
    """Return ``sets`` with edits by code, so that each class has ``LEAST_WRITTEN`` on all cases, and fewer on a part of them."""
    chosen = sets.of_cases(frozenset(sources))
    counts = Counter(item.harm_class for item in chosen if item.harm_class)
    wanted = {name: max(0, share_of(LEAST_WRITTEN, sets, len(sources)) - counts[name]) for name in editor.classes}
    good = [(name, text) for answers in sets.good.values() for name, text in answers.items() if name in sources]
    edits = editor.edits(
        good, sources, seed=sets.digest, wanted={**wanted, RIGHT: share_of(_RIGHT, sets, len(sources))}
    )
    return replace(sets, contrasts=(*sets.contrasts, *edits))


def share_of(count: int, sets: ContrastSets, cases: int) -> int:
    """Return the part of ``count`` that falls to so many cases of the sets."""
    return math.ceil(count * cases / max(len(set().union(*sets.good.values())), 1))
