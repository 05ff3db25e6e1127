"""Artifacts are used with the bytes that the pair names, or not at all; and the command that names them."""

import hashlib
import json
import os
from dataclasses import replace

import pytest

from service.core.run.task import load_task, task_names
from service.core.tasks.summarize.digest import OWN_WEIGHTS
from service.core.unit.cards import ModelCard, ModelCards
from service.core.unit.pair import Artifact, OutputRules, Pair, PromptMessage, Sampling, ServingPolicy
from service.core.unit.pair_file import artifacts, load_pair
from service.core.unit.pair_file.artifacts import artifact_of, built_in, check_names, open_artifacts
from service.core.unit.pair_file.pin import keep_trained, pin, pinned
from service.kit.frame.errors import PairError

WEIGHTS = b'{"weight": 1}'
SHA = hashlib.sha256(WEIGHTS).hexdigest()
CARDS = ModelCards([ModelCard(id="local.m", short_name="model", wire="in_process", runs="local", context_tokens=1000)])
FILE = """\
---
name: p
task: demo
version: 1.0.0
model:
  id: local.m
  options: {maxOutputTokens: 10}
inputs:
  text: {kind: string}
output: {schema: s, max_words: 9}
artifacts:
  weights: ARTIFACT
---
system:
Read what stands between <text> and </text>.
user:
<text>{{text}}</text>
"""
ONE = Artifact(name="weights", file="w.json", sha256=SHA)
# As they were before a pair could name artifacts: computed on 2026-11-23 by the release before.
PLAIN = Pair(
    name="p",
    task="demo",
    version="1.0.0",
    model="m",
    backup=None,
    sampling=Sampling(max_output_tokens=10),
    output=OutputRules(schema="s", max_words=9),
    serving=ServingPolicy(),
    messages=(
        PromptMessage(role="system", content="Read <text>."),
        PromptMessage(role="user", content="<text>{{text}}</text>"),
    ),
    variables=("text",),
)
PLAIN_DIGEST = "4d5f7ad3dbba1893229d93a1c4566ee2cd39e43a0de985e51fb2c857b9c21d6c"


@pytest.fixture
def folder(tmp_path):
    found = tmp_path / "demo"
    found.mkdir()
    (found / "w.json").write_bytes(WEIGHTS)
    return found


def load(folder, text):
    path = folder / "p.prompty"
    path.write_text(text, encoding="utf-8")
    return load_pair(path, cards=CARDS, task_variables={"text"})


def declared(file="w.json", sha256=SHA):
    return FILE.replace("ARTIFACT", f"{{file: {file}, sha256: {sha256}}}")


NAMED = f"artifacts:\n  weights: {{file: w.json, sha256: {SHA}}}\n"
WITHOUT = declared().replace(NAMED, "")


def test_a_pair_without_artifacts_has_the_digest_that_it_always_had(tmp_path):
    assert PLAIN.digest == PLAIN_DIGEST
    assert "artifacts" not in PLAIN.content()
    assert open_artifacts(PLAIN, tmp_path) is PLAIN


def test_a_pair_answers_with_the_bytes_that_it_names_and_they_are_in_its_digest(folder):
    pair = load(folder, declared())
    assert pair.artifact("weights") == WEIGHTS
    assert pair.artifact("weights") is pair.artifact("weights")
    assert pair.artifact("others") is None
    other = replace(pair, artifacts=(replace(ONE, sha256="0" * 64),))
    assert len({pair.digest, other.digest, replace(pair, artifacts=()).digest}) == 3
    again = Pair.from_content(json.loads(json.dumps(pair.content())))
    assert (again, again.digest) == (pair, pair.digest)
    with pytest.raises(PairError, match="used before its artifact 'weights' was verified"):
        again.artifact("weights")


