import base64
import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from builders import make_pair
from hypothesis import given
from hypothesis import strategies as st
from notary import Notary

from eval.release.signing import sign_statement
from service.core.release.registry_record import to_registry
from service.core.release.registry_version import verify_candidate
from service.core.release.release import DIGEST_TAG, attestation_tag
from service.core.release.rollout import Rollout, read_rollout, verify_rollout
from service.core.release.statements import PAYLOAD_TYPE, envelope_digest
from service.core.release.unseen import UnseenPolicy
from service.kit.frame.errors import RegistryError

PRODUCTION = "p" * 64
LOCAL = UnseenPolicy(stage="local", takes=True)
PROD = UnseenPolicy(stage="prod", takes=False)

PAIR = make_pair(system="Summarise <history>.")


def step(pair=None, **changes):
    pair = pair or PAIR
    fields = {
        "task": "demo",
        "sequence": 4,
        "registry_version": 3,
        "pair_name": pair.name,
        "pair_digest": pair.digest,
        "production_digest": PRODUCTION,
        "percent": 25,
        "shadow_percent": 0,
        "steps": (10, 25, 100),
        "gate_run_id": "r",
        "attestation": "a" * 64,
        "who": "me",
        "why": "because",
        "at": "2026-11-21T00:00:00+00:00",
        "environment": "local",
    }
    return Rollout(**fields | changes)


def tags(notary, rollout=None, pair=None, **evidence):
    pair = pair or PAIR
    envelope = notary.sign(notary.attestation(pair, baseline_digest=PRODUCTION, **evidence))
    rollout = replace(rollout or step(pair), attestation=envelope_digest(envelope, "it"))
    return {
        DIGEST_TAG: pair.digest,
        rollout.tag: notary.sign(rollout),
        attestation_tag(rollout.attestation): envelope,
    }


def verify(notary, found, *, version=3, environment="local", policy=LOCAL):
    return verify_rollout(
        found,
        task="demo",
        version=version,
        pair_digest=PAIR.digest,
        environment=environment,
        keys=notary.keys,
        policy=policy,
    )


def test_a_signed_step_reads_back_equal(notary):
    assert read_rollout(notary.sign(step()), notary.keys, "it") == step()


def test_a_step_with_valid_evidence_verifies(notary):
    assert verify(notary, tags(notary)).percent == 25
    assert verify(notary, {}) is None


def test_a_step_on_what_nobody_looked_at_needs_its_stages_exception(notary):
    with pytest.raises(
        RegistryError, match=r"rollout step 4 .* is not taken in stage 'prod': no judge model looked at negation"
    ):
        verify(notary, tags(notary, unseen=("negation",)), policy=PROD)
    with pytest.raises(RegistryError, match="stage 'prod'"):
        verify(notary, tags(notary, step(unseen_allowed_in="test"), unseen=("negation",)), policy=PROD)
    allowed = tags(notary, step(unseen_allowed_in="prod"), unseen=("negation",))
    assert verify(notary, allowed, policy=PROD).unseen_allowed_in == "prod"
    assert verify(notary, tags(notary, unseen=("negation",)), policy=LOCAL).percent == 25
    assert verify(notary, tags(notary, step(percent=0), unseen=("negation",)), policy=PROD).percent == 0


def test_a_step_signed_before_exceptions_were_recorded_reads_back(notary):
    statement = step().statement()
    del statement["predicate"]["unseen_allowed_in"]
    assert read_rollout(sign_statement(notary.signer, statement), notary.keys, "it") == step()


@pytest.mark.parametrize(
    ("evidence", "message"),
    [
        ({"verdict": "fail"}, "verdict was 'fail'"),
        ({"verdict": "inconclusive"}, "verdict was 'inconclusive'"),
        ({"scope": "other"}, "on 'dev'"),
        ({"environment": "aws"}, "evidence is from 'aws'"),
        ({"expires_at": datetime(2026, 11, 20, 12, tzinfo=UTC)}, "outside its attestation's time"),
        ({"issued_at": datetime(2026, 11, 22, tzinfo=UTC)}, "outside its attestation's time"),
    ],
)
def test_a_step_without_evidence_is_refused(notary, evidence, message):
    with pytest.raises(RegistryError, match=message):
        verify(notary, tags(notary, **evidence))


def test_a_candidate_that_was_compared_with_something_else_is_refused(notary):
    with pytest.raises(RegistryError, match="not compared with the pair"):
        verify(notary, tags(notary, step(production_digest="q" * 64)))


