"""Converts a pair to and from a version of MLflow's prompt registry: messages as template, the rest as model config."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from service.core.release.release import DIGEST_TAG
from service.core.release.statements import shown
from service.core.unit.pair import Pair
from service.kit.frame.canonical import canonical_json
from service.kit.frame.errors import PairError, RegistryError

_CONFIG_KEY = "omni_pair"


def to_registry(pair: Pair) -> tuple[list[dict[str, str]], dict[str, Any]]:
    """Return ``(template, model_config)`` for ``register_prompt``."""
    content = pair.content()
    messages = [{"role": m.role, "content": m.content} for m in pair.messages]
    del content["messages"]
    # MLflow's own pages show `model_name` and `temperature`; the pair is read from our key only.
    config = {"model_name": pair.model, "temperature": pair.sampling.temperature, _CONFIG_KEY: content}
    return messages, config


def from_registry(template: object, config: Mapping[str, Any] | None, tags: Mapping[str, str], where: str) -> Pair:
    """Rebuild the pair and compare its digest with the one that was registered.

    Raises:
        RegistryError: the version holds no pair, or its content was changed after it was registered.
    """
    if not isinstance(template, Sequence) or isinstance(template, str) or not isinstance(config, Mapping):
        raise RegistryError(f"{where} was not written by `omni register`: it holds no pair")
    stored = config.get(_CONFIG_KEY)
    if not isinstance(stored, Mapping):
        raise RegistryError(f"{where} holds no pair in its model config; register the pair again")
    try:
        # Parse the canonical form, which the digest is made of: 100.0 has the same digest as 100, but providers refuse it as a
        # number of tokens.
        content = canonical_json({**stored, "messages": [dict(message) for message in template]})
        pair = Pair.from_content(json.loads(content.encode()))
    except (PairError, TypeError, ValueError, RecursionError) as err:
        raise RegistryError(
            f"{where} was changed in the registry and is not a valid pair any more: {err!r:.300}"
        ) from err
    expected = tags.get(DIGEST_TAG)
    if pair.digest != expected:
        raise RegistryError(
            f"{where} was changed after it was registered: its content has digest {pair.digest[:12]}, it was registered as "
            f"{shown(expected or 'none', 12)}; promote the same pair again to put it back, or roll back"
        )
    if config.get("model_name") != pair.model:
        raise RegistryError(
            f"{where}: model_name in its model config was changed after it was registered; promote again"
        )
    return pair
