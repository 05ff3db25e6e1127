"""A rollout against a real store: signed steps, real evidence, the real service beside it."""

import base64
import json
import shutil
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from starlette.testclient import TestClient
from throw_away import ThrowAway

from eval.evaluation.evaluate import Options, evaluate
from eval.release.audit import Audit
from eval.release.promotion import promote_pair, roll_back
from eval.release.rollout import advance_rollout, end_rollout, stop_reason
from eval.release.services import tell_services
from eval.release.signing import sign_statement, signer_to_release
from eval.spine.errors import Refused, RolloutError
from eval.tracking.store import Tracking
from service.app import create_app
from service.core.release import registry
from service.core.release.ledger_copy import newest_step_in_ledger, rollout_ledger_copy, signed_step
from service.core.release.registry import RegistryPairSource, fetch_candidate
from service.core.release.release import attestation_tag
from service.core.release.rollout import CANDIDATE_ALIAS
from service.core.release.statements import load_trusted_keys
from service.kit.frame.clock import set_clock
from service.kit.frame.errors import RegistryError
from service.kit.records.shared_state import open_shared_state
from service.kit.settings import Settings
from service.rollouts.control import RolloutControl
from service.rollouts.live_counts import Observation
from service.rollouts.step_state import rollout_partition
from service.runtime import build_runtime

# mlflow's own dependencies warn; ours do not get to.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    """A store in which `loud` 1.0.0 is in production and `loud` 1.1.0 has passed its gate against it."""
    tmp_path = tmp_path_factory.mktemp("rollout")
    task = ThrowAway(tmp_path)
    settings = _settings(tmp_path)
    evaluate(Options(task="shout"), settings)
    promote_pair("shout", "loud", "first", settings)
    (tmp_path / "prompts" / "shout" / "loud.prompty").write_text(
        ThrowAway.pair("loud", "local.shout-v1", version="1.1.0"), encoding="utf-8"
    )
    evaluate(Options(task="shout"), settings)
    yield tmp_path
    task.remove()


def _settings(root):
    return Settings(
        root=root,
        state_dir=root / "state",
        registry_uri=f"sqlite:///{root}/mlflow/mlflow.db",
        registry_refresh_s=0.2,
        required_tasks=("shout",),
    )


@pytest.fixture
def settings(evaluated, tmp_path):
    """The store, copied: what a test does to it is its own. Artifacts stay where the runs say they are."""
    shutil.copytree(evaluated, tmp_path / "copy")
    return _settings(tmp_path / "copy")


def _advance(settings, pair="loud", **options):
    return advance_rollout("shout", pair, "try it on some", settings, **options)


def _control(settings):
    source = RegistryPairSource("shout", settings)
    source.refresh()
    control = RolloutControl(
        "shout",
        source,
        lambda: fetch_candidate("shout", settings),
        settings.state_dir / "rollout" / "shout",
        signed=partial(signed_step, "shout", settings),
    )
    control.tick()
    return control


def _versions(control, n=200):
    return {control.choose(f"unit {number}").pair.version for number in range(n)}


def test_steps_follow_the_plan_and_end_in_a_promotion(settings):
    assert fetch_candidate("shout", settings) is None
    assert _versions(_control(settings)) == {"1.0.0"}
    assert [_advance(settings, steps=(10, 50, 100)).percent for _ in range(3)] == [10, 50, 100]
    control = _control(settings)
    assert _versions(control) == {"1.1.0"}
    with pytest.raises(Refused, match="omni promote loud"):
        _advance(settings)
    assert promote_pair("shout", "loud", "all is well", settings).sequence == 2
    control = _control(settings)
    assert control.status()["rollout"] == 3
    control.observe("nobody", Observation(latency_ms=1))
    assert _versions(control) == {"1.1.0"}  # as production now; the rollout beside the old one is void


