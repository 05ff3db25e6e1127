"""The data card's part about the contrast sets, with the records of judges that still hold."""

from eval.judges.calibration import Calibration, records
from eval.judges.contrast_table import contrast_part
from eval.judges.contrast_texts import open_contrasts
from eval.judges.jury import load_jury
from eval.labels.contrasts.sets import has_contrasts
from eval.suites import load_suite
from service.core.run.task import load_task
from service.core.unit.cards import ModelCards
from service.kit.frame.errors import ConfigurationError, PairError
from service.kit.settings import Settings

_ALL = 1_000_000  # more cases than any set has


def contrast_card(task_name: str, settings: Settings, cards: ModelCards) -> list[str]:
    """Return the part as Markdown; nothing for a task without contrast sets.

    Raises:
        CaseError: a case file or a contrast file is wrong.
    """
    if not has_contrasts(settings.datasets_dir, task_name):
        return []
    bench = open_contrasts(load_task(task_name), settings, dev_cases=_ALL, gate_cases=_ALL)
    return contrast_part(bench, _records(task_name, settings, cards, bench.sets.digest))


def _records(task_name: str, settings: Settings, cards: ModelCards, set_digest: str) -> list[Calibration]:
    """Return the records of the suite's judges as their files are today, on today's contrast sets, in the suite's order."""
    rubrics = [spec.rubric for spec in load_suite(task_name).judges]
    found = []
    for record in records(settings.state_dir):
        if record.rubric not in rubrics or record.contrasts is None or record.contrasts.set_digest != set_digest:
            continue
        try:
            jury = load_jury(record.rubric, settings=settings, cards=cards, models=record.model)
        except (PairError, ConfigurationError):
            continue  # a model that has no card any more
        if jury.digest == record.judge_digest:
            found.append(record)
    return sorted(found, key=lambda record: (rubrics.index(record.rubric), record.model))
