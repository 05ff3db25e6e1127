"""The part of the contrast sets that judges are asked about, with what the baselines make of the same texts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from eval.judges.agreeing import sources_of
from eval.judges.baseline import WordScores, flags_at, word_scores
from eval.judges.contrasts import ContrastLabel, ContrastText, KindMeasure, choose_cases, texts_of
from eval.judges.detectors import detector_values
from eval.labels.contrasts.sets import ContrastSets, load_contrasts
from eval.run.loaders import load_dataset
from eval.spine.cases import Case
from eval.suites import load_suite
from service.core.run.task import Task
from service.kit.settings import Settings


@dataclass(frozen=True, kw_only=True)
class ContrastBench:
    """Texts with their sources by case id; ``cases`` counts by dataset; ``by_code``: does a detector of the suite object?"""

    sets: ContrastSets
    texts: tuple[ContrastText, ...]
    sources: Mapping[str, str]
    cases: Mapping[str, int]
    words: WordScores | None
    by_code: Mapping[str, bool]

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
        return tuple(
            replace(item, by_words=self._count(item, flags), by_code=self._count(item, self.by_code)) for item in kinds
        )

    def _count(self, item: KindMeasure, flags: Mapping[str, bool]) -> int | None:
        ids = [
            text.id for text in self.texts if (text.label, text.kept, text.kind) == (item.label, item.kept, item.kind)
        ]
        return sum(flags[name] for name in ids) if all(name in flags for name in ids) else None


def open_contrasts(task: Task[Any], settings: Settings, *, dev_cases: int, gate_cases: int) -> ContrastBench:
    """Choose the cases, and ask detectors and the statement-only baseline about the texts, which takes no model.

    Raises:
        CaseError: a case file or a contrast file is wrong.
    """
    sets = load_contrasts(settings.datasets_dir, task.name)
    suite = load_suite(task.name)
    datasets = [
        load_dataset(name, task=task.name, input_model=task.input_model, settings=settings)
        for name in ("dev", suite.gate_dataset)
    ]
    chosen = choose_cases(datasets, (dev_cases, gate_cases))
    cases: dict[str, Case] = {case.id: case for found in chosen.values() for case in found}
    texts = texts_of(sets, cases)
    by_code = {
        text.id: any(
            value < 1.0 for value in detector_values(suite.scorers, task.name, cases[text.case_id], text.text).values()
        )
        for text in texts
    }
    return ContrastBench(
        sets=sets,
        texts=tuple(texts),
        sources=sources_of(task, list(cases.values())),
        cases={name.partition("[")[0]: len(found) for name, found in chosen.items()},
        words=word_scores(sets.contrasts),
        by_code=by_code,
    )
