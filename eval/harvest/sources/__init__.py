"""One module per task whose feedback becomes cases, found by the task's name."""

import importlib
from typing import Any

from eval.harvest.case_source import CaseSource
from eval.spine.errors import HarvestError


def load_case_source(task: str) -> CaseSource[Any]:
    """Return the source of ``task``'s harvested cases: ``SOURCE`` in ``eval/harvest/sources/<task>.py``.

    Raises:
        HarvestError: the task has none yet.
    """
    name = f"eval.harvest.sources.{task}"
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as err:
        if err.name != name:
            raise
        raise HarvestError(
            f"task {task!r} cannot be harvested yet; write eval/harvest/sources/{task}.py (see docs/guides/adding-a-task.md)"
        ) from err
    source = module.SOURCE
    if not isinstance(source, CaseSource):
        raise HarvestError(f"eval/harvest/sources/{task}.py must define SOURCE, a CaseSource")
    return source