def test_a_pair_without_valid_evidence_is_not_rolled_out(settings):
    with pytest.raises(Refused, match="'fail'"):
        _advance(settings, pair="quiet")
    path = settings.prompts_dir / "shout" / "loud.prompty"
    path.write_text(ThrowAway.pair("loud", "local.shout-v1", version="1.2.0"), encoding="utf-8")
    with pytest.raises(Refused, match="the pair's file differs"):
        _advance(settings)
    path.write_text(ThrowAway.pair("loud", "local.shout-v1"), encoding="utf-8")
    with pytest.raises(Refused, match="in production already"):
        _advance(settings)


@pytest.mark.parametrize("steps", [(), (0, 10), (10, 10), (50, 10), (10, 101)])
def test_an_impossible_plan_is_named(settings, steps):
    with pytest.raises(RolloutError, match="--steps are rising shares"):
        _advance(settings, steps=steps)


def test_a_stopped_rollout_is_not_moved_on_but_begun_again(settings):
    _advance(settings, steps=(50, 100))
    control = _control(settings)
    candidate = fetch_candidate("shout", settings)
    production = control.choose(None)
    for _ in range(200):
        control.observe(candidate.served.pair.digest, Observation(latency_ms=5, error=True))
        control.observe(production.pair.digest, Observation(latency_ms=5))
    control.tick()
    assert _versions(control) == {"1.0.0"}
    with pytest.raises(Refused, match=r"the service stopped step 1 \(errors: 200 of 200"):
        _advance(settings)
    assert _advance(settings, restart=True, steps=(50, 100)).percent == 50
    control.tick()
    assert _versions(control) == {"1.0.0", "1.1.0"}


def test_a_release_ends_the_plan_and_the_next_rollout_of_the_pair_begins_anew(settings, tmp_path):
    clock = tmp_path / "clock"
    set_clock(clock, datetime.now(UTC))
    settings = settings.model_copy(update={"clock_file": clock})
    assert _advance(settings, steps=(10, 50, 100)).percent == 10
    set_clock(clock, datetime.now(UTC) + timedelta(hours=1))
    promote_pair("shout", "loud", "good enough", settings)
    set_clock(clock, datetime.now(UTC) + timedelta(hours=2))
    roll_back("shout", "worse after all", None, settings)
    assert _advance(settings, steps=(20, 100)).percent == 20
    assert _advance(settings).percent == 100


def test_a_rollout_ends_and_stays_ended(settings):
    with pytest.raises(Refused, match="no rollout of task 'shout' is running"):
        end_rollout("shout", "x", settings)
    _advance(settings, steps=(100,))
    control = _control(settings)
    ended = end_rollout("shout", "not today", settings)
    assert (ended.sequence, ended.percent) == (2, 0)
    control.tick()
    assert _versions(control) == {"1.0.0"}
    # Somebody removes the end from the registry and from the ledger's copy: what was seen is remembered.
    rollout_ledger_copy("shout", settings).unlink()
    tracking = Tracking(settings.registry.uri, trusted_keys=settings.trusted_keys_file)
    tracking._client.delete_prompt_version_tag("shout", str(ended.registry_version), ended.tag)
    control.tick()
    assert _versions(control) == {"1.0.0"}
    assert "older than step 2" in control.status()["last_error"]


def _broken(settings):
    return {item.name: item.problem for item in Audit("shout", settings).items() if item.problem}


def _write(settings, version, tag, text):
    tracking = Tracking(settings.registry.uri, trusted_keys=settings.trusted_keys_file)
    if text is None:
        tracking._client.delete_prompt_version_tag("shout", str(version), tag)
    else:
        tracking._client.set_prompt_version_tag("shout", version, tag, text)
    return tracking


