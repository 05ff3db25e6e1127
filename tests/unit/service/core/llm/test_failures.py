"""What is said of a call whose answer did not arrive whole, which litellm reports as status 500."""

import json
from types import SimpleNamespace

import httpx
import pytest

from service.core.llm.failures import translated_anywhere
from service.core.llm.servers import ModelServer
from service.core.unit.cards import ModelCard
from service.kit.frame.errors import UpstreamUnavailable

NAMES = (
    "RateLimitError AuthenticationError PermissionDeniedError NotFoundError ContextWindowExceededError "
    "ContentPolicyViolationError UnsupportedParamsError Timeout"
)
EXCEPTIONS = SimpleNamespace(**{name: type(name, (Exception,), {}) for name in NAMES.split()})
CARD = ModelCard(id="openai/m", short_name="openai/m", wire="litellm", runs="provider")
SERVER = ModelServer(provider="openai", url="http://127.0.0.1:9/v1", named_by="environment")


class Reported(Exception):
    status_code = 500


def told(cause):
    try:
        raise Reported("what litellm says") from cause
    except Reported as err:
        return translated_anywhere(err, CARD, SERVER, EXCEPTIONS)


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        (httpx.ReadError("cut"), "127.0.0.1:9 broke its answer off"),
        (json.JSONDecodeError("Unterminated string", "{", 1), "127.0.0.1:9 answered with what is no JSON"),
        (None, "status 500"),
    ],
)
def test_status_500_is_said_only_where_a_server_sent_it(cause, words):
    error = told(cause)
    assert isinstance(error, UpstreamUnavailable)
    assert words in str(error)
    assert ("status" in str(error)) is (cause is None)
