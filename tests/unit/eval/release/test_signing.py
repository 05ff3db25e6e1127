import hashlib
import json
import subprocess
import sys

import boto3
import pytest
from botocore.config import Config
from botocore.stub import ANY, Stubber
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from eval.release.signing import MAX_SIGNED_BYTES, KmsSigner, open_signer, sign_statement, signer_to_release
from eval.spine.errors import SigningError
from service.core.release.statements import TrustedKeys, build_statement, load_trusted_keys, read_statement
from service.kit.frame.errors import ConfigurationError, RegistryError
from service.kit.settings import Settings

TYPE = "https://example.test/v1"


@pytest.fixture
def settings(tmp_path):
    return Settings(state_dir=tmp_path / "state")


def statement(**predicate):
    return build_statement("demo/p", "d" * 64, TYPE, predicate)


def read(text, keys):
    return read_statement(text, keys=keys, predicate_type=TYPE, what="it")


def private_pem(key):
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def test_first_use_makes_a_key_that_only_its_owner_reads_and_says_where(settings, capsys):
    signer = open_signer(settings)
    said = capsys.readouterr()
    path = settings.keys_dir / "signing.pem"
    assert (said.out, said.err.count("\n"), str(path) in said.err) == ("", 1, True)
    assert path.stat().st_mode & 0o777 == 0o600
    secret = path.read_text(encoding="utf-8").splitlines()[1]
    assert secret not in said.err
    assert open_signer(settings).public_key.keyid == signer.public_key.keyid
    assert capsys.readouterr().err == ""
    trusted = load_trusted_keys(settings.trusted_keys_file)
    assert read(sign_statement(signer, statement(a=1)), trusted).predicate == {"a": 1}


def test_the_key_id_is_what_openssl_prints(notary):
    der = notary.private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert list(notary.keys.keys) == [hashlib.sha256(der).hexdigest()]


def test_a_replaced_key_stays_trusted_for_what_it_signed(settings):
    old = sign_statement(open_signer(settings), statement(a=1))
    (settings.keys_dir / "signing.pem").unlink()
    new = sign_statement(open_signer(settings), statement(a=2))
    trusted = load_trusted_keys(settings.trusted_keys_file)
    assert len(trusted.keys) == 2
    assert [read(text, trusted).predicate["a"] for text in (old, new)] == [1, 2]


def test_two_first_uses_at_once_make_one_key(settings):
    code = (
        "from eval.release.signing import open_signer\nfrom service.kit.settings import Settings\n"
        "print(open_signer(Settings()).public_key.keyid)"
    )
    children = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env={"OMNI_STATE_DIR": str(settings.state_dir), "PATH": ""},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    answers = [child.communicate() for child in children]
    assert len({out for out, _ in answers}) == 1, answers
    assert len(load_trusted_keys(settings.trusted_keys_file).keys) == 1


def test_a_key_file_that_is_wrong_is_named(settings, tmp_path, notary):
    path = tmp_path / "key.pem"
    chosen = settings.model_copy(update={"signing_key_file": path})
    with pytest.raises(SigningError, match=r"key\.pem cannot be read \(FileNotFoundError\)"):
        open_signer(chosen)
    path.write_text(notary.private_pem(), encoding="utf-8")
    path.chmod(0o640)
    with pytest.raises(SigningError, match=r"others may read .* run `chmod 600"):
        open_signer(chosen)
    path.chmod(0o600)
    assert open_signer(chosen).public_key.keyid == notary.signer.public_key.keyid
    path.write_text(notary.private_pem()[:60], encoding="utf-8")
    with pytest.raises(SigningError, match="not an unencrypted PEM private key") as caught:
        open_signer(chosen)
    assert notary.private_pem().splitlines()[1][:20] not in str(caught.value)
    assert caught.value.__cause__ is None
    path.write_bytes(private_pem(ec.generate_private_key(ec.SECP256R1())))
    with pytest.raises(SigningError, match="not an Ed25519 key"):
        open_signer(chosen)


def test_a_key_in_the_environment(monkeypatch, notary, tmp_path):
    monkeypatch.setenv("OMNI_SIGNING_KEY", notary.private_pem())
    monkeypatch.setenv("OMNI_STATE_DIR", str(tmp_path))
    settings = Settings()
    assert notary.private_pem().splitlines()[1] not in repr(settings)
    assert open_signer(settings).public_key.keyid == notary.signer.public_key.keyid
    assert not settings.keys_dir.exists()
    monkeypatch.setenv("OMNI_SIGNING_KEY", "nonsense")
    with pytest.raises(SigningError, match="the key in OMNI_SIGNING_KEY is no"):
        open_signer(Settings())


def test_two_keys_are_one_too_many(settings):
    chosen = settings.model_copy(update={"signing_key_file": "x", "signing_kms_key": "alias/y"})
    with pytest.raises(SigningError, match="OMNI_SIGNING_KMS_KEY and OMNI_SIGNING_KEY_FILE are set"):
        open_signer(chosen)


def test_in_aws_no_key_is_made_up(settings):
    aws = settings.model_copy(update={"environment": "aws"})
    assert open_signer(aws) is None
    assert not aws.keys_dir.exists()
    with pytest.raises(SigningError, match="set OMNI_SIGNING_KMS_KEY"):
        signer_to_release(aws)