def test_verify_checks_every_step_of_a_rollout(settings):
    first, second = _advance(settings, steps=(10, 50)), _advance(settings)
    assert _broken(settings) == {}
    checked = [item.name for item in Audit("shout", settings).items()]
    assert checked[-3:] == ["rollout step 1", "rollout step 2", "alias candidate"]
    tags = dict(Tracking(settings.registry.uri).version_tags("shout"))[second.registry_version]
    # A stranger with write access raises the share of a step, and copies one to where it would count as newer.
    envelope = json.loads(tags[second.tag])
    payload = base64.b64decode(envelope["payload"]).replace(b'"percent":50', b'"percent":99')
    forged = json.dumps(envelope | {"payload": base64.b64encode(payload).decode()})
    _write(settings, second.registry_version, "omni.rollout.000003", forged)
    _write(settings, second.registry_version, "omni.rollout.000004", tags[first.tag])
    found = _broken(settings)
    assert len(found) == 2
    assert "does not verify" in found[f"rollout tag omni.rollout.000003 of version {second.registry_version}"]
    assert "copy of step 1" in found[f"rollout tag omni.rollout.000004 of version {second.registry_version}"]
    for tag in ("omni.rollout.000003", "omni.rollout.000004"):
        _write(settings, second.registry_version, tag, None)
    # A step taken away in the middle, its copy on another version, and the newest one taken away after a service had seen it.
    _write(settings, first.registry_version, first.tag, None)
    assert "step 1 is gone: later ones are there" in _broken(settings)["rollout step 1"]
    _write(settings, first.registry_version, first.tag, tags[first.tag])
    _write(settings, 1, second.tag, tags[second.tag])
    assert "2 steps have this number" in _broken(settings)["rollout step 2"]
    _write(settings, 1, second.tag, None)
    _control(settings)
    _write(settings, second.registry_version, second.tag, None)
    assert "has seen it" in _broken(settings)["rollout step 2"]


def test_verify_names_a_step_without_its_evidence_and_a_moved_alias(settings):
    step = _advance(settings, steps=(10, 50))
    tracking = Tracking(settings.registry.uri, trusted_keys=settings.trusted_keys_file)
    tags = dict(tracking.version_tags("shout"))[step.registry_version]
    name = attestation_tag(step.attestation)
    _write(settings, step.registry_version, name, None)
    assert "no gate attestation" in _broken(settings)["rollout step 1"]
    _write(settings, step.registry_version, name, tags[name])
    tracking._client.set_prompt_alias("shout", CANDIDATE_ALIAS, 1)
    assert list(_broken(settings)) == ["alias candidate"]
    assert "moved the alias by hand" in _broken(settings)["alias candidate"]


def test_an_alias_that_was_moved_by_hand_rolls_nothing_out(settings):
    import mlflow

    _advance(settings, steps=(100,))
    tracking = Tracking(settings.registry.uri, trusted_keys=settings.trusted_keys_file)
    mlflow.genai.set_prompt_alias("shout", alias=CANDIDATE_ALIAS, version=1)
    assert tracking.alias_target("shout") == 1
    with pytest.raises(RegistryError, match="moved by hand"):
        fetch_candidate("shout", settings)
    assert _versions(_control(settings)) == {"1.0.0"}


def test_the_service_answers_a_share_with_the_candidate_and_others_unseen(settings):
    _advance(settings, steps=(30, 100), shadow_percent=100)
    runtime = build_runtime(settings, guarded=False)
    with TestClient(create_app(runtime=runtime)) as client:
        for _ in range(100):
            runtime.answering.rollouts["shout"].tick()
            answered = client.post("/v1/shout", json={"text": "x"}).status_code == 200
            if (
                answered and runtime.answering.rollouts["shout"].status()["percent"]
            ):  # production and candidate were both found
                break
            time.sleep(0.1)
        runtime.answering.rollouts["shout"].tick()
        texts = [f"hello {number}" for number in range(60)]
        first = {text: _ask(client, text) for text in texts}
        assert set(first.values()) == {"v1.0.0", "v1.1.0"}
        assert {text: _ask(client, text) for text in texts} == first
        client.portal.call(runtime.answering.shadow.drain)
        runtime.answering.rollouts["shout"].tick()
        sides = runtime.answering.rollouts["shout"].status()["sides"]
    served = sum(version == "v1.1.0" for version in first.values())
    assert sides["candidate"]["requests"] == 2 * served
    rows = [json.loads(line) for line in (settings.state_dir / "shadow" / "shout.jsonl").read_text().splitlines()]
    assert 0 < len(rows) == runtime.answering.shadow.kept
    assert all(row["unseen"]["pair_digest"] != row["shown"]["pair_digest"] for row in rows)
    assert all(row["unseen"]["output"].startswith("HELLO") or row["unseen"]["output"] == "X" for row in rows)
    assert not any(text in json.dumps(row["inputs"]) for row in rows for text in texts)


