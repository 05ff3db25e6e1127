"""Reads signed statements: DSSE envelopes around in-toto statements, verified with public keys alone."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from pydantic import TypeAdapter, ValidationError

from service.kit.frame.canonical import canonical_json, sha256_hex
from service.kit.frame.errors import ConfigurationError, RegistryError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from securesystemslib.dsse import Envelope
    from securesystemslib.signer import SSlibKey

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
_BEGIN = "-----BEGIN PUBLIC KEY-----"
_PUBLIC_KEY = re.compile(rf"{_BEGIN}.+?-----END PUBLIC KEY-----", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedKeys:
    """The trusted Ed25519 public keys by key id; messages name ``path``.

    ``evidence`` are keys of other stages, which may sign attestations and nothing that releases.
    """

    path: Path
    keys: Mapping[str, "SSlibKey"]
    evidence: Mapping[str, "SSlibKey"] = field(default_factory=dict)

    @property
    def for_evidence(self) -> "TrustedKeys":
        """The keys that may sign an attestation."""
        return TrustedKeys(path=self.path, keys={**self.evidence, **self.keys})


class AboutPair(Protocol):
    """A claim about a pair: has a task and times."""

    @property
    def task(self) -> str:
        """Name of the task."""

    @property
    def moments(self) -> tuple[datetime, ...]:
        """All times in the claim."""


Claims = TypeVar("Claims", bound=AboutPair)


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A statement with a verified signature; ``digest`` is the envelope's, ``keyid`` the signing key's."""

    subject_name: str
    subject_digest: str
    predicate: dict[str, Any]
    keyid: str
    digest: str


def key_id(public_key: "Ed25519PublicKey") -> str:
    """Return SHA-256 over the key's DER form, as ``openssl pkey -pubin -outform DER | sha256sum`` prints it."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    der = public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()


def verifying_key(public_key: "Ed25519PublicKey") -> "SSlibKey":
    """Return the key as securesystemslib's key type, with our key id."""
    from securesystemslib.signer import SSlibKey

    return SSlibKey.from_crypto(public_key, keyid=key_id(public_key))


def load_trusted_keys(path: Path) -> TrustedKeys:
    """Read every PEM public key in ``path``; there are several while keys rotate.

    Keys in ``<name>.evidence.pem`` beside it (as ``trusted.evidence.pem``) are trusted for attestations alone: those of a stage
    whose evidence counts here, and which releases nothing here.

    Raises:
        ConfigurationError: missing, empty, not Ed25519, or containing a private key.
    """
    keys = _read_keys(path)  # first: an empty OMNI_TRUSTED_KEYS is the path ".", which has no name to change
    beside = path.with_suffix(".evidence.pem")
    return TrustedKeys(path=path, keys=keys, evidence=_read_keys(beside) if beside.exists() else {})


def _read_keys(path: Path) -> dict[str, "SSlibKey"]:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as err:
        raise ConfigurationError(
            f"the trusted public keys cannot be read from {path} ({type(err).__name__}): set OMNI_TRUSTED_KEYS to a file "
            "of PEM public keys; in local, `omni eval` makes one"
        ) from err
    if "PRIVATE KEY" in text:
        raise ConfigurationError(f"{path} holds a private key: trusted keys are public halves only; take it out")
    keys = {}
    blocks = _PUBLIC_KEY.findall(text)
    if text.count(_BEGIN) > "".join(blocks).count(_BEGIN):
        raise ConfigurationError(f"key {len(blocks) + 1} in {path} is damaged; put the public key there again")
    for number, block in enumerate(blocks, start=1):
        try:
            key = load_pem_public_key(block.encode())
        except (ValueError, UnsupportedAlgorithm) as err:
            raise ConfigurationError(f"key {number} in {path} is damaged; put the public key there again") from err
        if not isinstance(key, Ed25519PublicKey):
            raise ConfigurationError(
                f"key {number} in {path} is not an Ed25519 key; statements are signed with Ed25519 only"
            )
        trusted = verifying_key(key)
        keys[trusted.keyid] = trusted
    if not keys:
        raise ConfigurationError(f"{path} holds no PEM public key; put the public half of the signing key there")
    return keys


def shown(text: str, limit: int) -> str:
    """Return the first ``limit`` characters of untrusted text as visible ASCII.

    Terminals show it, and control characters in a forged statement could overwrite the lines that report it.
    """
    return ascii(text[:limit])[1:-1]


def _parse(text: str, what: str) -> "Envelope":
    from securesystemslib.dsse import Envelope
    from securesystemslib.exceptions import FormatError

    try:
        envelope = Envelope.from_dict(json.loads(text))
        if not all(isinstance(item, str) for item in (envelope.payload_type, *envelope.signatures)):
            raise ValueError("payload type and key ids must be strings")
        envelope.pae()  # raises when the signed bytes cannot be built
    # RecursionError: untrusted JSON can nest without limit.
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, FormatError) as err:
        raise RegistryError(f"{what} is no signed statement; use `omni promote` or `omni rollback`") from err
    return envelope


