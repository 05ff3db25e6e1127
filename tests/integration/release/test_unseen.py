"""Evidence in which nobody looked at some kinds of harm, from the evaluation to the service, with a real store."""

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from starlette.testclient import TestClient
from throw_away import ThrowAway

from eval.commands.release import history
from eval.evaluation import evaluate as evaluation_module
from eval.evaluation.evaluate import Options, evaluate
from eval.release.announce import message_of
from eval.release.audit import Audit
from eval.release.ledger import Ledger
from eval.release.promotion import promote_pair, roll_back
from eval.release.releaser import Releaser
from eval.release.rollout import advance_rollout
from eval.release.unseen import Waiver
from eval.spine.errors import Refused
from eval.spine.judge_spec import JudgeSpec
from eval.spine.results import JudgeNote
from eval.tracking.store import Tracking
from service.access.control import local_token
from service.app import create_app
from service.core.release.registry import RegistryPairSource, fetch_candidate
from service.kit.frame.errors import RegistryError
from service.kit.settings import Settings

# mlflow's own dependencies warn; ours do not get to.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
KINDS = ("sarcasm", "threat", "flattery", "boast", "gossip")
HEADLINE = "pass for form and figures; no judge model looked at meaning (5 kinds)"


@pytest.fixture
def local(tmp_path):
    """Settings of stage `local`, and a store in which `loud` has passed; only a judge could see five kinds of harm."""
    task = ThrowAway(tmp_path)
    suite = tmp_path / "suites" / "shout.py"
    kinds = "".join(f'JudgedKind(name="{name}", description="{name} in a shout"), ' for name in KINDS)
    text = suite.read_text(encoding="utf-8").replace("judged_only=()", f"judged_only=({kinds})")
    suite.write_text(text.replace("import Floor,", "import Floor, JudgedKind,"), encoding="utf-8")
    settings = Settings(
        root=tmp_path,
        state_dir=tmp_path / "state",
        registry_uri=f"sqlite:///{tmp_path}/mlflow/mlflow.db",
        registry_refresh_s=0.2,
        required_tasks=("shout",),
    )
    evaluate(Options(task="shout", pairs=("loud",)), settings)
    yield settings
    task.remove()


def in_prod(settings, **more):
    return settings.model_copy(update={"stage": "prod", **more})


def served(settings):
    source = RegistryPairSource("shout", settings)
    source.refresh()
    return source.current()


def shown(settings):
    """What the running service tells an operator."""
    with TestClient(create_app(settings)) as client:
        token = {"authorization": f"Bearer {local_token(settings).text}"}
        for _ in range(200):
            pairs = client.get("/v1/pairs", headers=token).json()["pairs"]
            if pairs:
                return pairs[0]
            time.sleep(0.05)
    raise AssertionError("the service serves no pair")


def judged(monkeypatch, *kinds):
    """A judge that is licensed for ``kinds`` takes part in every evaluation from here on."""
    real = evaluation_module.judge_answers
    note = JudgeNote(
        rubric="tone", digest="d" * 64, model="m", answered_by="m", status="licensed", gates=True, kinds=kinds
    )

    def judge_answers(*arguments, **options):
        graded = real(*arguments, **options)
        spec = JudgeSpec(rubric="tone", bad_kinds=(), reason="r", floor=0.5, kinds=kinds)
        suite = replace(graded.suite, judges=(*graded.suite.judges, spec), declared_digest=graded.suite.digest)
        return replace(graded, suite=suite, notes=(*graded.notes, note))

    monkeypatch.setattr(evaluation_module, "judge_answers", judge_answers)


def test_in_local_the_promotion_goes_on_and_everybody_is_told(local, capsys):
    said = []
    assert promote_pair("shout", "loud", "first", local, said.append).unseen_allowed_in is None
    named = f"no judge model looked at meaning (5 kinds): {', '.join(KINDS)}"
    assert said == [f"note: {named}. Stage 'local' takes such evidence; test and prod refuse it"]
    (row,) = Audit("shout", local).history()
    assert (row.attestation.headline, row.although) == (HEADLINE, "although no judge model looked at meaning (5 kinds)")
    evidence = shown(local)["evidence"]
    assert (evidence["headline"], evidence["unseen"], evidence["looked_at"]) == (HEADLINE, list(KINDS), [])
    (run,) = Tracking(local.registry.uri)._client.search_runs(["1"])
    assert (run.data.tags["omni.verdict"], run.data.tags["omni.headline"]) == ("pass", HEADLINE)
    assert run.data.tags["omni.unseen"] == ", ".join(KINDS)


