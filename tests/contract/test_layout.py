"""The layout's traps: a stray __init__.py or test file hides installed packages while everything seems to work."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DATA_FOLDERS = ("prompts", "datasets", "mlflow", "infra", "docs", "tests")


@pytest.mark.parametrize("folder", DATA_FOLDERS)
def test_data_folders_hold_no_init(folder):
    assert [str(path) for path in (ROOT / folder).rglob("__init__.py")] == []


@pytest.mark.parametrize("folder", ["prompts", "datasets", "mlflow"])
def test_data_folders_hold_no_python(folder):
    assert [str(path) for path in (ROOT / folder).rglob("*.py")] == []


def test_mlflow_is_the_library_and_not_our_folder():
    code = "import mlflow, pathlib; assert mlflow.__version__; print(pathlib.Path(mlflow.__file__).resolve())"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "site-packages" in done.stdout
    assert not done.stdout.startswith(str(ROOT / "mlflow"))


@pytest.mark.parametrize(
    "arguments",
    [
        ("omni", "--help"),
        ("omni", "eval", "--help"),
        ("omni", "calls", "run", "--help"),
        ("omni", "report", "--help"),
        ("service", "--help"),
    ],
    ids=" ".join,
)
def test_help_imports_nothing_heavy(arguments):
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", *arguments], cwd=ROOT, capture_output=True, text=True, check=True
    )
    imported = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines()}
    assert "typer" in imported
    heavy = {"mlflow", "litellm", "pandas", "numpy", "sacrebleu", "boto3", "fastapi", "pydantic", "structlog"}
    assert not imported & heavy


def test_no_lock_file_names_an_index():
    for path in (ROOT / "requirements").glob("*.txt"):
        text = path.read_text(encoding="utf-8")
        assert "index-url" not in text.replace("--no-emit-index-url", "")
        assert "://" not in text, path
        assert "--hash=sha256:" in text
