"""What a service takes: releases for its own stage, on evidence that counts there; older statements as before."""

from pathlib import Path

import pytest
from builders import make_pair
from notary import Notary

from service.core.release.release import attestation_tag
from service.core.release.statements import TrustedKeys, envelope_digest, load_trusted_keys
from service.core.release.unseen import UnseenPolicy
from service.core.release.verification import verify_tags
from service.kit.frame.errors import ConfigurationError, RegistryError

PAIR = make_pair(system="About <history>.")


def verify(notary, stage, *, released_for=None, environment="local", **evidence):
    attestation = notary.attestation(PAIR, **evidence)
    named = envelope_digest(notary.sign(attestation), "it")
    release = notary.release(PAIR, attestation=named, stage=released_for)
    return verify_tags(
        notary.tags(PAIR, release=release, attestation=attestation),
        task="demo",
        version=3,
        pair_digest=PAIR.digest,
        environment=environment,
        keys=notary.keys,
        policy=UnseenPolicy(stage=stage, takes=True),
    )


@pytest.mark.parametrize("origin", ["provider", "endpoint", "code"])
def test_evidence_of_a_model_or_of_code_counts_in_every_stage(notary, origin):
    assert verify(notary, "prod", released_for="prod", origins=(origin,), environment="aws")


def test_a_stand_ins_evidence_counts_in_local_alone_whoever_released_it(notary):
    assert verify(notary, "local", released_for="local", origins=("code", "stand-in"))
    with pytest.raises(RegistryError, match=r"a stand-in answered .* such evidence releases to stage 'local' alone"):
        verify(notary, "prod", released_for="prod", origins=("code", "stand-in"))


def test_evidence_that_does_not_say_what_answered_is_not_relabelled(notary):
    with pytest.raises(RegistryError, match="does not say what answered"):
        verify(notary, "prod", released_for="prod")


def test_a_release_serves_its_own_stage(notary):
    with pytest.raises(RegistryError, match="is for stage 'test', and this service is in stage 'prod'"):
        verify(notary, "prod", released_for="test", origins=("provider",))


def test_an_older_release_serves_its_environment(notary):
    assert verify(notary, "prod").release.stage is None
    with pytest.raises(RegistryError, match="is for 'local', where its evidence is from; this service runs in 'aws'"):
        verify(notary, "prod", environment="aws")


def test_a_key_for_evidence_releases_nothing(notary):
    other = Notary()
    attestation = notary.attestation(PAIR)
    envelope = other.sign(attestation)
    release = notary.release(PAIR, attestation=envelope_digest(envelope, "it"))
    tags = {release.tag: notary.sign(release), attestation_tag(release.attestation): envelope}
    where = {"task": "demo", "version": 3, "pair_digest": PAIR.digest, "environment": "local", "policy": None}
    with pytest.raises(RegistryError, match=r"gate attestation of .* not by a key trusted"):
        verify_tags(tags, keys=notary.keys, **where)
    both = TrustedKeys(path=notary.keys.path, keys=notary.keys.keys, evidence=other.keys.keys)
    assert verify_tags(tags, keys=both, **where).attestation == attestation
    with pytest.raises(RegistryError, match=r"release 1 of .* not by a key trusted"):
        verify_tags(tags | {release.tag: other.sign(release)}, keys=both, **where)


def test_keys_for_evidence_lie_beside_the_trusted_ones(notary, tmp_path):
    other = Notary()
    (tmp_path / "trusted.pem").write_text(notary.public_pem())
    assert load_trusted_keys(tmp_path / "trusted.pem").evidence == {}
    (tmp_path / "trusted.evidence.pem").write_text(other.public_pem())
    found = load_trusted_keys(tmp_path / "trusted.pem")
    assert (set(found.keys), set(found.evidence)) == (set(notary.keys.keys), set(other.keys.keys))


def test_an_empty_setting_of_trusted_keys_is_refused_by_name():
    with pytest.raises(ConfigurationError, match="set OMNI_TRUSTED_KEYS to a file of PEM public keys"):
        load_trusted_keys(Path())
