"""Statements signed by a KMS that really signs: the local AWS's."""

import socket

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from eval.signing import open_signer, sign_statement
from service.aws import client
from service.local import aws
from service.settings import Settings
from service.statements import build_statement, load_trusted_keys, read_statement

pytestmark = pytest.mark.slow
pytest.importorskip("ministack", reason="the local AWS is a development dependency: make install")


@pytest.fixture
def settings(tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    base = Settings(
        state_dir=tmp_path / "omni", local_aws_port=port, store_timeout_s=10.0, trusted_keys=tmp_path / "trusted.pem"
    )
    base = base.model_copy(update={"aws_endpoint": aws.endpoint(base)})
    try:
        aws.start(base)
        yield base
    finally:
        aws.ministack(base).stop()


def test_what_kms_signed_verifies_with_the_public_half_alone(settings):
    kms = client("kms", settings)
    key = kms.create_key(KeySpec="ECC_NIST_EDWARDS25519", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
    public = load_der_public_key(kms.get_public_key(KeyId=key)["PublicKey"])
    kms.close()
    settings.trusted_keys.write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    signer = open_signer(settings.model_copy(update={"signing_kms_key": key}))
    text = sign_statement(signer, build_statement("demo/p", "d" * 64, "https://example.test/v1", {"why": "x" * 3000}))
    found = read_statement(
        text, keys=load_trusted_keys(settings.trusted_keys), predicate_type="https://example.test/v1", what="it"
    )
    assert found.predicate == {"why": "x" * 3000}
