"""One changed weight through the real commands: evaluation, gate, promotion and service refuse, and the old bytes serve again."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from service.core.release.registry import RegistryPairSource
from service.core.unit.pair_file.pin import keep_trained
from service.kit.settings import Settings

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # mlflow's own dependencies warn
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def root(tmp_path):
    for folder in ("prompts/summarize", "datasets/summarize"):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copy(ROOT / "prompts" / "models.yaml", tmp_path / "prompts")
    shutil.copy(ROOT / "prompts" / "summarize" / "extractive.prompty", tmp_path / "prompts" / "summarize")
    shutil.copy(ROOT / "datasets" / "summarize" / "gate.jsonl", tmp_path / "datasets" / "summarize")
    return tmp_path


def omni(root, *words):
    own = {"OMNI_ROOT": str(root), "OMNI_STATE_DIR": str(root / "state"), "OMNI_REGISTRY_URI": f"sqlite:///{root}/m.db"}
    line = [sys.executable, "-m", "omni", *words]
    return subprocess.run(line, env=os.environ | own, cwd=ROOT, capture_output=True, text=True, timeout=300)


def service_of(root, state):
    """A service's source with the state in a folder of its own; all trust the same keys."""
    settings = Settings(root=root, state_dir=root / "state", registry_uri=f"sqlite:///{root}/m.db")
    own = {"state_dir": root / state, "trusted_keys": settings.trusted_keys_file}
    source = RegistryPairSource("summarize", settings.model_copy(update=own))
    source.refresh()
    return source


def test_a_changed_weight_is_refused_everywhere(root):
    folder = root / "prompts" / "summarize"
    own = (ROOT / "service/core/tasks/summarize/digest_weights.json").read_bytes()
    file, _ = keep_trained(
        folder, "digest", "digest_weights", own.replace(b'"length_power": 0.75', b'"length_power": 0.74')
    )
    released = file.read_bytes()
    assert released != own
    for words in (("eval", "--pairs", "extractive"), ("promote", "extractive", "--why", "weights of its own")):
        done = omni(root, *words)
        assert done.returncode == 0, done.stderr
    running = service_of(root, "running")
    assert running.current().pair.artifact("digest") == released

    file.write_bytes(released.replace(b'"length_power": 0.74', b'"length_power": 0.73'))
    digests = [hashlib.sha256(content).hexdigest() for content in (released, file.read_bytes())]
    told = f"'digest', file '{file.name}' with SHA-256 {digests[0]}, and {file} has SHA-256 {digests[1]}; "
    for words in (
        ("eval", "--pairs", "extractive"),
        ("gate", "extractive"),
        ("promote", "extractive", "--why", "again"),
        ("rollback", "--to", "1", "--why", "again"),
    ):
        done = omni(root, *words)
        assert (done.returncode, told in done.stderr) == (2, True), (words, done.stdout, done.stderr)
    refusing = service_of(root, "elsewhere")
    assert refusing.status().served is None
    assert f"release 1 is not served: pair 'extractive' of task 'summarize' was made with artifact {told}" in (
        refusing.status().last_error
    )
    running.refresh()
    assert running.current().pair.artifact("digest") == released

    assert omni(root, "pin", "extractive").returncode == 0
    done = omni(root, "promote", "extractive", "--why", "pinned")
    assert done.returncode == 1, "other weights are another pair, which nobody has evaluated"
    file.write_bytes(released)
    refusing.refresh()
    assert refusing.current().pair.artifact("digest") == released