def _ask(client, text):
    answer = client.post("/v1/shout", json={"text": text}).json()
    assert answer["output"] == text.upper()
    return answer["prompt_version"]


def _point(settings, version):
    tracking = Tracking(settings.registry.uri, trusted_keys=settings.trusted_keys_file)
    tracking._client.set_prompt_alias("shout", CANDIDATE_ALIAS, version)


def _another_passes(settings):
    (settings.prompts_dir / "shout" / "other.prompty").write_text(
        ThrowAway.pair("other", "local.shout-v1", version="3.0.0"), encoding="utf-8"
    )
    evaluate(Options(task="shout", pairs=("other",)), settings)


def test_a_replaced_rollout_does_not_come_back_on_an_empty_state_folder(settings):
    first = _advance(settings, steps=(50, 100))
    _another_passes(settings)
    second = _advance(settings, pair="other", steps=(10, 100))
    assert second.sequence > first.sequence
    _point(settings, first.registry_version)
    shutil.rmtree(settings.state_dir / "rollout", ignore_errors=True)
    control = _control(settings)
    assert _versions(control) == {"1.0.0"}
    assert "step 2 is newer: the alias was moved by hand" in control.status()["last_error"]
    _point(settings, second.registry_version)
    control.tick()
    assert control.status()["percent"] == 10


def test_an_ended_rollout_does_not_come_back_through_another_version(settings):
    first = _advance(settings, steps=(50, 100))
    _another_passes(settings)
    _advance(settings, pair="other", steps=(10, 100))
    end_rollout("shout", "enough", settings)
    _point(settings, first.registry_version)
    shutil.rmtree(settings.state_dir / "rollout", ignore_errors=True)
    assert _versions(_control(settings)) == {"1.0.0"}


@pytest.fixture(scope="module")
def table(local_aws):
    """Settings of a running local AWS, whose shared table the services of a test write."""
    return local_aws()


def _stopped_elsewhere(table, settings, task, **changes):
    """Write what a service on another machine leaves when it stops the newest step."""
    step = fetch_candidate("shout", settings).rollout
    state = {"sequence": step.sequence, "pair": step.pair_digest, "stopped": "errors: 9 of 9"} | changes
    open_shared_state(table).put(rollout_partition(task), "step", json.dumps(state))


def test_a_rollout_that_a_service_elsewhere_stopped_is_not_moved_on_but_begun_again(settings, table):
    settings = settings.model_copy(update={"aws_endpoint": table.aws.endpoint})
    _advance(settings, steps=(50, 100))
    _stopped_elsewhere(table, settings, "shout", sequence=9 * 10**15, stopped=None)
    assert "names step 9000000000000000, which nobody signed" in _broken(settings)["rollout number"]
    assert len(_broken(settings)) == 1
    _stopped_elsewhere(table, settings, "shout", pair="of another rollout with the same number")
    assert stop_reason(fetch_candidate("shout", settings).rollout, settings) is None
    _stopped_elsewhere(table, settings, "shout")
    with pytest.raises(Refused, match=r"the service stopped step 1 \(errors: 9 of 9"):
        _advance(settings)
    assert _advance(settings, restart=True, steps=(50, 100)).sequence == 2


def test_a_missing_range_of_steps_is_one_item_however_large_it_is(settings):
    step = _advance(settings, steps=(100,))
    tracking = Tracking(settings.registry.uri, trusted_keys=settings.trusted_keys_file)
    huge = replace(step, sequence=9 * 10**15)
    tags = {huge.tag: sign_statement(signer_to_release(settings), huge.statement())}
    tracking.place("shout", step.registry_version, tags, alias=CANDIDATE_ALIAS)
    broken = _broken(settings)
    assert "are gone: later ones are there" in broken["rollout steps 2 to 8999999999999999"]
    assert "somebody" not in broken["rollout steps 2 to 8999999999999999"]


