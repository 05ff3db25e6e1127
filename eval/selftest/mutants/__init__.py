"""One module of planted faults per task, found by the task's name."""

import importlib

from eval.selftest.mutant import MutantPlan
from service.kit.frame.errors import ConfigurationError
from service.kit.frame.raised import told


def load_plan(task: str) -> MutantPlan:
    """Return the planted faults of ``task``: ``PLAN`` in ``eval/selftest/mutants/<task>.py``.

    Raises:
        ConfigurationError: the task has no planted faults yet, or they cannot be read.
    """
    name = f"eval.selftest.mutants.{task}"
    try:
        module = importlib.import_module(name)
    except ConfigurationError:
        raise
    except Exception as err:  # its author may have written anything
        if isinstance(err, ModuleNotFoundError) and err.name == name:
            raise ConfigurationError(
                f"task {task!r} has no planted faults to test its gate with; write eval/selftest/mutants/{task}.py"
            ) from err
        raise ConfigurationError(f"eval/selftest/mutants/{task}.py cannot be read: {told(err)}; mend it") from err
    plan = getattr(module, "PLAN", None)
    if not isinstance(plan, MutantPlan):
        raise ConfigurationError(f"eval/selftest/mutants/{task}.py must define PLAN, a MutantPlan")
    return plan
