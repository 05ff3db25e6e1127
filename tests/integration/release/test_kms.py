"""Statements signed by a KMS that really signs: the local AWS's."""

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from eval.release.signing import open_signer, sign_statement
from service.core.release.statements import build_statement, load_trusted_keys, read_statement
from service.kit.aws.clients import client

pytestmark = pytest.mark.slow


@pytest.fixture
def settings(local_aws, tmp_path):
    return local_aws(trusted_keys=tmp_path / "trusted.pem")


def test_what_kms_signed_verifies_with_the_public_half_alone(settings):
    kms = client("kms", settings)
    key = kms.create_key(KeySpec="ECC_NIST_EDWARDS25519", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
    public = load_der_public_key(kms.get_public_key(KeyId=key)["PublicKey"])
    kms.close()
    settings.release.trusted_keys.write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    signer = open_signer(settings.model_copy(update={"signing_kms_key": key}))
    text = sign_statement(signer, build_statement("demo/p", "d" * 64, "https://example.test/v1", {"why": "x" * 3000}))
    found = read_statement(
        text, keys=load_trusted_keys(settings.release.trusted_keys), predicate_type="https://example.test/v1", what="it"
    )
    assert found.predicate == {"why": "x" * 3000}
