"""What nobody looked at: its wording, and which stages take it."""

import base64
import json
from dataclasses import replace

import pytest
from builders import gate_attestation, make_pair

from eval.release.signing import MAX_SIGNED_BYTES
from eval.suites import load_suite
from service.core.release.attestation import read_attestation
from service.core.release.statements import envelope_digest
from service.core.release.unseen import ReadSentences, UnseenPolicy, unseen_in_full, unseen_text, verdict_headline
from service.core.release.verification import verify_tags
from service.core.run.task import task_names
from service.kit.frame.canonical import canonical_json
from service.kit.frame.errors import RegistryError
from service.kit.settings import Settings

PAIR = make_pair()
MANY = ("negation", "roles_swapped", "wrong_matter", "cause_changed", "mood_invented")
PROD = UnseenPolicy(stage="prod", takes=False)


@pytest.mark.parametrize(
    ("verdict", "unseen", "looked_at", "text"),
    [
        ("pass", (), (), "pass"),
        ("pass", (), MANY, "pass"),
        ("pass", MANY, (), "pass for form and figures; no judge model looked at meaning (5 kinds)"),
        ("pass", MANY[:2], MANY[2:], "pass; no judge model looked at negation, roles_swapped"),
        ("pass", MANY[:4], (), "pass; no judge model looked at negation, roles_swapped, wrong_matter, cause_changed"),
        ("pass", None, (), "pass for form and figures; whether anybody looked at meaning is not stated"),
        ("fail", (), (), "fail"),
        ("fail", MANY, (), "fail. No judge model looked at meaning (5 kinds)"),
        ("inconclusive", MANY[:1], MANY[1:], "inconclusive. No judge model looked at negation"),
        ("fail", None, (), "fail. Whether anybody looked at meaning is not stated"),
    ],
)
@pytest.mark.acceptance("promise-12")
def test_the_headline_says_what_nobody_looked_at(verdict, unseen, looked_at, text):
    assert verdict_headline(verdict, unseen, looked_at) == text


@pytest.mark.parametrize(
    ("accounted", "read", "high", "headline", "refused"),
    [
        (100, 0, 0.06, "pass", False),
        (29, 0, 0.80, "pass for form and figures; 71% of sentences read by nobody", True),
        (29, 70, 0.05, "pass; 1% of sentences read by nobody", False),
        (29, 70, 0.051, "pass for form and figures; 1% of sentences read by nobody", True),
    ],
)
def test_a_pass_over_unread_sentences_is_never_bare_and_prod_bounds_them(
    notary, accounted, read, high, headline, refused
):
    found = ReadSentences(sentences=100, accounted=accounted, read=read, unsupported=0, unread_high=high)
    assert verdict_headline("pass", (), (), found) == headline
    assert PROD.refuses((), None, found) is refused
    assert not PROD.refuses((), "prod", found)
    told = tags(notary, unseen=(), sentences=found)
    if refused:
        with pytest.raises(RegistryError, match="of sentences read by nobody"):
            verify(told, notary, PROD)
    else:
        assert verify(told, notary, PROD).attestation.sentences == found


def test_in_full_every_kind_is_named_once():
    assert unseen_in_full(MANY) == f"no judge model looked at meaning (5 kinds): {', '.join(MANY)}"
    assert unseen_in_full(MANY[:2]) == unseen_text(MANY[:2]) == "no judge model looked at negation, roles_swapped"
    assert (unseen_in_full(()), unseen_in_full(None)) == ("", "whether anybody looked at meaning is not stated")


@pytest.mark.parametrize(
    ("given", "stage", "takes"),
    [
        ({}, "local", True),
        ({"environment": "aws"}, "prod", False),
        ({"environment": "aws", "stage": "dev"}, "dev", True),
        ({"environment": "aws", "stage": "test"}, "test", False),
        ({"stage": "prod"}, "prod", False),
        ({"stage": "prod", "release_unseen": "allow"}, "prod", True),
        ({"release_unseen": "refuse"}, "local", False),
    ],
)
def test_the_stage_decides_unless_the_setting_does(given, stage, takes):
    assert UnseenPolicy.of(Settings(**given)) == UnseenPolicy(stage=stage, takes=takes)


def test_both_settings_are_read_from_the_environment(monkeypatch):
    monkeypatch.setenv("OMNI_STAGE", "test")
    monkeypatch.setenv("OMNI_RELEASE_UNSEEN", "allow")
    assert UnseenPolicy.of(Settings()) == UnseenPolicy(stage="test", takes=True)


def test_an_exception_is_signed_only_where_the_stage_refuses_by_default():
    takes = {"takes": True}
    assert UnseenPolicy(stage="prod", **takes).exception_for(MANY) == "prod"
    assert UnseenPolicy(stage="test", **takes).exception_for(None) == "test"
    assert UnseenPolicy(stage="local", **takes).exception_for(MANY) is None
    assert UnseenPolicy(stage="prod", **takes).exception_for(()) is None