def test_where_nobody_can_tell_of_a_stop_a_rollout_is_not_moved_on(settings):
    settings = settings.model_copy(update={"aws_endpoint": "http://127.0.0.1:1", "store_timeout_s": 0.5})
    _advance(settings, steps=(50, 100))
    with pytest.raises(Refused, match=r"nobody can tell whether the services stopped step 1: .* cannot be reached"):
        _advance(settings)
    assert "the services were not told" in tell_services("rollout/shout", settings)
    assert _advance(settings, restart=True, steps=(50, 100)).sequence == 2
    assert list(_broken(settings)) == []


def test_services_are_told_of_a_step(settings, table):
    before = open_shared_state(table).changes().get("rollout/told", 0)
    settings = settings.model_copy(update={"aws_endpoint": table.aws.endpoint})
    assert tell_services("rollout/told", settings) is None
    assert open_shared_state(table).changes()["rollout/told"] == before + 1


def _remove_newest(settings):
    """Take the newest step out of the registry and point the alias at the one before it."""
    first, second = _advance(settings, steps=(100,)), end_rollout("shout", "enough", settings)
    _write(settings, second.registry_version, second.tag, None)
    shutil.rmtree(settings.state_dir / "rollout", ignore_errors=True)
    return first, second


def test_an_end_that_was_removed_from_the_registry_is_noticed_by_a_cold_start(settings):
    _remove_newest(settings)
    control = _control(settings)
    assert _versions(control) == {"1.0.0"}
    assert "the ledger holds step 2: it was removed from the registry" in control.status()["last_error"]
    assert "the ledger's copy holds it" in _broken(settings)["rollout step 2"]


def test_a_step_after_a_removed_one_takes_a_new_number(settings):
    _remove_newest(settings)
    third = _advance(settings, steps=(50, 100), restart=True)
    assert third.sequence == 3
    control = _control(settings)
    assert control.status()["percent"] == 50
    assert list(_broken(settings)) == ["rollout step 2"]


def test_forged_lines_of_the_ledgers_copy_do_not_count_and_an_unreadable_copy_is_no_empty_one(settings):
    step = _advance(settings, steps=(100,))
    path = rollout_ledger_copy("shout", settings)
    line = path.read_text(encoding="utf-8").strip()
    path.write_text(f"{line}\n{{}}\n{line[:-9]}\n", encoding="utf-8")
    assert newest_step_in_ledger("shout", settings, load_trusted_keys(settings.trusted_keys_file)) == step.sequence
    path.write_bytes(b"\xff\xfe")
    control = _control(settings)
    assert _versions(control) == {"1.0.0"}
    assert "cannot be read (UnicodeDecodeError)" in control.status()["last_error"]


def test_the_copy_holds_each_step_once(settings):
    for _ in range(2):
        _advance(settings, steps=(50, 100))
    end_rollout("shout", "enough", settings)
    assert len(set(rollout_ledger_copy("shout", settings).read_text(encoding="utf-8").splitlines())) == 3
    assert len(rollout_ledger_copy("shout", settings).read_text(encoding="utf-8").splitlines()) == 3


def test_the_versions_are_searched_only_when_the_step_changes(settings, monkeypatch):
    searched = []
    search = registry.all_versions
    monkeypatch.setattr(registry, "all_versions", lambda *given: searched.append(given) or search(*given))
    _advance(settings, steps=(50, 100))
    read = registry.CandidateReader("shout", settings)
    assert [read().rollout.sequence for _ in range(3)] == [1, 1, 1]
    assert len(searched) == 1
    _advance(settings)
    assert [read().rollout.sequence for _ in range(3)] == [2, 2, 2]
    assert len(searched) == 2