def test_one_changed_byte_is_refused_with_both_digests_and_what_to_do(folder):
    (folder / "w.json").write_bytes(WEIGHTS.replace(b"1", b"2"))
    found = hashlib.sha256(b'{"weight": 2}').hexdigest()
    with pytest.raises(PairError) as refused:
        load(folder, declared())
    assert f"pair 'p' of task 'demo' was made with artifact 'weights', file 'w.json' with SHA-256 {SHA}" in str(
        refused.value
    )
    assert (
        f"{folder / 'w.json'} has SHA-256 {found}: put that file back, or name the new one in the pair (`omni pin`)"
        in str(refused.value)
    )


@pytest.mark.parametrize(
    "file",
    ["../w.json", "/etc/passwd", "a/../../w.json", "a//w.json", ".hidden", "a\\\\w.json", "x" * 201, "w.json\\0"],
)
def test_a_path_out_of_the_folder_is_refused_from_a_file_and_from_a_store(folder, file):
    with pytest.raises(PairError, match=r"p\.prompty:12: .*must be a path below the task's folder"):
        load(folder, declared(file=f'"{file}"'))
    stored = PLAIN.content() | {
        "artifacts": [{"name": "weights", "file": file.encode().decode("unicode_escape"), "sha256": SHA}]
    }
    with pytest.raises(PairError, match="must be a path below the task's folder"):
        Pair.from_content(stored)


@pytest.mark.parametrize(
    ("stored", "why"),
    [
        ({"artifacts": [{"name": "w", "file": "w", "sha256": SHA}] * 2}, "the same name"),
        ({"artifacts": [{"name": "w", "file": "w", "sha256": SHA.upper()}]}, "64 hexadecimal digits"),
        ({"artifacts": [{"name": 1, "file": "w", "sha256": SHA}]}, "must be texts"),
        ({"artifacts": [{"name": "w", "file": "w"}]}, "sha256"),
        ({"opened": {SHA: "forged"}}, "unknown field 'opened'"),
    ],
)
def test_a_stored_pair_cannot_bring_bytes_or_wrong_declarations(stored, why):
    with pytest.raises(PairError, match=why):
        Pair.from_content(PLAIN.content() | stored)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda text: text.replace("  weights:", "  weights: {file: w.json}\n  weights:"), "weights"),
        (lambda text: text.replace(f"sha256: {SHA}", "sha256: abc"), "64 hexadecimal digits"),
        (lambda text: text.replace(f", sha256: {SHA}", ""), "'artifacts.weights.sha256' is missing"),
        (lambda text: text.replace("file:", "path:"), "unknown key 'path'"),
        (lambda text: text.replace("artifacts:\n  weights", "artifacts: []\nx"), "unknown key 'x'|must be a mapping"),
    ],
)
def test_a_wrong_declaration_names_its_line(folder, change, why):
    with pytest.raises(PairError, match=rf"p\.prompty:1\d: .*({why})"):
        load(folder, change(declared()))


def test_what_is_no_file_of_the_folder_is_refused(folder, monkeypatch):
    def refusal():
        with pytest.raises(PairError) as refused:
            open_artifacts(replace(PLAIN, artifacts=(ONE,)), folder)
        return str(refused.value)

    path = folder / "w.json"
    path.unlink()
    assert f"{path} does not exist" in refusal()
    outside = folder.parent / "outside.json"
    outside.write_bytes(WEIGHTS)
    path.symlink_to(outside)
    assert f"{path} leads out of its folder" in refusal()
    path.unlink()
    path.symlink_to(path)
    assert "cannot be read" in refusal()
    path.unlink()
    os.mkfifo(path)
    assert f"{path} is no regular file" in refusal()
    path.unlink()
    with path.open("wb") as file:
        file.truncate(1_000_000_000_000)  # sparse: it takes no room, and nobody may read it
    assert f"{path} is larger than 64 MB" in refusal()


