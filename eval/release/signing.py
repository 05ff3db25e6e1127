"""Signs statements with a key file, a key in the environment, or AWS KMS; the service itself only verifies."""

import fcntl
import os
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_public_key,
    load_pem_private_key,
)
from securesystemslib.dsse import Envelope
from securesystemslib.signer import CryptoSigner, Key, SecretsHandler, Signature, Signer

from eval.spine.errors import SigningError
from service.core.release.statements import PAYLOAD_TYPE, key_id, load_trusted_keys, verifying_key
from service.kit.frame.canonical import canonical_json
from service.kit.frame.display.terminal import say
from service.kit.frame.files import OWNER_ONLY, write_whole
from service.kit.settings import Settings

# AWS KMS takes no more per message, and Ed25519 there signs messages, not digests. Checked for every signer, so that a laptop
# finds out before production does. https://docs.aws.amazon.com/kms/latest/APIReference/API_Sign.html, read 2026-11-21.
MAX_SIGNED_BYTES = 4096
_KMS_ALGORITHM = "ED25519_SHA_512"


class KmsSigner(Signer):
    """Signs with a key that never leaves AWS KMS; needs ``kms:Sign`` and ``kms:GetPublicKey`` on it."""

    def __init__(self, client: Any, key: str) -> None:
        """Ask KMS for the public half.

        Raises:
            SigningError: KMS refuses, or the key is not an Ed25519 signing key.
        """
        self._client, self._key = client, key
        answer = self._ask("get_public_key", KeyId=key)
        public = load_der_public_key(answer["PublicKey"])
        if not isinstance(public, Ed25519PublicKey) or _KMS_ALGORITHM not in answer["SigningAlgorithms"]:
            raise SigningError(
                f"KMS key {key!r} is of spec {answer.get('KeySpec')}: statements are signed with Ed25519; create one with "
                "--key-spec ECC_NIST_EDWARDS25519 --key-usage SIGN_VERIFY"
            )
        self._public = verifying_key(public)

    @property
    def public_key(self) -> Key:
        """The public half, under our key id."""
        return self._public

    @classmethod
    def from_priv_key_uri(
        cls, priv_key_uri: str, public_key: Key, secrets_handler: SecretsHandler | None = None
    ) -> "KmsSigner":
        """Refuse: the settings name the key, and ``open_signer`` builds the signer."""
        raise SigningError(f"{priv_key_uri!r} cannot be opened by its address: set OMNI_SIGNING_KMS_KEY")

    def sign(self, payload: bytes) -> Signature:
        """Return KMS's signature over ``payload``, at most 4,096 bytes."""
        answer = self._ask("sign", KeyId=self._key, Message=payload, MessageType="RAW", SigningAlgorithm=_KMS_ALGORITHM)
        return Signature(self._public.keyid, answer["Signature"].hex())

    def _ask(self, operation: str, **arguments: Any) -> Any:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return getattr(self._client, operation)(**arguments)
        except ClientError as err:
            code = err.response.get("Error", {}).get("Code", "unknown")
            raise SigningError(
                f"AWS KMS refuses {operation} with key {self._key!r} ({code}): check OMNI_SIGNING_KMS_KEY, the region and "
                "that this role may use the key"
            ) from err
        except BotoCoreError as err:
            raise SigningError(f"AWS KMS does not answer {operation} ({type(err).__name__}); run again") from err


def open_signer(settings: Settings) -> Signer | None:
    """Return the signer: KMS, the environment's key, a key file, or in ``local`` this checkout's key, created on first use.

    Returns:
        None in ``aws`` if no key is set, because evaluations do not need one there.
    """
    chosen = {
        "OMNI_SIGNING_KMS_KEY": settings.release.signing_kms_key,
        "OMNI_SIGNING_KEY": settings.release.signing_key,
        "OMNI_SIGNING_KEY_FILE": settings.release.signing_key_file,
    }
    names = [name for name, value in chosen.items() if value]
    if len(names) > 1:
        raise SigningError(f"{' and '.join(names)} are set: keep one, so that it is clear who signs")
    if settings.release.signing_kms_key:
        from service.kit.aws.clients import client

        return KmsSigner(client("kms", settings), settings.release.signing_kms_key)
    if settings.release.signing_key:
        return _signer(settings.release.signing_key.get_secret_value().encode(), "the key in OMNI_SIGNING_KEY")
    if settings.release.signing_key_file:
        return _signer(_read_private(settings.release.signing_key_file), str(settings.release.signing_key_file))
    return _local_signer(settings) if settings.environment == "local" else None


