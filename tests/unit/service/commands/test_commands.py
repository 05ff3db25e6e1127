"""``python -m service``: light until a command needs more, and a wrong setting is one line and exit 2."""

import subprocess
import sys
from pathlib import Path

import pytest

from service.__main__ import main
from service.kit.settings import REPO_ROOT


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMNI_STATE_DIR", str(tmp_path))


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys\nfrom service.__main__ import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print(sorted({'boto3', 'fastapi', 'pydantic', 'litellm', 'mlflow', 'structlog'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=REPO_ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "serve" in done.stdout


def test_wrong_setting_names_its_variable(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("OMNI_LOCAL_AWS_PORT", "many")
    assert main(["status"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: settings: OMNI_LOCAL_AWS_PORT: ")
    assert error.count("\n") == 1


def test_stand_ins_do_not_start_in_aws(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("OMNI_ENVIRONMENT", "aws")
    assert main(["up"]) == 2
    assert "OMNI_ENVIRONMENT is 'aws'" in capsys.readouterr().err


def test_status_and_down_without_anything_running(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status"]) == 1
    assert capsys.readouterr().out == "ministack: not running\nbedrock: not running\n"
    assert main(["down"]) == 0
    assert capsys.readouterr().out == "bedrock: was not running\nministack: was not running\n"