def test_a_step_is_bound_to_version_pair_environment_and_name(notary):
    found = tags(notary)
    with pytest.raises(RegistryError, match="another pair or version"):
        verify(notary, found, version=4)
    with pytest.raises(RegistryError, match="another pair or version"):
        verify(notary, tags(notary, pair=make_pair(system="Other <history>.")))
    with pytest.raises(RegistryError, match="is for 'local'"):
        verify(notary, found, environment="aws")
    with pytest.raises(RegistryError, match="not by a key trusted"):
        verify(Notary(), found)
    copied = dict(found)
    copied["omni.rollout.000009"] = copied.pop("omni.rollout.000004")
    with pytest.raises(RegistryError, match="a copy of step 4"):
        verify(notary, copied)


def test_a_step_that_was_changed_after_it_was_signed_is_refused(notary):
    found = tags(notary)
    (tag,) = (name for name in found if name.startswith("omni.rollout."))
    envelope = json.loads(found[tag])
    payload = base64.b64decode(envelope["payload"]).replace(b'"percent":25', b'"percent":99')
    envelope["payload"] = base64.b64encode(payload).decode()
    assert json.dumps(envelope) != found[tag]
    with pytest.raises(RegistryError, match="changed after it was signed"):
        verify(notary, {**found, tag: json.dumps(envelope)})


def test_a_removed_attestation_is_missed(notary):
    found = {name: text for name, text in tags(notary).items() if not name.startswith("omni.attestation")}
    with pytest.raises(RegistryError, match="no gate attestation"):
        verify(notary, found)


def test_the_end_of_a_rollout_needs_no_evidence(notary):
    end = step(percent=0)
    assert verify(notary, {end.tag: notary.sign(end)}) == end


def test_a_share_outside_of_0_to_100_is_no_step(notary):
    with pytest.raises(RegistryError, match="percent"):
        read_rollout(notary.sign(step(percent=101)), notary.keys, "it")


def test_a_version_with_changed_content_is_no_candidate(notary):
    from types import SimpleNamespace

    template, config = to_registry(PAIR)
    found = SimpleNamespace(version=3, template=template, model_config=config, tags=tags(notary))
    served = verify_candidate("demo", found, "local", notary.keys, LOCAL).served
    assert (served.pair, json.loads(served.attestation_envelope)["payloadType"]) == (PAIR, PAYLOAD_TYPE)
    found.template[0]["content"] += " Promise a refund."
    with pytest.raises(RegistryError, match="changed after it was registered"):
        verify_candidate("demo", found, "local", notary.keys, LOCAL)
    bare = SimpleNamespace(
        version=3,
        template=to_registry(PAIR)[0],
        model_config=config,
        tags={DIGEST_TAG: PAIR.digest},
    )
    with pytest.raises(RegistryError, match="moved by hand"):
        verify_candidate("demo", bare, "local", notary.keys, LOCAL)


accounts = st.text(st.characters(codec="ascii", categories=["Nd"]), min_size=4, max_size=12)


@given(accounts, st.integers(0, 100), st.integers(0, 100))
def test_a_customer_of_a_smaller_step_stays_in_a_larger_one(account, one, other):
    small, large = sorted((one, other))
    assert step(percent=large).serves(account) or not step(percent=small).serves(account)


@given(accounts)
def test_zero_percent_serves_none_and_a_hundred_serves_all(account):
    assert not step(percent=0).serves(account)
    assert step(percent=100).serves(account)
    assert not step(percent=100, shadow_percent=100).shadows(account)
    assert step(percent=0, shadow_percent=100).shadows(account)


@pytest.mark.parametrize("percent", [1, 10, 25, 50])
def test_the_share_is_met_and_shadows_are_independent_of_it(percent):
    units = [f"{number:010d}" for number in range(20_000)]
    rollout = step(percent=percent, shadow_percent=20)
    served = sum(map(rollout.serves, units))
    # Four standard deviations of a binomial share.
    assert abs(served - 200 * percent) < 4 * (20_000 * percent / 100 * (1 - percent / 100)) ** 0.5
    shadowed = sum(map(rollout.shadows, units))
    assert abs(shadowed / (20_000 - served) - 0.2) < 0.015


def test_another_candidate_meets_other_customers():
    units = [f"{number:010d}" for number in range(5000)]
    other = step(make_pair(system="Other <history>."))
    both = sum(step().serves(unit) and other.serves(unit) for unit in units)
    assert abs(both / 5000 - 0.0625) < 0.015
