"""Translates litellm's exceptions into ours; a message names what is wrong and the remedy, and never quotes the provider."""

import re
from typing import Any, TypeVar
from urllib.parse import urlsplit

from service.core.llm.model_call import ModelReply
from service.core.llm.servers import ModelServer
from service.core.unit.cards import ModelCard
from service.core.unit.cards.cost_map import near_names
from service.kit.frame.errors import (
    DeadlineExceeded,
    ModelError,
    ModelUnusable,
    QuotaExceeded,
    RequestRejected,
    SafetyRefused,
    UpstreamUnavailable,
)

_Failure = TypeVar("_Failure", bound=ModelError)
_SPENT = (
    "insufficient_quota",
    "exceeded your current quota",
    "billing_hard_limit",
    "credit balance is too low",
    "budget has been exceeded",
)
_NO_SERVER = ("ConnectError", "ClientConnectorError", "ClientConnectorDNSError", "ConnectionRefusedError", "gaierror")
_CUT = ("ClientPayloadError", "IncompleteRead", "ReadError", "RemoteProtocolError", "ServerDisconnectedError")
_CODE = re.compile(r"^[a-z0-9_.-]{1,40}$", re.IGNORECASE)


def charged(failure: _Failure, reply: ModelReply) -> _Failure:
    """Return ``failure`` with the answer that the provider charges for although it cannot be used."""
    failure.charged_reply = reply
    return failure


def translated(err: Exception, model: str, exceptions: Any) -> ModelError:
    """Return our error for ``err`` of any wire; ``exceptions`` is litellm's module of that name, None before its import."""
    if exceptions is not None:
        if isinstance(err, exceptions.RateLimitError):
            return QuotaExceeded(f"{model} throttles us; lower the concurrency or raise the account's quota")
        if isinstance(err, exceptions.Timeout):
            return DeadlineExceeded(f"{model} gave no answer in time")
        if isinstance(err, exceptions.ContextWindowExceededError):
            return RequestRejected(f"the prompt is longer than {model}'s context; shorten the history or the prompt")
        if isinstance(err, exceptions.ContentPolicyViolationError):
            return SafetyRefused(f"{model}'s content policy stopped the request")
    status = status_of(err)
    if 400 <= status < 500 and status not in (408, 429):
        return RequestRejected(
            f"{model} rejects the request ({status} {type(err).__name__}); check model id, access and prompt"
        )
    return UpstreamUnavailable(f"{model} failed ({type(err).__name__}, status {status or 'none'})")


def translated_anywhere(err: Exception, card: ModelCard, server: ModelServer, exceptions: Any) -> ModelError:
    """Return our error for ``err`` of the wire ``litellm``: what no further call can cure is ``ModelUnusable``."""
    model, where = card.short_name, urlsplit(server.url or "").netloc or f"{server.provider}'s service"
    if isinstance(err, exceptions.RateLimitError) and any(word in str(err).lower() for word in _SPENT):
        return ModelUnusable(f"{model}: the account's budget is spent; raise its limit at {where}, then run again")
    if isinstance(err, exceptions.AuthenticationError | exceptions.PermissionDeniedError):
        return ModelUnusable(f"{model}: {where} {_key_problem(server, status_of(err))}")
    if isinstance(err, exceptions.NotFoundError):
        return ModelUnusable(f"{model}: {where} has no such model{_instead(card, server)}")
    if isinstance(err, exceptions.ContextWindowExceededError | exceptions.ContentPolicyViolationError):
        return translated(err, model, exceptions)
    if isinstance(err, exceptions.UnsupportedParamsError):
        return ModelUnusable(f"{model} does not take an option of this pair; see omni models check {card.id}")
    if found := next((cause for cause in _causes(err) if isinstance(cause, ModelUnusable)), None):
        return ModelUnusable(f"{model}: {found}")  # ours, from within litellm
    names = {type(cause).__name__ for cause in _causes(err)}
    if names.intersection(_NO_SERVER):
        return UpstreamUnavailable(f"{model}: no server answers at {where}; check its address and that it runs")
    if names.intersection(_CUT):  # litellm says 500 of these, which nobody sent
        return UpstreamUnavailable(f"{model}: {where} broke its answer off; try again later, or check it")
    if "JSONDecodeError" in names:
        return UpstreamUnavailable(f"{model}: {where} answered with what is no JSON; try again later, or check it")
    if any(_is_error_body(cause) for cause in _causes(err)):
        return UpstreamUnavailable(
            f"{model}: {where} answered 200 with an error{_code_of(err)} in place of an answer; try again later, or check it"
        )
    return translated(err, model, exceptions)


def status_of(err: Exception) -> int:
    """Return an error's HTTP status, 0 for none: servers also put words there."""
    try:
        return int(getattr(err, "status_code", 0) or 0)
    except (TypeError, ValueError):
        return 0


def _key_problem(server: ModelServer, status: int) -> str:
    variable = f"{server.provider.upper()}_API_KEY"
    if not server.takes_keys:
        return (
            f"wants a key ({status}), and none is sent to a server that only a card names; name it in "
            f"OMNI_MODEL_ENDPOINTS too, and set {variable}"
        )
    return f"refuses the key ({status}): it is wrong, has expired or may not use this model; set a new {variable}"


def _instead(card: ModelCard, server: ModelServer) -> str:
    if not server.is_own:
        return " or no such path; check the name and the address (it usually ends in /v1)"
    near = [found for found in near_names(card.id) if found != card.id]
    return f"; did you mean {' or '.join(map(repr, near))}?" if near else "; check the name"


def _causes(err: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    seen: BaseException | None = err
    while seen is not None and seen not in found:
        found.append(seen)
        seen = seen.__cause__ or seen.__context__
    return found


def _is_error_body(err: BaseException) -> bool:
    """Whether litellm found an error in a body of status 200: it keeps the status, or the body's code, which may be a word."""
    code = getattr(err, "status_code", None)
    return code == 200 or (isinstance(code, str) and not code.isdecimal())


def _code_of(err: Exception) -> str:
    code = str(getattr(err, "status_code", ""))
    return f" ({code})" if _CODE.match(code) and not code.isdecimal() else ""
