"""The keys that sign tokens: P-256, of which the newest signs and all verify until they end.

A token key can never release a pair: ``service.core.release.statements`` accepts Ed25519 signatures only.
"""

import base64
import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, ValidationError

from service.access.sealing import Sealer
from service.kit.frame.errors import ConfigurationError, StoreError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey


class KeyItem(BaseModel):
    """A token key as it is stored: ``public`` as PEM; ``sealed`` its private half, or the public one of a key that only verifies.

    It signs from ``signs_from`` on, until a newer one does, and verifies until ``ends_at`` (None: no end is set); both in
    seconds since 1970. A key that has ended has None sealed; such a key verifies nothing.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    public: str
    sealed: str | None
    signs_from: float
    ends_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenKey:
    """A token key in use; ``signing`` is its private half if this process may sign with it.

    ``opened``: this process opened what is sealed of it.
    """

    item: KeyItem
    public: "EllipticCurvePublicKey"
    signing: "EllipticCurvePrivateKey | None"
    opened: bool

    @property
    def proof(self) -> str:
        """What was opened: this text never changes, unlike the moments between which the key is used."""
        return f"{self.item.public}{self.item.sealed}"


class KeyRing:
    """The keys of ``keys``, which returns them by id and may return others later; ``now`` is seconds since 1970."""

    def __init__(self, keys: Callable[[], Mapping[str, TokenKey]], *, now: Callable[[], float] = time.time) -> None:
        self._keys = keys
        self._now = now

    def signing(self) -> tuple[str, "EllipticCurvePrivateKey"]:
        """Return the id and the private key that new tokens are signed with.

        Raises:
            StoreError: this process has none, because it could not be opened.
        """
        now = self._now()
        found = [(key.item.signs_from, name, key.signing) for name, key in self._alive().items() if key.signing]
        # The first key of all may be of a task whose clock is ahead.
        due = [entry for entry in found if entry[0] <= now] or sorted(found)[:1]
        if not due:
            raise StoreError("no token key can be opened, so no token can be issued: see the log for the reason")
        _, name, key = max(due, key=lambda entry: entry[:2])
        return name, key

    def public(self, key_id: str) -> "EllipticCurvePublicKey | None":
        """Return the public key with this id, None for an unknown one or one that has ended."""
        key = self._keys().get(key_id)
        return key.public if key is not None and self._is_alive(key) else None

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """Return all public keys as a JSON Web Key Set (RFC 7517)."""
        keys = sorted(self._alive().items())
        return {"keys": [_jwk(key.public) | {"kid": name, "use": "sig", "alg": "ES256"} for name, key in keys]}

    def _alive(self) -> dict[str, TokenKey]:
        return {name: key for name, key in self._keys().items() if self._is_alive(key)}

    def _is_alive(self, key: TokenKey) -> bool:
        return key.item.ends_at is None or self._now() < key.item.ends_at


def new_key(sealer: Sealer, *, signs_from: float) -> tuple[str, KeyItem]:
    """Return the id and the item of a new key, its private half sealed.

    Raises:
        StoreError: it cannot be sealed.
    """
    from cryptography.hazmat.primitives.asymmetric import ec

    return _item(ec.generate_private_key(ec.SECP256R1()), sealer, signs_from)


def key_from_pem(pem: bytes, source: str, sealer: Sealer, *, signs_from: float) -> tuple[str, KeyItem]:
    """Return the id and the item of a key in a PEM file, private or public; ``source`` names it in messages.

    Raises:
        ConfigurationError: it is no P-256 key.
        StoreError: it cannot be sealed.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

    try:
        key = load_pem_private_key(pem, None) if b"PRIVATE KEY" in pem else load_pem_public_key(pem)
    except (ValueError, TypeError, UnsupportedAlgorithm) as err:
        raise ConfigurationError(f"token key {source} cannot be read ({type(err).__name__}): replace it") from err
    if not isinstance(key, ec.EllipticCurvePrivateKey | ec.EllipticCurvePublicKey) or key.curve.name != "secp256r1":
        raise ConfigurationError(f"token key {source} is not a P-256 key: tokens are signed with ES256")
    return _item(key, sealer, signs_from)


def open_key(name: str, text: str, sealer: Sealer | None) -> TokenKey:
    """Return the key of a stored item; without ``sealer`` nothing is opened, and nobody may rely on it.

    Raises:
        ConfigurationError: the item is damaged, is not the key of this id, or was not sealed by this service.
        StoreError: the private half cannot be opened.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import load_der_private_key, load_pem_public_key

    signing = None
    try:
        item = KeyItem.model_validate_json(text)
        public = load_pem_public_key(item.public.encode())
        if not isinstance(public, ec.EllipticCurvePublicKey) or thumbprint(public) != name:
            raise ValueError("another key")
        if sealer is not None:
            if item.sealed is None:
                raise ValueError("not sealed")
            content = sealer.open(item.sealed, name)
            if content != _der(public):
                opened = load_der_private_key(content, None)
                if not isinstance(opened, ec.EllipticCurvePrivateKey) or thumbprint(opened.public_key()) != name:
                    raise ValueError("another private half")
                signing = opened
    except (ValidationError, ValueError, TypeError, UnsupportedAlgorithm) as err:
        # `from None`: a validation error quotes what it found.
        raise ConfigurationError(f"token key {name!r} is damaged ({type(err).__name__}): revoke it") from None
    return TokenKey(item=item, public=public, signing=signing, opened=sealer is not None)


def thumbprint(key: "EllipticCurvePublicKey") -> str:
    """Return the key's id: its JWK thumbprint, SHA-256 in base64url (RFC 7638)."""
    members = json.dumps(dict(sorted(_jwk(key).items())), separators=(",", ":"))
    return _base64url(hashlib.sha256(members.encode()).digest())


def _item(
    key: "EllipticCurvePrivateKey | EllipticCurvePublicKey", sealer: Sealer, signs_from: float
) -> tuple[str, KeyItem]:
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

    public = key.public_key() if isinstance(key, ec.EllipticCurvePrivateKey) else key
    name = thumbprint(public)
    content = _der(public)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        content = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    return name, KeyItem(public=pem, sealed=sealer.seal(content, name), signs_from=signs_from)


def _der(key: "EllipticCurvePublicKey") -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _jwk(key: "EllipticCurvePublicKey") -> dict[str, str]:
    numbers = key.public_numbers()
    return {
        "kty": "EC",
        "crv": "P-256",
        "x": _base64url(numbers.x.to_bytes(32, "big")),
        "y": _base64url(numbers.y.to_bytes(32, "big")),
    }


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
