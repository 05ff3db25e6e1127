"""How a browser may look at dashboards: a link that is good once, or a pasted token, becomes a cookie that only reads.

The three are signed with the token keys and differ in their type, so none of them passes for another: a cookie is no bearer
token, and a bearer token in the cookie's place is refused.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from cachetools import TTLCache

from service.access.errors import TokenRefused
from service.access.tokens import LIFETIME_S, Caller, Signed, Token, Tokens

COOKIE = "omni_dashboards"
SCOPE = "operator"
LINK_LIFETIME_S = 120
_LINK = "dashboard-link+jwt"
_SESSION = "dashboard-session+jwt"
_LONGEST = 2048
_REMEMBERED = 100_000  # more links than the clients' limits allow in that time


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A cookie's content and how long it holds."""

    text: str
    expires_in_s: int
    client_id: str


class Sessions:
    """Links and cookies. ``timer`` is monotonic, in seconds.

    A used link is remembered by this process alone: with several of them behind one address a link may open once at each,
    within its two minutes.
    """

    def __init__(self, tokens: Tokens, *, timer: Callable[[], float]) -> None:
        self._tokens = tokens
        self._used: TTLCache[str, bool] = TTLCache(_REMEMBERED, LINK_LIFETIME_S * 2, timer=timer)
        self._lock = threading.Lock()

    def link(self, caller: Caller) -> Token:
        """Return a code of two minutes for a caller with the operator's scope, which becomes one session.

        Raises:
            ScopeMissing: the caller has another scope.
        """
        caller.require(SCOPE)
        return self._tokens.sign(caller.client_id, (SCOPE,), kind=_LINK, lifetime_s=LINK_LIFETIME_S)

    def from_link(self, code: str) -> Session:
        """Return the session that a link opens, once.

        Raises:
            TokenRefused: used before, too old, forged.
            ScopeMissing: its client is an operator no more.
        """
        signed = self._read(code, _LINK)
        with self._lock:
            if signed.id in self._used:
                raise TokenRefused("this link was used before: make a new one (make dashboards)")
            self._used[signed.id] = True
        return self._session(signed.caller, LIFETIME_S)

    def from_token(self, token: str) -> Session:
        """Return a session for an operator's token, which ends when the token does.

        Raises:
            TokenRefused: see ``Tokens.verify``.
            ScopeMissing: a token without the operator's scope.
        """
        signed = self._tokens.read(_bounded(token))
        return self._session(signed.caller, min(signed.ends_in_s, LIFETIME_S))

    def verify(self, cookie: str) -> Caller:
        """Return whose session this is; a client that is taken out, or is an operator no more, has none from then on.

        Raises:
            TokenRefused: expired, forged, or no session.
            ScopeMissing: its client is an operator no more.
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
        raise TokenRefused("this is no text of ours")
    return text.strip()
