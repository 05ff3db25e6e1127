"""Tokens for one customer's account: an agent's browser may have one, to ask for its summaries and to rate them."""

from dataclasses import replace
from hashlib import sha256

import jwt

from service.access.errors import TokenRefused
from service.access.tokens import Caller, Token, Tokens

SCOPES = ("summaries", "feedback")
_KIND = "account+jwt"
_BEARER = "bearer "
_LONGEST = 2048


def account_token(tokens: Tokens, caller: Caller, account_number: str) -> Token:
    """Return a token of ``caller``'s client for the summaries of one account, and feedback if it may give any, for an hour.

    Raises:
        ScopeMissing: the caller may not ask for summaries.
    """
    caller.require("summaries")
    scopes = tuple(scope for scope in SCOPES if scope in caller.scopes)
    return tokens.sign(caller.client_id, scopes, kind=_KIND, about=_about(account_number))


def account_caller(tokens: Tokens, authorization: str | None) -> Caller | None:
    """Return the caller whose token is for one account; None if the header holds no such token.

    Raises:
        TokenRefused: it is one, and expired, forged, or of a client that was removed.
    """
    if not authorization or not authorization.lower().startswith(_BEARER) or len(authorization) > _LONGEST:
        return None
    text = authorization[len(_BEARER) :].strip()
    try:
        if jwt.get_unverified_header(text).get("typ") != _KIND:
            return None
    except jwt.PyJWTError:
        return None
    signed = tokens.read(text, kind=_KIND)
    if not signed.about:
        raise TokenRefused("the token names no account")
    return replace(signed.caller, account=signed.about)


def is_about(caller: Caller, account_number: str) -> bool:
    """Return whether the caller may see this account: any, unless its token is for one."""
    return caller.account is None or caller.account == _about(account_number)


def _about(account_number: str) -> str:
    # A digest, so that the number does not stand readable wherever a token is kept.
    return "account/" + sha256(account_number.encode()).hexdigest()
