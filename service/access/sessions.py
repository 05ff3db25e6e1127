"""Browser sessions for the dashboards: a one-time link or a pasted token is exchanged for a read-only cookie.

Links, cookies and bearer tokens are signed with the same keys and carry their type, so none is accepted in place of another.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass

import anyio.to_thread
from cachetools import TTLCache

from service.access.errors import TokenRefused
from service.access.tokens import LIFETIME_S, Caller, Signed, Token, Tokens
from service.kit.frame.errors import StoreError

COOKIE = "omni_dashboards"
SCOPE = "operator"
LINK_LIFETIME_S = 120
# Whether nobody has used the link of this id before; it is remembered for so many seconds.
FirstUse = Callable[[str, float], bool]
_LINK = "dashboard-link+jwt"
_SESSION = "dashboard-session+jwt"
_LONGEST = 2048
_REMEMBERED = 100_000  # more links than the clients' limits allow in that time


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A cookie's content and its lifetime."""

    text: str
    expires_in_s: int
    client_id: str


class Sessions:
    """Issues and verifies links and cookies. ``timer`` is monotonic, in seconds.

    A link opens once over all tasks. While the table that they share is down, it opens once per process, within two minutes.
    """

    def __init__(self, tokens: Tokens, *, timer: Callable[[], float], is_first_use: FirstUse | None = None) -> None:
        """``is_first_use`` asks the other tasks; it blocks, and may raise ``StoreError``. None: there are no others."""
        self._tokens = tokens
        self._is_first_use = is_first_use
        self._used: TTLCache[str, bool] = TTLCache(_REMEMBERED, LINK_LIFETIME_S * 2, timer=timer)
        self._lock = threading.Lock()

    def link(self, caller: Caller) -> Token:
        """Return a code, valid for two minutes and one session, for a caller with the operator's scope.

        Raises:
            ScopeMissing: the caller has another scope.
        """
        caller.require(SCOPE)
        return self._tokens.sign(caller.client_id, (SCOPE,), kind=_LINK, lifetime_s=LINK_LIFETIME_S)

    async def from_link(self, code: str) -> Session:
        """Return the session that a link opens, once.

        Raises:
            TokenRefused: used before, expired, or forged.
            ScopeMissing: its client lost the operator's scope.
        """
        signed = self._read(code, _LINK)
        with self._lock:
            used = signed.id in self._used
            self._used[signed.id] = True
        if used or not await self._first_anywhere(signed.id):
            raise TokenRefused("this link was used before: make a new one with `omni dashboards`")
        return self._session(signed.caller, LIFETIME_S)

    async def _first_anywhere(self, link_id: str) -> bool:
        if self._is_first_use is None:
            return True
        try:
            return await anyio.to_thread.run_sync(self._is_first_use, link_id, LINK_LIFETIME_S * 2)
        except StoreError:
            return True  # this process's memory has to do

    def from_token(self, token: str) -> Session:
        """Return a session for an operator's token, which ends when the token does.

        Raises:
            TokenRefused: see ``Tokens.verify``.
            ScopeMissing: a token without the operator's scope.
        """
        signed = self._tokens.read(_bounded(token))
        return self._session(signed.caller, min(signed.ends_in_s, LIFETIME_S))

    def verify(self, cookie: str) -> Caller:
        """Return the caller of the session; a client that was removed or lost the operator's scope is refused.

        Raises:
            TokenRefused: expired, forged, not a session, or of a removed client.
            ScopeMissing: its client lost the operator's scope.
        """
        caller = self._read(cookie, _SESSION).caller
        caller.require(SCOPE)
        return caller

    def _session(self, caller: Caller, lifetime_s: int) -> Session:
        caller.require(SCOPE)
        if lifetime_s <= 0:
            raise TokenRefused("the token has expired: get a new one at POST /oauth/token")
        text = self._tokens.sign(caller.client_id, (SCOPE,), kind=_SESSION, lifetime_s=lifetime_s).text
        return Session(text=text, expires_in_s=lifetime_s, client_id=caller.client_id)

    def _read(self, text: str, kind: str) -> Signed:
        return self._tokens.read(_bounded(text), kind=kind)


def _bounded(text: str) -> str:
    if len(text) > _LONGEST:
        raise TokenRefused("the code, token or cookie is longer than any that this service issues")
    return text.strip()