def test_a_release_is_not_signed_with_a_key_that_no_service_trusts(settings, tmp_path, notary):
    trusted = tmp_path / "trusted.pem"
    trusted.write_text(notary.public_pem(), encoding="utf-8")
    with pytest.raises(SigningError, match=r"is not trusted: .*Add its public half"):
        signer_to_release(settings.model_copy(update={"trusted_keys": trusted}))
    assert trusted.read_text(encoding="utf-8") == notary.public_pem()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "holds no PEM public key"),
        ("-----BEGIN PRIVATE KEY-----", "holds a private key"),
        ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", "key 1 in .* is damaged"),
        (
            ec.generate_private_key(ec.SECP256R1())
            .public_key()
            .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
            .decode(),
            "key 1 in .* is not an Ed25519 key",
        ),
    ],
)
def test_trusted_keys_that_are_wrong_are_named(tmp_path, content, message):
    path = tmp_path / "trusted.pem"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=message):
        load_trusted_keys(path)


def test_a_statement_too_large_for_kms_is_refused_for_every_signer(notary):
    sign_statement(notary.signer, statement(why="x" * 3500))
    with pytest.raises(SigningError, match=f"KMS signs at most {MAX_SIGNED_BYTES}"):
        sign_statement(notary.signer, statement(why="x" * 4096))


def test_a_second_signature_by_a_stranger_is_refused(notary):
    # It would change the envelope's digest, by which the ledger knows it: one release would look like two.
    stranger = type(notary)()
    envelope = json.loads(sign_statement(notary.signer, statement(a=1)))
    envelope["signatures"] = (
        json.loads(sign_statement(stranger.signer, statement(a=1)))["signatures"] + envelope["signatures"]
    )
    with pytest.raises(RegistryError, match="not in the form that we write"):
        read(json.dumps(envelope), notary.keys)


def test_an_envelope_of_something_else_is_refused(notary):
    from securesystemslib.dsse import Envelope

    for payload, payload_type in ((b"{}", "application/vnd.in-toto+json"), (b'{"_type":"x"}', "text/plain")):
        envelope = Envelope(payload, payload_type, {})
        envelope.sign(notary.signer)
        with pytest.raises(RegistryError, match="no statement of ours"):
            read(json.dumps(envelope.to_dict()), notary.keys)


@pytest.fixture
def kms():
    client = boto3.client(
        "kms",
        region_name="us-east-1",
        aws_access_key_id="x",
        aws_secret_access_key="x",
        config=Config(retries={"total_max_attempts": 1}),
    )
    with Stubber(client) as stub:
        yield client, stub
        stub.assert_no_pending_responses()


def _public(notary, algorithm="ED25519_SHA_512"):
    der = notary.private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return {"PublicKey": der, "SigningAlgorithms": [algorithm], "KeySpec": "ECC_NIST_EDWARDS25519"}


def test_kms_signs_the_envelopes_bytes_raw(kms, notary):
    client, stub = kms
    stub.add_response("get_public_key", _public(notary), {"KeyId": "alias/gate"})
    signer = KmsSigner(client, "alias/gate")
    local = sign_statement(notary.signer, statement(a=1))
    signature = notary.private.sign(_pae(local))  # Ed25519 is deterministic: what KMS would answer
    stub.add_response(
        "sign",
        {"Signature": signature},
        {"KeyId": "alias/gate", "Message": _pae(local), "MessageType": "RAW", "SigningAlgorithm": "ED25519_SHA_512"},
    )
    signed = sign_statement(signer, statement(a=1))
    assert signed == local
    assert read(signed, notary.keys).predicate == {"a": 1}


def _pae(text):
    from securesystemslib.dsse import Envelope

    return Envelope.from_dict(json.loads(text)).pae()


def test_a_refusal_of_kms_is_one_message(kms, notary):
    client, stub = kms
    stub.add_client_error("get_public_key", "NotFoundException", http_status_code=400)
    with pytest.raises(SigningError, match=r"refuses get_public_key with key 'alias/gate' \(NotFoundException\)"):
        KmsSigner(client, "alias/gate")
    stub.add_response("get_public_key", _public(notary))
    signer = KmsSigner(client, "alias/gate")
    stub.add_client_error(
        "sign",
        "AccessDeniedException",
        http_status_code=400,
        expected_params=dict.fromkeys(("KeyId", "Message", "MessageType", "SigningAlgorithm"), ANY),
    )
    with pytest.raises(SigningError, match=r"refuses sign .*AccessDeniedException"):
        sign_statement(signer, statement())


def test_a_kms_key_of_another_kind_is_named(kms):
    client, stub = kms
    der = (
        ec.generate_private_key(ec.SECP256R1())
        .public_key()
        .public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    )
    stub.add_response(
        "get_public_key", {"PublicKey": der, "SigningAlgorithms": ["ECDSA_SHA_256"], "KeySpec": "ECC_NIST_P256"}
    )
    with pytest.raises(SigningError, match=r"is of spec ECC_NIST_P256: .*ECC_NIST_EDWARDS25519"):
        KmsSigner(client, "k")


def test_the_first_of_several_trusted_keys_does_not_hide_the_second(notary):
    other = type(notary)()
    keys = TrustedKeys(path=notary.keys.path, keys={**other.keys.keys, **notary.keys.keys})
    assert read(sign_statement(notary.signer, statement(a=1)), keys).predicate == {"a": 1}