def tags(notary, allowed_in=None, **evidence):
    """Tags of a version that was released on an attestation with ``evidence``."""
    attestation = notary.attestation(PAIR, **evidence)
    digest = envelope_digest(notary.sign(attestation), "it")
    release = notary.release(PAIR, attestation=digest, unseen_allowed_in=allowed_in)
    return notary.tags(PAIR, release=release, attestation=attestation)


def verify(found, notary, policy):
    where = {"task": "demo", "version": 3, "pair_digest": PAIR.digest, "environment": "local"}
    return verify_tags(found, **where, keys=notary.keys, policy=policy)


def test_a_service_in_prod_refuses_what_nobody_looked_at_and_names_kinds_and_remedy(notary):
    found = tags(notary, unseen=MANY)
    with pytest.raises(RegistryError) as caught:
        verify(found, notary, PROD)
    for words in (
        "release 1 of version 3",
        "stage 'prod'",
        ", ".join(MANY),
        "omni calibrate",
        "--without-judge",
    ):
        assert words in str(caught.value)
    assert verify(found, notary, UnseenPolicy(stage="dev", takes=True)).attestation.unseen == MANY
    assert verify(found, notary, None).attestation.unseen == MANY


def test_evidence_that_does_not_state_it_counts_as_all_unseen(notary):
    with pytest.raises(RegistryError, match="whether anybody looked at meaning is not stated"):
        verify(tags(notary, unseen=None), notary, PROD)


def test_where_a_judge_looked_at_every_kind_prod_serves(notary):
    assert verify(tags(notary, unseen=(), looked_at=MANY), notary, PROD).attestation.headline == "pass"


def test_an_exception_counts_in_its_own_stage_alone(notary):
    found = tags(notary, allowed_in="test", unseen=MANY)
    assert verify(found, notary, replace(PROD, stage="test")).release.unseen_allowed_in == "test"
    with pytest.raises(RegistryError, match="stage 'prod'"):
        verify(found, notary, PROD)
    assert verify(tags(notary, allowed_in="prod", unseen=MANY), notary, PROD).release.sequence == 1


def _changed(envelope, old, new):
    parts = json.loads(envelope)
    payload = base64.b64decode(parts["payload"])
    assert old in payload
    parts["payload"] = base64.b64encode(payload.replace(old, new)).decode()
    return canonical_json(parts)


def test_an_exception_written_into_a_signed_release_is_refused(notary):
    found = tags(notary, unseen=MANY)
    name = "omni.release.000001"
    found[name] = _changed(found[name], b'"unseen_allowed_in":null', b'"unseen_allowed_in":"prod"')
    with pytest.raises(RegistryError, match="changed after it was signed"):
        verify(found, notary, PROD)


def test_kinds_taken_out_of_signed_evidence_are_missed(notary):
    found = tags(notary, unseen=("negation",))
    name = next(tag for tag in found if tag.startswith("omni.attestation."))
    found[name] = _changed(found[name], b'"unseen":["negation"]', b'"unseen":[]')
    with pytest.raises(RegistryError, match="changed after it was signed"):
        verify(found, notary, PROD)


def test_better_evidence_in_the_place_of_the_released_one_is_refused(notary):
    found = tags(notary, unseen=MANY)
    name = next(tag for tag in found if tag.startswith("omni.attestation."))
    found[name] = notary.sign(notary.attestation(PAIR, unseen=()))
    with pytest.raises(RegistryError, match="is not the one it was released on"):
        verify(found, notary, PROD)


def test_a_stage_that_does_not_exist_is_no_exception(notary):
    with pytest.raises(RegistryError, match=r"wrong fields \(unseen_allowed_in"):
        verify(tags(notary, allowed_in="anywhere", unseen=MANY), notary, PROD)


@pytest.mark.parametrize("task", task_names())
def test_an_attestation_with_every_kind_is_small_enough_to_be_signed(notary, task):
    names = tuple(kind.name for kind in load_suite(task).judged_only)
    large = gate_attestation(
        task=task,
        pair_name="p" * 60,
        judges=("j" * 64,) * 4,
        answered_by=("SmolLM2-135M-Instruct-Q4_1", "us.anthropic.claude-haiku-4-5-20251001-v1:0") * 2,
        code_version="c" * 46,
        baseline_digest="b" * 64,
        evaluation_id="20261122-103032-3252",
        unseen=names,
    )
    envelope = notary.sign(large)
    assert len(base64.b64decode(json.loads(envelope)["payload"])) < MAX_SIGNED_BYTES * 0.8
    assert read_attestation(envelope, notary.keys, "it")[0] == large
