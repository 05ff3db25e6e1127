"""What litellm's bundled cost map says of a model, read from the installed package's files without importing litellm (3 s)."""

import difflib
import importlib.metadata
import importlib.util
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

_PRICES = "model_prices_and_context_window_backup.json"
_PROVIDERS = "provider_endpoints_support_backup.json"
_BEDROCK = ("bedrock", "bedrock_converse")
_CHAT_MODES = ("chat", "completion", "responses")
_MILLION = 1_000_000
# Providers that run on machines of one's own, where a price of zero is true.
_OWN_SERVERS = frozenset(
    {"ollama", "ollama_chat", "hosted_vllm", "vllm", "lm_studio", "llamafile", "lemonade", "docker_model_runner"}
)
_ALWAYS_SEARCH = frozenset({"perplexity"})
_FEES = ("input_cost_per_request", "cost_per_second", "input_cost_per_second")
_DEARER_ABOVE = re.compile(r"input_cost_per_token_above_(\d+)k_tokens")
_NEAR = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownModel:
    """One entry of the map; prices are USD per one million tokens, and None where the map has none."""

    provider: str
    mode: str
    input: Decimal | None
    output: Decimal | None
    cache_read: Decimal | None
    cache_write: Decimal | None
    context_tokens: int | None
    end_of_life: date | None

    @property
    def on_bedrock(self) -> bool:
        """Whether the entry is a model of Amazon Bedrock."""
        return self.provider in _BEDROCK

    @property
    def chats(self) -> bool:
        """Whether the model answers conversations, unlike an embedding model."""
        return self.mode in _CHAT_MODES


def cost_map_source() -> str:
    """Return the name of the map with litellm's version, for a card's ``source``."""
    return f"litellm {importlib.metadata.version('litellm')} cost map"


def known_model(model_id: str) -> KnownModel | None:
    """Return the map's entry of ``provider/model`` or of a Bedrock id, or None if it has none."""
    provider, slash, name = model_id.partition("/")
    entry = _entries().get(model_id)
    if entry is None and slash:
        entry = _entries().get(name)
        if entry is not None and entry.get("litellm_provider") != provider:
            entry = None
    if entry is None:
        return None
    unpriced = _is_unpriced(entry)
    ends = entry.get("deprecation_date")
    return KnownModel(
        provider=str(entry.get("litellm_provider", "")),
        mode=str(entry.get("mode", "")),
        input=None if unpriced else _per_million(entry, "input_cost_per_token"),
        output=None if unpriced else _output_price(entry),
        cache_read=_per_million(entry, "cache_read_input_token_cost"),
        cache_write=_per_million(entry, "cache_creation_input_token_cost"),
        context_tokens=_context(entry),
        end_of_life=date.fromisoformat(ends) if ends else None,
    )


def is_provider(name: str) -> bool:
    """Return whether litellm can call models as ``name/model``."""
    return name in _provider_names()


def near_names(model_id: str) -> list[str]:
    """Return up to three known ids like ``model_id``, best first, in the form in which they are asked for."""
    provider, slash, name = model_id.partition("/")
    if slash and not is_provider(provider):
        return [f"{found}/{name}" for found in difflib.get_close_matches(provider, _provider_names(), _NEAR, 0.6)]
    names = {key: _full_id(key, entry) for key, entry in _entries().items() if entry.get("mode") in _CHAT_MODES}
    if slash:
        of_provider = [full for full in names.values() if full.startswith(f"{provider}/")]
        return difflib.get_close_matches(model_id, of_provider, _NEAR, 0.6)
    own = {key: full for key, full in names.items() if "/" not in key}
    if model_id in own:
        return [own[model_id]]
    return [own[found] for found in difflib.get_close_matches(model_id, own, _NEAR, 0.6)]


def _full_id(key: str, entry: Mapping[str, Any]) -> str:
    provider = str(entry.get("litellm_provider", ""))
    if provider in _BEDROCK or key.startswith(f"{provider}/"):
        return key
    return f"{provider}/{key}"


def _is_unpriced(entry: Mapping[str, Any]) -> bool:
    """Return whether the entry's prices do not tell what a call costs: it has other fees, or a provider's prices are all zero."""
    provider = entry.get("litellm_provider")
    fees = [*_FEES, "search_context_cost_per_query"] if provider in _ALWAYS_SEARCH else _FEES
    free = not entry.get("input_cost_per_token") and not entry.get("output_cost_per_token")
    return any(entry.get(name) for name in fees) or (free and provider not in _OWN_SERVERS)


def _output_price(entry: Mapping[str, Any]) -> Decimal | None:
    """Return the price of output tokens; reasoning tokens are among them, so the dearer of both."""
    plain = _per_million(entry, "output_cost_per_token")
    reasoning = _per_million(entry, "output_cost_per_reasoning_token")
    return plain if plain is None or reasoning is None else max(plain, reasoning)


def _context(entry: Mapping[str, Any]) -> int | None:
    """Return the length of a prompt that the prices hold for: longer ones are dearer with some models."""
    tokens = entry.get("max_input_tokens") or entry.get("max_tokens")
    dearer = [int(found[1]) * 1000 for name in entry if (found := _DEARER_ABOVE.fullmatch(name))]
    return min([int(tokens), *dearer]) if tokens else None


def _per_million(entry: Mapping[str, Any], name: str) -> Decimal | None:
    value = entry.get(name)
    return None if value is None else Decimal(str(value)) * _MILLION


@cache
def _entries() -> Mapping[str, Mapping[str, Any]]:
    found: dict[str, dict[str, Any]] = _read(_PRICES)
    return {key: entry for key, entry in found.items() if key != "sample_spec"}


@cache
def _provider_names() -> frozenset[str]:
    listed: dict[str, dict[str, Any]] = _read(_PROVIDERS)["providers"]
    chatting = {name for name, entry in listed.items() if entry.get("endpoints", {}).get("chat_completions")}
    return frozenset(name for name in chatting if "/" not in name)


def _read(name: str) -> dict[str, Any]:
    spec = importlib.util.find_spec("litellm")
    if spec is None or spec.origin is None:
        return {"providers": {}} if name == _PROVIDERS else {}
    found: dict[str, Any] = json.loads((Path(spec.origin).parent / name).read_text(encoding="utf-8"))
    return found