@pytest.mark.acceptance("promise-12")
def test_prod_refuses_to_promote_to_roll_out_and_to_serve_it(local):
    with pytest.raises(Refused) as caught:
        promote_pair("shout", "loud", "first", in_prod(local))
    for words in (", ".join(KINDS), "stage 'prod'", "--without-judge", "No judge of the suite of"):
        assert words in str(caught.value)
    assert Audit("shout", local).history() == []

    promote_pair("shout", "loud", "first", local)  # another machine, under a laxer policy
    with pytest.raises(RegistryError, match=r"is for stage 'local', and this service is in stage 'prod'"):
        served(in_prod(local))
    assert served(local).sequence == 1
    # The pair that a laxer service kept on this disk is no way round it.
    with pytest.raises(RegistryError, match="the last known good release is for stage 'local'"):
        RegistryPairSource("shout", in_prod(local)).current()
    problems = [item.problem for item in Audit("shout", in_prod(local)).items() if item.problem]
    assert len(problems) == 1
    assert "services refuse it: release 1 is for stage 'local', and this service is in stage 'prod'" in problems[0]
    with pytest.raises(Refused, match="stage 'prod'"):
        roll_back("shout", "again", 1, in_prod(local))

    _next_version(local)
    with pytest.raises(Refused, match="stage 'prod'"):
        advance_rollout("shout", "loud", "some", in_prod(local))
    advance_rollout("shout", "loud", "some", local, steps=(50, 100))
    with pytest.raises(RegistryError, match=r"rollout step 1 .* is for stage 'local'"):
        fetch_candidate("shout", in_prod(local))


def test_a_demo_is_released_to_local_alone(local):
    path = local.prompts_dir / "shout" / "loud.prompty"
    path.write_text(path.read_text().replace("task: shout", "task: shout\nrole: demo"), encoding="utf-8")
    with pytest.raises(Refused, match="loud is a demo, and stage 'dev' serves none"):
        promote_pair("shout", "loud", "first", local.model_copy(update={"stage": "dev"}))
    promote_pair("shout", "loud", "first", local)
    _next_version(local, role="demo")
    with pytest.raises(Refused, match="loud is a demo"):
        advance_rollout("shout", "loud", "some", local.model_copy(update={"stage": "dev"}))


@pytest.mark.acceptance("promise-12")
def test_an_exception_is_signed_shown_and_served_in_its_stage(local, monkeypatch, capsys):
    allowing = in_prod(local, release_unseen="allow")
    said = []
    assert promote_pair("shout", "loud", "the outage", allowing, said.append).unseen_allowed_in == "prod"
    assert "The exception for stage 'prod' is signed into the release" in said[0]
    assert served(in_prod(local)).sequence == 1
    found = shown(in_prod(local))
    assert (found["release"]["unseen_allowed_in"], found["evidence"]["headline"]) == ("prod", HEADLINE)
    with pytest.raises(RegistryError, match="is for stage 'prod', and this service is in stage 'test'"):
        served(in_prod(local, stage="test"))
    assert [item.problem for item in Audit("shout", in_prod(local)).items() if item.problem] == []
    monkeypatch.setenv("OMNI_STATE_DIR", str(local.state_dir))
    monkeypatch.setenv("OMNI_REGISTRY_URI", local.registry.uri)
    capsys.readouterr()
    history("shout")
    assert (
        "released although no judge model looked at meaning (5 kinds), "
        f"an exception signed for stage 'prod': without a judge, until {datetime.now(UTC).date() + timedelta(days=14)}: "
        "OMNI_RELEASE_UNSEEN=allow" in capsys.readouterr().out
    )

    _next_version(local)
    assert advance_rollout("shout", "loud", "some", allowing, steps=(50, 100)).unseen_allowed_in == "prod"
    assert fetch_candidate("shout", in_prod(local)).rollout.percent == 50
    promote_pair("shout", "loud", "better", allowing)
    back = roll_back("shout", "worse", None, in_prod(local))  # what was allowed once may come back in an emergency
    assert (back.sequence, back.unseen_allowed_in, served(in_prod(local)).sequence) == (3, "prod", 3)


