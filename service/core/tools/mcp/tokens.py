"""Whom a tools' server lets in: clients of this service with the scope `tools`, or holders of tokens in a file."""

import hashlib
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from fastmcp.server.auth import AccessToken, TokenVerifier

from service.kit.frame.errors import ConfigurationError
from service.kit.frame.strict import NotStrict, read_strict

SCOPE = "tools"
_LEAST_TOKEN_CHARS = 24


class ClientTokenVerifier(TokenVerifier):
    """Accepts this service's own access tokens that carry the scope `tools`.

    ``caller_of`` verifies a token and returns its client and scopes, or None.
    """

    def __init__(self, caller_of: Callable[[str], tuple[str, Collection[str]] | None]) -> None:
        super().__init__(required_scopes=[SCOPE])
        self._caller_of = caller_of

    async def verify_token(self, token: str) -> AccessToken | None:
        """Return the client and its scopes, or None for a token that is not valid."""
        caller = self._caller_of(token)
        if caller is None:
            return None
        client_id, scopes = caller
        return AccessToken(token=token, client_id=client_id, scopes=sorted(scopes))


class FileTokenVerifier(TokenVerifier):
    """Accepts the tokens of a file; kept as hashes, so that a comparison's time says nothing about them."""

    def __init__(self, clients: Mapping[str, str]) -> None:
        """``clients`` are the clients' names by token."""
        super().__init__(required_scopes=[SCOPE])
        self._clients = {_hash(token): name for token, name in clients.items()}

    async def verify_token(self, token: str) -> AccessToken | None:
        """Return the token's client, or None for an unknown token."""
        name = self._clients.get(_hash(token))
        return None if name is None else AccessToken(token=token, client_id=name, scopes=[SCOPE])


def read_tokens(path: Path) -> FileTokenVerifier:
    """Read a file with one client and its token per line, separated by a space.

    Raises:
        ConfigurationError: the file cannot be read, or a line is wrong; no token is quoted.
    """
    try:
        lines = read_strict(path).splitlines()
    except (OSError, NotStrict) as err:
        raise ConfigurationError(f"the tokens in {path} cannot be read: {err}") from err
    clients: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        words = line.split()
        if not words:
            continue
        if len(words) != 2 or len(words[1]) < _LEAST_TOKEN_CHARS:
            raise ConfigurationError(
                f"{path}:{number}: a line is a client's name and its token of {_LEAST_TOKEN_CHARS} characters or more"
            )
        if clients.setdefault(words[1], words[0]) != words[0]:
            raise ConfigurationError(
                f"{path}:{number}: {words[0]!r} has the same token as {clients[words[1]]!r}; give each client its own"
            )
    if not clients:
        raise ConfigurationError(f"{path} holds no token")
    return FileTokenVerifier(clients)


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
