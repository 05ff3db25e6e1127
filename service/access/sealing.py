"""Seals small secrets, such as token keys, before they are stored: with AWS KMS, or not at all in a folder for its owner only."""

import base64
from collections.abc import Callable
from typing import Any, Protocol

from service.kit.aws.bounded import translated
from service.kit.frame.errors import StoreError

_KMS, _PLAIN = "kms:", "plain:"
_CONTEXT = "omni-token-key"


class NotSealedHere(StoreError, ValueError):
    """It was not sealed with a key of this service, or under another name."""


class Sealer(Protocol):
    """Encrypts small secrets. Blocking; raises ``StoreError`` when the service that holds the key does not answer."""

    def seal(self, secret: bytes, name: str) -> str:
        """Return ``secret`` as text that can be stored; it can be opened under the same ``name`` only."""
        ...

    def open(self, sealed: str, name: str) -> bytes:
        """Return what ``seal`` got.

        Raises:
            ValueError: ``sealed`` was made by another kind of sealer.
        """
        ...


class KmsSealer:
    """Encrypts under a symmetric KMS key; a token key is far below KMS's limit of 4,096 bytes.

    The name stands in the encryption context, so that KMS opens no key that was copied to another one's item, and its log
    (CloudTrail) says which key was opened.
    """

    def __init__(self, client: Callable[[], Any], key: str, *, sealed_as: str = _CONTEXT) -> None:
        """``client`` makes the boto3 client of KMS at its first use; ``key`` is an id, an ARN or an alias.

        ``sealed_as`` is the encryption context's name: nothing opens what was sealed under another one.
        """
        self._make = client
        self._made: Any = None
        self._key = key
        self._sealed_as = sealed_as
        self._store = f"KMS key {key!r}"

    def seal(self, secret: bytes, name: str) -> str:
        """See ``Sealer.seal``."""
        with translated(self._store):
            answer = self._client().encrypt(
                KeyId=self._key, Plaintext=secret, EncryptionContext={self._sealed_as: name}
            )
        return _KMS + base64.b64encode(answer["CiphertextBlob"]).decode()

    def open(self, sealed: str, name: str) -> bytes:
        """See ``Sealer.open``."""
        content = _content(sealed, _KMS)
        try:
            with translated(self._store):
                # Without a key id: the alias may name a newer KMS key by now, and the content says which one sealed it.
                answer = self._client().decrypt(CiphertextBlob=content, EncryptionContext={self._sealed_as: name})
        except StoreError as err:
            # KMS has answered: others may be opened, and of this one it knows nothing.
            if getattr(err.__cause__, "response", {}).get("Error", {}).get("Code") == "InvalidCiphertextException":
                raise NotSealedHere(str(err)) from err
            raise
        return bytes(answer["Plaintext"])

    def _client(self) -> Any:
        if self._made is None:
            self._made = self._make()
        return self._made


class OwnerOnly:
    """Encrypts nothing: whoever can read the folder owns it."""

    def seal(self, secret: bytes, name: str) -> str:
        """See ``Sealer.seal``."""
        return _PLAIN + base64.b64encode(secret).decode()

    def open(self, sealed: str, name: str) -> bytes:
        """See ``Sealer.open``."""
        return _content(sealed, _PLAIN)


def _content(sealed: str, kind: str) -> bytes:
    if not sealed.startswith(kind):
        raise ValueError(f"not sealed as {kind.rstrip(':')}")
    return base64.b64decode(sealed.removeprefix(kind))