def test_a_reason_to_release_without_a_judge_is_signed_and_shown(local, capsys, monkeypatch):
    prod, why = in_prod(local), "the judge's provider is down, and the old pair promises refunds"
    today = datetime.now(UTC).date()
    allowed = Waiver.asked_for(why, "Maria Oduya", str(today + timedelta(days=3)), today)
    by = Releaser.of({"CI": "true", "GITHUB_ACTOR": "maria"}, pull_request="#17")
    release = promote_pair("shout", "loud", "first", prod, [].append, by=by, without_judge=allowed)
    assert (release.unseen_allowed_in, release.without_judge, release.stage) == ("prod", why, "prod")
    assert (release.who, release.approved_by, release.pull_request) == ("maria", "maria", "17")
    assert (release.without_judge_by, release.without_judge_until) == ("Maria Oduya", str(today + timedelta(days=3)))
    facts = shown(prod)["release"]
    assert (facts["without_judge"], facts["without_judge_by"], facts["exception_over"]) == (why, "Maria Oduya", False)
    assert served(prod).sequence == 1
    monkeypatch.setenv("OMNI_STATE_DIR", str(local.state_dir))
    monkeypatch.setenv("OMNI_REGISTRY_URI", local.registry.uri)
    capsys.readouterr()
    history("shout")
    said = capsys.readouterr().out
    assert "maria, pull request 17: first" in said
    signed = f"without a judge, allowed by Maria Oduya, until {today + timedelta(days=3)}: {why}"
    assert f"an exception signed for stage 'prod': {signed}" in said
    assert f"{today.year}: 1 release without a licensed judge" in said
    ledger = Ledger.open("shout", prod)
    message = message_of(ledger.releases()[0], ledger)
    assert message.record.why == f"first ({signed})"
    _next_version(local)
    assert advance_rollout("shout", "loud", "some", prod, without_judge=allowed).without_judge_by == "Maria Oduya"


def test_under_an_exception_that_ran_out_production_goes_on_and_nothing_new_is_released(local, tmp_path):
    clock = tmp_path / "clock"
    prod = in_prod(local, clock_file=clock)
    now = datetime.now(UTC)

    def allowed(days):
        today = (now + timedelta(days=days)).date()
        return Waiver.asked_for("no judge yet", "Maria Oduya", str(today + timedelta(days=2)), today)

    promote_pair("shout", "loud", "first", in_prod(local), [].append, without_judge=allowed(0))
    assert not shown(in_prod(local))["release"]["exception_over"]
    clock.write_text((now + timedelta(days=3)).isoformat(), encoding="utf-8")
    assert served(prod).sequence == 1
    (row,) = Audit("shout", prod).history()
    assert "RAN OUT on" in row.although
    _next_version(local)
    with pytest.raises(
        Refused, match=r"release 1 runs without a judge, allowed by Maria Oduya, RAN OUT on .*calibrate"
    ):
        promote_pair("shout", "loud", "second", prod, [].append, without_judge=allowed(3))
    with pytest.raises(Refused, match="RAN OUT on"):
        advance_rollout("shout", "loud", "some", prod, without_judge=allowed(3))


def test_a_licensed_judge_makes_the_verdict_plain_and_prod_takes_it(local, monkeypatch):
    promote_pair("shout", "loud", "first", local)
    judged(monkeypatch, *KINDS[:3])
    pair = evaluate(Options(task="shout", pairs=("loud",)), local).evaluation.pairs[0]
    assert pair.gate.headline == "pass; no judge model looked at boast, gossip"
    with pytest.raises(Refused, match="no judge model looked at boast, gossip"):
        promote_pair("shout", "loud", "again", in_prod(local))
    judged(monkeypatch, *KINDS)
    assert evaluate(Options(task="shout", pairs=("loud",)), local).evaluation.pairs[0].gate.headline == "pass"
    # The same pair, promoted again, because services of this stage refuse the evidence that it is in production on.
    said = []
    assert promote_pair("shout", "loud", "a judge has looked", in_prod(local), said.append).sequence == 2
    assert (said, served(in_prod(local)).sequence) == ([], 2)
    with pytest.raises(Refused, match="in production already"):
        promote_pair("shout", "loud", "once more", in_prod(local))


def _next_version(settings, role="candidate"):
    path = settings.prompts_dir / "shout" / "loud.prompty"
    path.write_text(ThrowAway.pair("loud", "local.shout-v1", version="1.1.0"), encoding="utf-8")
    text = (
        path.read_text(encoding="utf-8")
        .replace("Shout what", "Please shout what")
        .replace("task: shout", f"task: shout\nrole: {role}")
    )
    path.write_text(text, encoding="utf-8")
    evaluate(Options(task="shout", pairs=("loud",)), settings)