def test_a_link_inside_the_folder_is_followed(folder):
    (folder / "..data").mkdir()
    (folder / "w.json").rename(folder / "..data" / "w.json")
    (folder / "w.json").symlink_to(folder / "..data" / "w.json")
    assert load(folder, declared()).artifact("weights") == WEIGHTS


def test_what_a_process_has_verified_stays_whatever_becomes_of_the_file(folder):
    kept = {}
    pair = replace(PLAIN, artifacts=(ONE,))
    first = open_artifacts(pair, folder, kept)
    (folder / "w.json").unlink()
    assert open_artifacts(pair, folder, kept).artifact("weights") is first.artifact("weights")


def test_a_pair_that_names_none_gets_the_files_that_the_code_names_and_no_others():
    for task in task_names():
        for artifact in load_task(task).built_in:
            assert hashlib.sha256(artifact_of(PLAIN, task, artifact)).hexdigest() == artifact.sha256
            assert artifact.name in load_task(task).artifact_names
    with pytest.raises(
        PairError, match=r"the code of task 'summarize' was made with .*digest_weights.json has SHA-256"
    ):
        built_in("summarize", replace(OWN_WEIGHTS, sha256="0" * 64))
    with pytest.raises(PairError, match="there is no folder to find it in"):
        built_in("no such task", OWN_WEIGHTS)


def test_an_artifact_that_the_task_does_not_ask_for_is_refused():
    with pytest.raises(PairError, match="asks for no artifact 'weights' of pair 'p'; did you mean 'weight'"):
        check_names([replace(PLAIN, artifacts=(ONE,))], {"weight"})


@pytest.mark.parametrize("before", [declared(file="gone.json", sha256="0" * 64), declared(sha256="''"), WITHOUT])
def test_pinning_writes_file_and_digest_and_nothing_else(folder, before):
    path = folder / "p.prompty"
    path.write_text(before, encoding="utf-8")
    assert pin(path, "weights", "w.json") == SHA
    after = path.read_text(encoding="utf-8")
    block = f"artifacts:\n  weights:\n    file: w.json\n    sha256: {SHA}\n"
    assert after == (declared().replace(NAMED, block) if before == WITHOUT else declared())
    assert (pinned(path), pin(path, "weights"), path.read_text(encoding="utf-8")) == (("weights",), SHA, after)
    with pytest.raises(PairError, match="names no artifact 'others'"):
        pin(path, "others")
    with pytest.raises(PairError, match=r"there is no artifact 'gone\.json'"):
        pin(path, "weights", "gone.json")


@pytest.mark.parametrize("style", ["artifacts: {}\n", "artifacts: {others: {file: w.json, sha256: none}}\n"])
def test_a_style_that_pinning_cannot_change_is_refused_and_the_file_stays(folder, style):
    path = folder / "p.prompty"
    path.write_text(before := declared().replace(NAMED, style), encoding="utf-8")
    with pytest.raises(PairError, match=r"write artifacts\.weights by hand"):
        pin(path, "weights", "w.json")
    assert path.read_text(encoding="utf-8") == before


def test_training_keeps_the_earlier_file_so_that_a_rollback_finds_it(folder):
    earlier = load(folder, declared())
    file, pairs = keep_trained(folder, "weights", "w", b"new")
    assert (pairs, file.read_bytes()) == ([folder / "p.prompty"], b"new")
    assert load(folder, (folder / "p.prompty").read_text(encoding="utf-8")).artifact("weights") == b"new"
    assert open_artifacts(Pair.from_content(earlier.content()), folder).artifact("weights") == WEIGHTS


def test_the_most_that_an_artifact_may_be_is_read(folder, monkeypatch):
    monkeypatch.setattr(artifacts, "MOST_BYTES", len(WEIGHTS))
    assert load(folder, declared()).artifact("weights") == WEIGHTS
    monkeypatch.setattr(artifacts, "MOST_BYTES", len(WEIGHTS) - 1)
    with pytest.raises(PairError, match="the most that an artifact may be"):
        load(folder, declared())
