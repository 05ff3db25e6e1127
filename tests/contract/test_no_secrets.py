"""No tracked file holds a key or a password: detect-secrets over all of them, against a baseline of what was looked at."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BASELINE = ROOT / ".secrets.baseline"
REMEDY = (
    "take the secret out and make it invalid; if it is none: detect-secrets scan --baseline .secrets.baseline, "
    "then detect-secrets audit .secrets.baseline"
)


@pytest.fixture
def hook(tmp_path):
    """Run the hook over files; it writes new line numbers into its baseline, so it gets a copy."""
    copy = shutil.copyfile(BASELINE, tmp_path / "baseline")

    def run(*files):
        command = [sys.executable, "-m", "detect_secrets.pre_commit_hook", "--baseline", str(copy), *files]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    return run


def listed(*command):
    done = subprocess.run(["git", *command], cwd=ROOT, capture_output=True, text=True, check=True)
    return {name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()}


@pytest.mark.acceptance("operation-26")
def test_no_tracked_file_holds_a_secret(hook):
    done = hook(*listed("ls-files", "-z"))
    assert done.returncode in (0, 3), f"{REMEDY}\n{done.stdout}"  # 3: only lines have moved


def test_a_file_of_the_last_commits_holds_no_secret(hook):
    changed = listed("diff", "-z", "--name-only", "HEAD") | listed("log", "-3", "-z", "--name-only", "--format=")
    done = hook(*changed)
    assert done.returncode in (0, 3), f"{REMEDY}\n{done.stdout}"


def test_whatever_the_baseline_holds_is_marked_as_no_secret():
    known = json.loads(BASELINE.read_text(encoding="utf-8"))["results"]
    assert [name for name, lines in known.items() for one in lines if one.get("is_secret") is not False] == []
    assert [name for name in known if not name.startswith(("tests/", "datasets/", "docs/", "service/", "eval/"))] == []


@pytest.mark.parametrize(
    "text",
    [
        "-----BEGIN " + "EC PRIVATE KEY-----",
        "aws_access_key_id = AKIA" + "Z7QHTNW2LVSCX4PM",
        'password = "' + 'Tr0mb0ne-lantern"',
    ],
)
def test_a_planted_secret_is_found(text, tmp_path, hook):
    file = tmp_path / "settings.py"
    file.write_text(text + "\n", encoding="utf-8")
    assert hook(str(file)).returncode == 1


def commit(repository, *paths, message):
    who = ("-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *who, "add", "--all", *paths], cwd=repository, check=True)
    subprocess.run(["git", *who, "commit", "-qm", message], cwd=repository, check=True)


def test_a_secret_that_a_later_commit_takes_out_is_found(tmp_path):
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    shutil.copyfile(BASELINE, tmp_path / ".secrets.baseline")
    file = tmp_path / "settings.py"
    tool = [sys.executable, str(ROOT / "tools" / "search_commits.py")]
    states = ("plain = 1\n", 'password = "' + 'Tr0mb0ne-lantern"\n', "plain = 2\n")
    for number, text in enumerate(states):
        file.write_text(text, encoding="utf-8")
        commit(tmp_path, ".", message=str(number))
    found = subprocess.run([*tool, "HEAD~2..HEAD"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert found.returncode == 1, found.stdout + found.stderr
    assert "settings.py:1" in found.stdout
    assert "lantern" not in found.stdout
    clean = subprocess.run([*tool, "HEAD~1..HEAD"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (clean.returncode, clean.stdout) == (0, ""), clean.stdout + clean.stderr


def test_without_a_range_the_tool_says_how_it_is_called():
    done = subprocess.run(
        [sys.executable, "tools/search_commits.py"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "BASE..HEAD" in done.stderr
