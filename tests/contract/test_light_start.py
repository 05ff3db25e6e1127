"""The process that makes an evaluation's calls starts without the libraries that only deciding, reporting or storing need."""

import subprocess
import sys

import pytest

HEAVY = ("numpy", "scipy", "pandas", "sacrebleu", "jinja2", "mlflow", "litellm")


@pytest.mark.parametrize(
    "module", ["eval.evaluation.evaluate", "eval.report.console", "eval.suites.summarize", "eval.tracking.worker"]
)
def test_what_comes_before_the_first_call_imports_nothing_heavy(module):
    code = f"import sys, {module}; print(*(name for name in {HEAVY} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
