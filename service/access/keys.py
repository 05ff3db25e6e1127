"""The keys that sign tokens: a folder of P-256 keys; the newest private key signs, all of them verify.

A token key can never release a pair: ``service.release.statements`` accepts Ed25519 signatures only.
"""

import base64
import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from service.access.watched_file import Watched, stamp_of
from service.errors import ConfigurationError
from service.files import write_once

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey

_UNKNOWN_KEY_INTERVAL_S = 1.0  # minimum time between folder reads that a token with an unknown key id causes


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenKeys:
    """The folder's keys as read once: public keys by id, and the private key that signs."""

    public: Mapping[str, "EllipticCurvePublicKey"]
    signing_id: str
    signing: "EllipticCurvePrivateKey"


class KeyRing:
    """The folder's keys, re-read when it changes.

    To rotate: put ``<date>.pem`` beside the current key (the last name in the alphabet signs), and remove the old file after
    an hour, when its last token has expired. A file with a public key alone verifies and does not sign.
    """

    def __init__(self, folder: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Read the folder.

        Raises:
            ConfigurationError: no private key in it, or a file that holds no P-256 key.
        """
        self._folder = folder
        self._watched = Watched(lambda: read_keys(folder), lambda: stamp_of(_files(folder)), clock=clock)

    def signing(self) -> tuple[str, "EllipticCurvePrivateKey"]:
        """Return the id and the private key that new tokens are signed with."""
        keys = self._watched.get()
        return keys.signing_id, keys.signing

    def public(self, key_id: str) -> "EllipticCurvePublicKey | None":
        """Return the public key with this id; an unknown id makes it read the folder again, at most once a second."""
        found = self._watched.get().public.get(key_id)
        if found is None:
            found = self._watched.get(at_most_s_old=_UNKNOWN_KEY_INTERVAL_S).public.get(key_id)
        return found

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """Return all public keys as a JSON Web Key Set (RFC 7517)."""
        keys = self._watched.get().public
        return {"keys": [_jwk(key) | {"kid": name, "use": "sig", "alg": "ES256"} for name, key in sorted(keys.items())]}


def read_keys(folder: Path) -> TokenKeys:
    """Read every ``*.pem`` file of ``folder``.

    Raises:
        ConfigurationError: no private key, or a file that holds something else; the message names the file.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

    public: dict[str, ec.EllipticCurvePublicKey] = {}
    signing: ec.EllipticCurvePrivateKey | None = None
    for file in _files(folder):
        try:
            text = file.read_bytes()
            private = b"PRIVATE KEY" in text
            key = load_pem_private_key(text, None) if private else load_pem_public_key(text)
        except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as err:
            raise ConfigurationError(f"token key {file} cannot be read ({type(err).__name__}): replace it") from err
        if isinstance(key, ec.EllipticCurvePrivateKey):
            signing, key = key, key.public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
            raise ConfigurationError(f"token key {file} is not a P-256 key: tokens are signed with ES256")
        public[thumbprint(key)] = key
    if signing is None:
        raise ConfigurationError(
            f"{folder} holds no private token key: put one there (openssl ecparam -name prime256v1 -genkey -noout), "
            "or set OMNI_ACCESS_DIR; in local, `omni serve` and `omni token` make one"
        )
    return TokenKeys(public=public, signing_id=thumbprint(signing.public_key()), signing=signing)


def thumbprint(key: "EllipticCurvePublicKey") -> str:
    """Return the key's id: its JWK thumbprint, SHA-256 in base64url (RFC 7638)."""
    members = json.dumps(dict(sorted(_jwk(key).items())), separators=(",", ":"))
    return _base64url(hashlib.sha256(members.encode()).digest())


def make_key(file: Path) -> None:
    """Write a new private key with mode 0600 unless ``file`` exists; simultaneous processes get the same key."""
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = ec.generate_private_key(ec.SECP256R1())
    write_once(file, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def _files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.glob("*.pem") if not file.name.startswith("."))


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
