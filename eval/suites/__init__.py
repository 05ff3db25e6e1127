"""One declarative suite per task, found by the task's name."""

import importlib
from dataclasses import replace

from eval.spine.case_rules import CaseRules, string_passages
from eval.spine.suite import Suite
from service.kit.frame.errors import ConfigurationError
from service.kit.frame.raised import told


def load_suite(task: str) -> Suite:
    """Return the suite of ``task``: ``SUITE`` in ``eval/suites/<task>.py``.

    Raises:
        ConfigurationError: the task has no suite yet, or one that cannot be read.
    """
    try:
        module = importlib.import_module(f"eval.suites.{task}")
    except ConfigurationError:
        raise
    except Exception as err:  # its author may have written anything
        if isinstance(err, ModuleNotFoundError) and err.name == f"eval.suites.{task}":
            raise ConfigurationError(
                f"task {task!r} has no suite; write eval/suites/{task}.py (see docs/guides/adding-a-task.md)"
            ) from err
        raise ConfigurationError(
            f"eval/suites/{task} cannot be read: {told(err)}; mend it (see docs/guides/adding-a-task.md)"
        ) from err
    suite = getattr(module, "SUITE", None)
    if not isinstance(suite, Suite) or suite.task != task:
        raise ConfigurationError(f"eval/suites/{task}.py must define SUITE for task {task!r}")
    suite.check_names()
    return suite


def load_case_rules(task: str) -> CaseRules:
    """Return the rules for ``task``'s case files: ``CASE_RULES`` beside its suite, or the rules for every task.

    Raises:
        ConfigurationError: the task has no suite yet.
    """
    suite = load_suite(task)
    rules = getattr(importlib.import_module(f"eval.suites.{task}"), "CASE_RULES", CaseRules())
    if not isinstance(rules, CaseRules):
        raise ConfigurationError(f"CASE_RULES in eval/suites/{task}.py must be an eval.spine.case_rules.CaseRules")
    if suite.episode is None:
        return rules
    passages = suite.episode.passages if rules.passages is string_passages else rules.passages
    return replace(rules, scenario_model=suite.episode.scenario_model, passages=passages)
