"""Somebody with write access to MLflow tries to put a pair into production, against a real store and the real commands."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from eval.evaluation.evaluate import Options, evaluate
from eval.release.audit import Audit
from eval.release.promotion import promote_pair, roll_back
from eval.spine.errors import Refused
from eval.tracking.store import CASES_FILE, TAG_ATTESTATION, TAG_VERDICT, Tracking
from service.core.release.ledger_copy import ledger_copy
from service.core.release.registry import RegistryPairSource
from service.core.release.release import ALIAS
from service.kit.frame.errors import RegistryError
from service.kit.settings import Settings

# mlflow's own dependencies warn; ours do not get to.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
ROOT = Path(__file__).resolve().parents[3]
TASK = "summarize"


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    """A store in which pairs `one` and `two` passed the gate, `bad` did not, and nothing is released."""
    root = tmp_path_factory.mktemp("evaluated")
    pairs = root / "prompts" / TASK
    pairs.mkdir(parents=True)
    shutil.copy(ROOT / "prompts" / "models.yaml", root / "prompts")
    (root / "datasets" / TASK).mkdir(parents=True)
    shutil.copy(ROOT / "datasets" / TASK / "gate.jsonl", root / "datasets" / TASK)  # 40 cases cannot clear the margins
    text = (ROOT / "prompts" / TASK / "extractive.prompty").read_text(encoding="utf-8")
    for name, version in (("one", "1.0.1"), ("two", "1.0.2"), ("three", "1.0.3")):
        lines = [
            f"name: {name}"
            if line.startswith("name:")
            else f"version: {version}"
            if line.startswith("version:")
            else line
            for line in text.splitlines()
        ]
        (pairs / f"{name}.prompty").write_text("\n".join(lines), encoding="utf-8")
    settings = settings_of(root)
    evaluate(Options(task=TASK, pairs=("one", "two")), settings)
    evaluate(Options(task=TASK, pairs=("three",), case_count=39), settings)
    return root


def settings_of(root):
    return Settings(root=root, state_dir=root / "state", registry_uri=f"sqlite:///{root}/mlflow.db")


@pytest.fixture
def settings(evaluated, tmp_path):
    """The evaluated store, copied: what a test breaks is its own. Artifacts stay where the runs say they are."""
    shutil.copytree(evaluated, tmp_path / "copy")
    return settings_of(tmp_path / "copy")


def tracking_of(settings):
    return Tracking(settings.registry.uri, trusted_keys=settings.trusted_keys_file)


def broken(settings):
    return {item.name: item.problem for item in Audit(TASK, settings).items() if item.problem}


def served(settings):
    source = RegistryPairSource(TASK, settings)
    source.refresh()
    return source.current()


def test_everything_holds_after_promote_and_rollback(settings):
    assert promote_pair(TASK, "one", "first", settings).sequence == 1
    evaluate(Options(task=TASK, pairs=("two",)), settings)
    assert promote_pair(TASK, "two", "second", settings).sequence == 2
    assert roll_back(TASK, "back", None, settings).sequence == 3
    assert broken(settings) == {}
    rows = Audit(TASK, settings).history()
    assert [(row.entry.release.kind, row.attestation.verdict, row.problem) for row in rows] == [
        ("rollback", "pass", None),
        ("promote", "pass", None),
        ("promote", "pass", None),
    ]
    assert (served(settings).pair.name, served(settings).sequence) == ("one", 3)


def test_what_tags_claim_promotes_nothing(settings):
    tracking = tracking_of(settings)
    (partial,) = tracking.records(TASK, "three")
    tracking._client.set_tag(partial.mlflow_run_id, TAG_VERDICT, "pass")
    with pytest.raises(Refused, match="dataset 'gate' differs from the evaluated one"):
        promote_pair(TASK, "three", "x", settings)
    # The attestation of another pair, copied into this one's run.
    (one,) = tracking.records(TASK, "one")
    tracking._client.set_tag(partial.mlflow_run_id, TAG_ATTESTATION, one.attestation)
    with pytest.raises(Refused, match="the pair's file differs from the evaluated one"):
        promote_pair(TASK, "three", "x", settings)
    tracking._client.delete_tag(partial.mlflow_run_id, TAG_ATTESTATION)
    with pytest.raises(Refused, match="has no attestation"):
        promote_pair(TASK, "three", "x", settings)


def test_of_two_promotions_at_once_one_wins_and_the_other_is_told(settings):
    environment = dict(os.environ) | {
        "OMNI_ROOT": str(settings.root),
        "OMNI_STATE_DIR": str(settings.state_dir),
        "OMNI_REGISTRY_URI": settings.registry.uri,
    }
    children = [
        subprocess.Popen(
            [sys.executable, "-m", "omni", "promote", name, "--why", "me first"],
            env=environment,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in ("one", "two")
    ]
    answers = [child.communicate(timeout=300) for child in children]
    codes = [child.returncode for child in children]
    assert codes.count(0) == 1, answers
    loser = answers[1 - codes.index(0)][1]
    # Told under the lock, or, when the other had finished before, by the evidence: it was compared with nothing.
    assert "production changed while" in loser or "the production pair differs from the evaluated one" in loser
    assert broken(settings) == {}
    assert len(ledger_copy(TASK, settings).read_text(encoding="utf-8").splitlines()) == 1


def test_an_alias_deleted_or_moved_does_not_choose_the_comparison(settings):
    promote_pair(TASK, "one", "first", settings)
    tracking = tracking_of(settings)
    tracking._mlflow.genai.delete_prompt_alias(TASK, ALIAS)
    # `two` passed when nothing was in production: with the alias gone, that would be enough again.
    with pytest.raises(Refused, match=r"release 1 was made, but .*omni promote one"):
        promote_pair(TASK, "two", "x", settings)
    assert "the alias was moved by hand" in broken(settings)["alias"]
    back = promote_pair(TASK, "one", "put back", settings)
    assert (back.kind, back.sequence) == ("restore", 2)
    assert broken(settings) == {}
    assert served(settings).pair.name == "one"


def test_a_wiped_registry_is_noticed_by_the_ledger(settings):
    promote_pair(TASK, "one", "first", settings)
    tracking = tracking_of(settings)
    for version, tags in tracking.version_tags(TASK):
        for name in tags:
            if name.startswith(("omni.release.", "omni.attestation.")):
                tracking._client.delete_prompt_version_tag(TASK, version, name)
    with pytest.raises(Refused, match="release 1 was made, but"):
        promote_pair(TASK, "two", "x", settings)
    problem = broken(settings)["release 1"]
    assert "no longer in the registry: somebody removed tag omni.release.000001 of version 1" in problem
    assert promote_pair(TASK, "one", "put back", settings).kind == "restore"  # its attestation is in its run
    assert served(settings).sequence == 2


def test_changed_evidence_is_named(settings):
    release = promote_pair(TASK, "one", "first", settings)
    tracking = tracking_of(settings)
    uri = tracking._client.get_run(release.gate_run_id).info.artifact_uri
    path = Path(uri.removeprefix("file://")) / CASES_FILE
    genuine = path.read_text(encoding="utf-8")
    try:
        path.write_text(genuine.replace("extractive", "nova-lite"), encoding="utf-8")
        assert "was changed: it has digest" in broken(settings)[f"release 1 {CASES_FILE}"]
        path.unlink()
        assert "is gone" in broken(settings)[f"release 1 {CASES_FILE}"]
    finally:
        path.write_text(genuine, encoding="utf-8")
    assert broken(settings) == {}
    done = subprocess.run(
        [sys.executable, "-m", "omni", "verify"],
        env=dict(os.environ) | {"OMNI_STATE_DIR": str(settings.state_dir), "OMNI_REGISTRY_URI": settings.registry.uri},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (done.returncode, "7 checked, 0 broken" in done.stdout, done.stderr) == (0, True, "")


def test_a_lost_key_starts_anew_and_a_replaced_one_does_not(settings):
    promote_pair(TASK, "one", "first", settings)
    (settings.keys_dir / "signing.pem").unlink()
    assert roll_back(TASK, "signed with the new key", 1, settings).sequence == 2
    assert broken(settings) == {}
    assert served(settings).sequence == 2
    shutil.rmtree(settings.state_dir)
    with pytest.raises(Refused, match="not by a key trusted"):
        # What the old key signed counts for nothing: neither its releases nor its evaluations.
        promote_pair(TASK, "two", "x", settings)
    evaluate(Options(task=TASK, pairs=("two",)), settings)
    assert promote_pair(TASK, "two", "new start", settings).sequence == 1
    assert served(settings).pair.name == "two"


def test_a_ledger_that_cannot_be_read_is_named(settings):
    promote_pair(TASK, "one", "first", settings)
    path = ledger_copy(TASK, settings)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(RegistryError, match=r"the ledger .*summarize\.jsonl cannot be read"):
        roll_back(TASK, "x", None, settings)
