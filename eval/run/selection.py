"""Chooses the pairs that an evaluation runs by default: candidates and floors whose own models can answer here."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from figures.command_line import omni
from service.core.knowledge.installed import INSTALL, is_installed
from service.core.llm.servers import server_of
from service.core.run.task import Task
from service.core.unit.cards import ModelCard, ModelCards
from service.core.unit.pair import Pair
from service.core.unit.pair_file.front_matter import near_or_all
from service.kit.aws.clients import has_credentials
from service.kit.frame.errors import ConfigurationError
from service.kit.settings import Settings

DEMO_DATASET = "dev"  # not the gate's cases, which are for evidence
DEMO_CASES = 8  # a minute on two idle cores with the bundled model

Reason = Literal["demo", "provider", "key", "extra"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A pair that is evaluated only if --pairs names it.

    ``demo``: the pair's file says so. ``provider``: Bedrock cannot be reached. ``key``: no key of its
    provider is set. ``extra``: its code needs an extra that is not installed.
    """

    pair: Pair
    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The pairs to evaluate, and those left out."""

    pairs: tuple[Pair, ...]
    left_out: tuple[LeftOut, ...]

    def without(self, *reasons: Reason) -> tuple[Pair, ...]:
        """Return the pairs left out for one of ``reasons``."""
        return tuple(item.pair for item in self.left_out if item.reason in reasons)


def select_pairs(
    pairs: Sequence[Pair],
    cards: ModelCards,
    settings: Settings,
    *,
    credentials: Callable[[], bool] = has_credentials,
    installed: Callable[[], bool] = is_installed,
) -> Selection:
    """Divide ``pairs`` into those to evaluate and those that are demos or that their own models cannot answer here.

    Code runs, unless the extra that it needs is not ``installed``. A provider's model can be called at a configured endpoint, or
    in ``aws`` with ``credentials``. In ``local`` without an endpoint the bundled model would answer in its place, and its
    figures would not be the model's.
    """
    chosen: list[Pair] = []
    left_out: list[LeftOut] = []
    reachable: bool | None = None
    for pair in pairs:
        if pair.role == "demo":
            left_out.append(LeftOut(pair=pair, reason="demo"))
            continue
        asked = [cards.get(model) for model in pair.models]
        if not all(_has_key(card) for card in asked if card.wire == "litellm"):
            left_out.append(LeftOut(pair=pair, reason="key"))
            continue
        if any(card.extra is not None for card in asked) and not installed():
            left_out.append(LeftOut(pair=pair, reason="extra"))
            continue
        if any(card.wire == "bedrock" and card.runs == "provider" for card in asked):
            if reachable is None:
                reachable = _provider_reachable(settings, credentials)
            if not reachable:
                left_out.append(LeftOut(pair=pair, reason="provider"))
                continue
        chosen.append(pair)
    return Selection(pairs=tuple(chosen), left_out=tuple(left_out))


def left_out_lines(left_out: Sequence[LeftOut], task: str, settings: Settings) -> list[str]:
    """Return a line for each reason: which pairs were left out, why, and the command that evaluates them or one of them."""
    lines = []
    demos = [item.pair.name for item in left_out if item.reason == "demo"]
    if demos:
        command = _elsewhere("local", settings) + demo_command(demos[0], task, settings)
        lines.append(f"Left out: {', '.join(demos)}. A demo never has to pass. Try one: {command}")
    provider = [item.pair.name for item in left_out if item.reason == "provider"]
    if provider:
        command = _elsewhere("aws", settings) + omni("eval", task=task)
        how = (
            "There are no AWS credentials to call their models with"
            if settings.environment == "aws"
            else ("Their models run at a provider, which OMNI_ENVIRONMENT=local does not call")
        )
        lines.append(f"Left out: {', '.join(provider)}. {how}. With AWS_PROFILE (or other credentials) set: {command}")
    keyless = [item.pair for item in left_out if item.reason == "key"]
    if keyless:
        check = omni("models", "check", keyless[0].model)
        names = ", ".join(pair.name for pair in keyless)
        lines.append(f"Left out: {names}. No key of their provider is set; this names the variable: {check}")
    bare = [item.pair.name for item in left_out if item.reason == "extra"]
    if bare:
        lines.append(f"Left out: {', '.join(bare)}. The extra that their code needs is not installed; {INSTALL}")
    return lines


def demo_command(pair_name: str, task: str, settings: Settings) -> str:
    """Return the command that shows a demo on few cases, of the development set where the task has one."""
    words = ["eval", "--pairs", pair_name]
    if (settings.datasets_dir / task / f"{DEMO_DATASET}.jsonl").exists():
        words += ["--dataset", DEMO_DATASET]
    return omni(*words, "--cases", str(DEMO_CASES), task=task)


def _elsewhere(environment: str, settings: Settings) -> str:
    return "" if settings.environment == environment else f"OMNI_ENVIRONMENT={environment} "


def _has_key(card: ModelCard) -> bool:
    """Return whether a model without a server of one's own has a key in a variable that begins like its provider's name.

    Providers name them in many ways: PERPLEXITYAI_API_KEY, TOGETHERAI_API_KEY, VERTEXAI_PROJECT.
    """
    server = server_of(card, {})
    begins = ("GOOGLEAPIKEY", "GEMINI") if server.provider == "gemini" else (server.provider.upper().replace("_", ""),)
    return not server.is_own or any(
        name.replace("_", "").startswith(begins)
        and name.endswith(("_KEY", "_PROJECT", "_TOKEN"))
        and os.environ.get(name)
        for name in list(os.environ)  # another thread that imports libraries may take variables away meanwhile
    )


def _provider_reachable(settings: Settings, credentials: Callable[[], bool]) -> bool:
    if settings.bedrock.endpoint is not None:
        return True
    return settings.environment == "aws" and credentials()


def check_code(pair: Pair, task: Task[Any], cards: ModelCards) -> None:
    """Refuse a pair whose model is code that the task does not have: every answer would fail."""
    for model in pair.models:
        if cards.get(model).wire == "in_process" and model not in task.in_process:
            known = near_or_all(model, task.in_process, "it has") if task.in_process else "it has no in_process at all"
            raise ConfigurationError(
                f"pair {pair.name!r} names the model {model!r}, which is code, and task {task.name!r} has no function for it in "
                f"in_process; {known}"
            )
