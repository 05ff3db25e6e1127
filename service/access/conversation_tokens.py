"""Tokens for one conversation: a browser may have one, and can do nothing else with it."""

from dataclasses import replace

from service.access.clients import task_scope
from service.access.errors import TokenRefused
from service.access.tokens import Caller, Token, Tokens

_KIND = "conversation+jwt"
_BEARER = "bearer "
_LONGEST = 2048


def conversation_token(tokens: Tokens, caller: Caller, task: str, conversation_id: str) -> Token:
    """Return a token of ``caller``'s client for one conversation, for an hour.

    Raises:
        ScopeMissing: the caller may not ask the task.
    """
    caller.require(task_scope(task))
    return tokens.sign(caller.client_id, (task_scope(task),), kind=_KIND, about=f"{task}/{conversation_id}")


def is_for_conversation(tokens: Tokens, authorization: str | None, task: str, conversation_id: str) -> Caller | None:
    """Return the caller whose conversation this header's token opens; None if it is no token for this conversation.

    Raises:
        ScopeMissing: its client may no longer ask the task.
    """
    if not authorization or not authorization.lower().startswith(_BEARER) or len(authorization) > _LONGEST:
        return None
    try:
        signed = tokens.read(authorization[len(_BEARER) :].strip(), kind=_KIND)
    except TokenRefused:
        return None
    if signed.about != f"{task}/{conversation_id}":
        return None
    signed.caller.require(task_scope(task))
    return replace(signed.caller, conversation=signed.about)