def signer_to_evaluate(settings: Settings) -> Signer | None:
    """Return the signer. Call this before any model call, so that an unusable key does not waste an evaluation."""
    signer = open_signer(settings)
    if signer is None:
        say(
            "no signing key is set: this evaluation gets no attestation, so it cannot be used for a promotion",
            file=sys.stderr,
        )
    return signer


def signer_to_release(settings: Settings) -> Signer:
    """Return the signer after checking that services will accept its signature."""
    signer = open_signer(settings)
    if signer is None:
        raise SigningError(
            "no signing key: set OMNI_SIGNING_KMS_KEY (or OMNI_SIGNING_KEY_FILE) where releases are made"
        )
    trusted = load_trusted_keys(settings.trusted_keys_file)
    if signer.public_key.keyid not in trusted.keys:
        raise SigningError(
            f"the signing key {signer.public_key.keyid[:12]} is not trusted: services would refuse its releases. Add its public "
            f"half to {trusted.path} (openssl pkey -in <key file> -pubout) there and at every service"
        )
    return signer


def sign_statement(signer: Signer, statement: Mapping[str, Any]) -> str:
    """Return ``statement`` in a DSSE envelope, as one line of canonical JSON.

    Raises:
        SigningError: it is larger than AWS KMS can sign, or the signer failed.
    """
    envelope = Envelope(canonical_json(dict(statement)).encode(), PAYLOAD_TYPE, {})
    size = len(envelope.pae())
    if size > MAX_SIGNED_BYTES:
        raise SigningError(
            f"the statement has {size} bytes and AWS KMS signs at most {MAX_SIGNED_BYTES}: shorten the text of --why or "
            "the names in it"
        )
    envelope.sign(signer)
    return canonical_json(envelope.to_dict())


def _signer(pem: bytes, where: str) -> CryptoSigner:
    private = _private_key(pem, where)
    return CryptoSigner(private, verifying_key(private.public_key()))


def _private_key(pem: bytes, where: str) -> Ed25519PrivateKey:
    try:
        private = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # `from None`: nothing of the key may reach a traceback.
        raise SigningError(
            f"{where} is not an unencrypted PEM private key: restore the key, or create one with "
            "`openssl genpkey -algorithm ed25519`"
        ) from None
    if not isinstance(private, Ed25519PrivateKey):
        raise SigningError(f"{where} is not an Ed25519 key: create one with `openssl genpkey -algorithm ed25519`")
    return private


def _read_private(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                raise SigningError(
                    f"others may read the signing key {path}: run `chmod 600 {path}`, or better create a new key"
                )
            return file.read()
    except OSError as err:
        raise SigningError(f"the signing key {path} cannot be read ({type(err).__name__}): restore it") from err


def _local_signer(settings: Settings) -> CryptoSigner:
    folder, path = settings.keys_dir, settings.keys_dir / "signing.pem"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two concurrent first evaluations must not create two keys
        if not path.exists():
            pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            write_whole(path, pem, mode=OWNER_ONLY, durable=True)
            say(f"created a signing key in {path} (its public half: {settings.trusted_keys_file})", file=sys.stderr)
        private = _private_key(_read_private(path), str(path))
        if settings.release.trusted_keys is None:
            _trust(settings.trusted_keys_file, private.public_key())
    return CryptoSigner(private, verifying_key(private.public_key()))


def _trust(path: Path, public: Ed25519PublicKey) -> None:
    """Append the public half unless it is there; earlier keys stay, because they must verify earlier signatures."""
    if path.exists() and key_id(public) in load_trusted_keys(path).keys:
        return
    before = path.read_bytes() if path.exists() else b""
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    write_whole(path, before + pem, mode=0o644, durable=True)
