"""Which server a model is called at, who named it, and whether it is the provider's own service."""

import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from service.core.llm.model_call import AnswerOrigin
from service.core.unit.cards import ModelCard

NamedBy = Literal["environment", "card", "nobody"]
# Hosts of the providers' own services, from their API references (2026-11). Another host counts as a server that somebody named.
_OWN_HOSTS: Mapping[str, tuple[str, ...]] = {
    "anthropic": ("api.anthropic.com",),
    "azure": (".openai.azure.com", ".cognitiveservices.azure.com"),
    "azure_ai": (".services.ai.azure.com", ".models.ai.azure.com", ".inference.ai.azure.com"),
    "cohere": ("api.cohere.com", "api.cohere.ai"),
    "cohere_chat": ("api.cohere.com", "api.cohere.ai"),
    "deepseek": ("api.deepseek.com",),
    "gemini": ("generativelanguage.googleapis.com",),
    "groq": ("api.groq.com",),
    "mistral": ("api.mistral.ai",),
    "openai": ("api.openai.com", ".api.openai.com"),
    "openrouter": ("openrouter.ai",),
    "together_ai": ("api.together.xyz", "api.together.ai"),
    "vertex_ai": (".googleapis.com",),
    "xai": ("api.x.ai", ".api.x.ai"),
}
# Bedrock's public, FIPS, dual-stack and VPC endpoints. Anybody may run a server under amazonaws.com (API Gateway, a load
# balancer, a bucket), so the service's name and a region must stand before it.
_BEDROCK_HOST = re.compile(
    r"(?:bedrock-runtime(?:-fips)?|bedrock-mantle)\.{region}\.(?:amazonaws\.com(?:\.cn)?|api\.aws)"
    r"|vpce-[a-z0-9-]+\.bedrock-runtime\.{region}\.vpce\.amazonaws\.com(?:\.cn)?".replace(
        "{region}", r"[a-z]{2,4}(?:-[a-z]+){1,2}-\d{1,2}"
    )
)
# Further variables in which litellm 1.106 looks for a provider's address, found by setting them all (2026-11).
_OTHER_VARIABLES: Mapping[str, tuple[str, ...]] = {
    "datarobot": ("DATAROBOT_ENDPOINT",),
    "fireworks_ai": ("FIREWORKS_API_BASE",),
    "friendliai": ("FRIENDLI_API_BASE",),
    "gradient_ai": ("GRADIENT_AI_AGENT_ENDPOINT",),
    "lambda_ai": ("LAMBDA_API_BASE",),
    "meta_llama": ("LLAMA_API_BASE",),
    "mistral": ("MISTRAL_AZURE_API_BASE",),
    "vertex_ai": ("VERTEXAI_API_BASE",),
    "watsonx": ("WATSONX_URL", "WX_URL", "WML_URL"),
}
# Names under which litellm calls a server of one's own. Without its address litellm would send some of them to OpenAI.
_NO_SERVICE = frozenset(
    {
        "custom",
        "custom_openai",
        "hosted_vllm",
        "litellm_proxy",
        "lm_studio",
        "oobabooga",
        "openai_like",
        "triton",
        "vllm",
    }
)
# These have a usual port on this machine.
_THIS_MACHINE = frozenset({"docker_model_runner", "lemonade", "llamafile", "ollama", "ollama_chat"})
# Their credentials are not the key that we can leave out (a token of the account, which litellm fetches or reads by itself), so
# a server that only a card names cannot be kept from getting them. Found by asking each with a marked environment (2026-11).
_OTHER_CREDENTIALS = frozenset({"vertex_ai", "vertex_ai_beta", "watsonx", "watsonx_text"})
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelServer:
    """Where a model of the wire ``litellm`` is called; ``url`` None is the address that litellm knows for the provider.

    ``named_by`` says whether the environment or only a card names it. A card is a file that others may change, so it must not
    send a key from the environment to a server of its choice.
    """

    provider: str
    url: str | None
    named_by: NamedBy

    @property
    def is_own(self) -> bool:
        """Whether this is the provider's own service, as far as is known before a call."""
        if self.url is not None:
            return is_own_host(self.provider, self.url)
        return self.provider not in _NO_SERVICE | _THIS_MACHINE

    @property
    def missing(self) -> bool:
        """Whether the model cannot be called because nobody named its server."""
        return self.url is None and self.provider in _NO_SERVICE

    @property
    def takes_keys(self) -> bool:
        """Whether keys from the environment may be sent to it."""
        return self.is_own or self.named_by != "card"

    @property
    def would_get_credentials(self) -> bool:
        """Whether a call would take the account's credentials to a server that only a card names."""
        return not self.takes_keys and self.provider in _OTHER_CREDENTIALS

    @property
    def plain(self) -> bool:
        """Whether prompts would travel unencrypted to another machine."""
        return is_plain(self.url or "")

    def origin(self, sent_to: str) -> AnswerOrigin:
        """Return the origin of an answer to a request that went to the URL ``sent_to``; "" if litellm did not report it."""
        url = sent_to or self.url
        if url is None:
            return "provider" if self.is_own else "endpoint"
        if self.provider in _OWN_HOSTS:
            return "provider" if is_own_host(self.provider, url) else "endpoint"
        return "provider" if self.is_own and self.url is None and _is_public(url) else "endpoint"


def server_of(card: ModelCard, endpoints: Mapping[str, str]) -> ModelServer:
    """Return the server of ``card``: from ``endpoints`` (by model id), the provider's own variables, or the card."""
    provider = card.id.partition("/")[0]
    named = endpoints.get(card.id) or _from_environment(provider)
    if named:
        return ModelServer(provider=provider, url=named, named_by="environment")
    return ModelServer(provider=provider, url=card.api_base, named_by="card" if card.api_base else "nobody")


def is_own_host(provider: str, url: str) -> bool:
    """Return whether ``url`` is a service of ``provider`` itself: TLS proves the host's name."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if provider == "bedrock":
        return parts.scheme == "https" and _BEDROCK_HOST.fullmatch(host) is not None
    return parts.scheme == "https" and any(
        host.endswith(own) if own.startswith(".") else host == own for own in _OWN_HOSTS.get(provider, ())
    )


def is_plain(url: str) -> bool:
    """Return whether a request to ``url`` would travel unencrypted to another machine."""
    parts = urlsplit(url)
    return parts.scheme == "http" and (parts.hostname or "") not in _LOOPBACK


def server_variables(provider: str) -> tuple[str, ...]:
    """Return the environment variables in which litellm looks for the address of a provider's server."""
    name = provider.upper().removesuffix("_CHAT")
    return (f"{name}_BASE_URL", f"{name}_API_BASE", *_OTHER_VARIABLES.get(provider, ()))


def _from_environment(provider: str) -> str | None:
    return next((found for name in server_variables(provider) if (found := os.environ.get(name))), None)


def _is_public(url: str) -> bool:
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return parts.scheme == "https" and "." in host
    return False