def _digest(envelope: "Envelope", text: str, what: str) -> str:
    """Return the digest of an envelope in exactly the form that we write.

    An added signature, field or space leaves the signed payload valid, but would turn one release into two with one number.
    """
    try:
        canonical = canonical_json(envelope.to_dict())
    except (ValueError, TypeError):
        canonical = ""
    if canonical != text or len(envelope.signatures) != 1:
        raise RegistryError(
            f"{what} is not in the form that we write: somebody added to it after it was signed; use `omni promote` or "
            "`omni rollback`"
        )
    return sha256_hex(canonical)


def envelope_digest(text: str, what: str) -> str:
    """Return SHA-256 over the envelope's canonical JSON; other statements refer to it by this digest.

    Raises:
        RegistryError: ``text`` is not an envelope in the form that we write; ``what`` names it.
    """
    return _digest(_parse(text, what), text, what)


def read_statement(text: str, *, keys: TrustedKeys, predicate_type: str, what: str) -> Statement:
    """Verify an envelope and return its statement; the payload is read only after its signature is verified.

    ``predicate_type`` is the only type to accept, and ``what`` the statement's name in messages.

    Raises:
        RegistryError: unsigned, signed with another key, changed, or a statement of another type.
    """
    from securesystemslib.exceptions import VerificationError

    envelope = _parse(text, what)
    known = [keyid for keyid in envelope.signatures if keyid in keys.keys]
    if not known:
        signers = ", ".join(shown(keyid, 12) for keyid in envelope.signatures) or "nobody"
        raise RegistryError(
            f"{what} is signed by {signers}, not by a key trusted in {keys.path}: if that key is ours, add its public half "
            "there; if not, the statement is not ours: use `omni promote` or `omni rollback`"
        )
    try:
        accepted = envelope.verify(list(keys.keys.values()), threshold=1)
    except VerificationError as err:
        raise RegistryError(
            f"{what} was changed after it was signed (the signature of key {known[0][:12]} does not verify); "
            "use `omni promote` or `omni rollback`"
        ) from err
    try:
        payload = json.loads(envelope.payload)
        if (envelope.payload_type, payload["_type"]) != (PAYLOAD_TYPE, STATEMENT_TYPE):
            raise ValueError("not an in-toto statement")
        if payload["predicateType"] != predicate_type:
            raise RegistryError(f"{what} is a statement of type {payload['predicateType']!r}, not {predicate_type!r}")
        (subject,) = payload["subject"]
        return Statement(
            subject_name=str(subject["name"]),
            subject_digest=str(subject["digest"]["sha256"]),
            predicate=dict(payload["predicate"]),
            keyid=next(iter(accepted)),
            digest=_digest(envelope, text, what),
        )
    except (ValueError, KeyError, TypeError) as err:
        raise RegistryError(
            f"{what} is signed but no statement of ours ({err}); was it written by a newer version?"
        ) from err


def read_claims(
    adapter: TypeAdapter[Claims], text: str, *, keys: TrustedKeys, predicate_type: str, what: str, remedy: str
) -> tuple[Claims, Statement]:
    """Verify an envelope and return its claims about a task's pair, with the statement.

    The subject is ``<task>/<pair>`` with the pair's digest; the claims repeat the task, and all their times have a zone.

    Raises:
        RegistryError: it does not verify, lacks fields or contradicts itself; ``what`` names it, ``remedy`` says what to do.
    """
    statement = read_statement(text, keys=keys, predicate_type=predicate_type, what=what)
    task, _, name = statement.subject_name.partition("/")
    try:
        claims = adapter.validate_python(
            statement.predicate | {"pair_name": name, "pair_digest": statement.subject_digest}
        )
        if claims.task != task or any(moment.tzinfo is None for moment in claims.moments):
            raise RegistryError(f"{what} contradicts itself: {remedy}")
    except ValidationError as err:
        wrong = ", ".join(".".join(map(str, item["loc"])) for item in err.errors())
        raise RegistryError(f"{what} has wrong fields ({wrong}): {remedy}") from err
    except ValueError as err:  # a time that cannot be parsed
        raise RegistryError(f"{what} cannot be read ({err}): {remedy}") from err
    return claims, statement


def build_statement(name: str, digest: str, predicate_type: str, predicate: Mapping[str, Any]) -> dict[str, Any]:
    """Return an in-toto Statement v1 about one subject."""
    return {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": name, "digest": {"sha256": digest}}],
        "predicateType": predicate_type,
        "predicate": dict(predicate),
    }
