"""One module of planted faults per task, found by the task's name."""

import importlib

from eval.selftest.mutant import MutantPlan
from service.kit.frame.errors import ConfigurationError


def load_plan(task: str) -> MutantPlan:
    """Return the planted faults of ``task``: ``PLAN`` in ``eval/selftest/mutants/<task>.py``.

    Raises:
        ConfigurationError: the task has no planted faults yet.
    """
    name = f"eval.selftest.mutants.{task}"
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as err:
        if err.name != name:
            raise
        raise ConfigurationError(
            f"task {task!r} has no planted faults to test its gate with; write eval/selftest/mutants/{task}.py"
        ) from err
    plan = module.PLAN
    if not isinstance(plan, MutantPlan):
        raise ConfigurationError(f"eval/selftest/mutants/{task}.py must define PLAN, a MutantPlan")
    return plan
