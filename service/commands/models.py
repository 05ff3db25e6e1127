"""``models check``: ask a model a question and say what answered, what it costs and what it can do."""

import asyncio
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.kit.frame.display.output import AsJson, human_text, print_json
from service.kit.frame.display.terminal import say

if TYPE_CHECKING:
    from service.core.llm.gateway import LiteLLMGateway
    from service.core.llm.model_call import ModelCall, ModelReply
    from service.core.unit.cards import ModelCard, ModelCards
    from service.kit.settings import Settings

models = typer.Typer(no_args_is_help=True, help="Look at models before a pair names them.")
ApiBase = Annotated[
    str | None,
    typer.Option("--api-base", help="Address of the server that runs the model, such as http://localhost:8000/v1."),
]
_TIMEOUT_S = 60.0
_FORM = {
    "type": "object",
    "properties": {"colour": {"type": "string"}},
    "required": ["colour"],
    "additionalProperties": False,
}
_WIDTH = 19


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCheck:
    """What two calls of a model showed."""

    card: "ModelCard"
    text: "ModelReply"
    form: "ModelReply"
    pieces: int
    seconds: float
    not_taken: tuple[str, ...]


@models.callback()
def about_models() -> None:
    """Look at models before a pair names them."""


@models.command("check")
def check(
    model: Annotated[str, typer.Argument(metavar="ID", help="For example openai/gpt-4o-mini or ollama/llama3.2.")],
    api_base: ApiBase = None,
    as_json: AsJson = False,
) -> None:
    """Ask a model one short question in text and one in a form, and print who answered, its price and what it can do."""
    from service.core.unit.cards import ModelCards
    from service.kit.settings import Settings

    settings = with_api_base(Settings(), model, api_base)
    cards = ModelCards.load(settings.prompts_dir / "models.yaml")
    with human_text(as_json=as_json), ExitStack() as stack:
        found = asyncio.run(_ask(_gateway(stack, settings, cards, model), cards.get(model)))
        rows = _rows(found)
        if not as_json:
            say("\n".join([model, *(f"  {name:<{_WIDTH}}{value}" for name, value in rows.items())]))
    if as_json:
        print_json({"model": model, **{name.replace(" ", "_"): value for name, value in rows.items()}})


def with_api_base(settings: "Settings", model: str, api_base: str | None) -> "Settings":
    """Return ``settings`` with the address of the server of ``model``.

    Raises:
        ConfigurationError: it is no address of a web service.
    """
    from urllib.parse import urlsplit

    from service.kit.frame.errors import ConfigurationError

    if api_base is None:
        return settings
    try:
        parts = urlsplit(api_base)
        _ = parts.port  # raises for a port that is none
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
        raise ConfigurationError(
            "--api-base is not the address of a server, as in http://localhost:8000/v1; a key belongs into the provider's "
            "environment variable"
        )
    return settings.model_copy(update={"model_endpoints": {**settings.bedrock.model_endpoints, model: api_base}})


def _gateway(stack: ExitStack, settings: "Settings", cards: "ModelCards", model: str) -> "LiteLLMGateway":
    from service.core.llm.gateway import build_gateway
    from service.kit.frame.errors import ConfigurationError
    from service.local.process import LocalBedrock

    card = cards.get(model)
    if card.wire == "in_process":
        raise ConfigurationError(f"model {model!r} is code of this package; there is nothing to call")
    if card.wire == "bedrock" and settings.environment == "local" and settings.bedrock.endpoint is None:
        server = stack.enter_context(LocalBedrock())
        settings = settings.model_copy(update={"bedrock_endpoint": server.url})
    gateway = build_gateway(settings, cards, {})
    gateway.warm_up()
    return gateway


async def _ask(gateway: "LiteLLMGateway", card: "ModelCard") -> ModelCheck:
    from dataclasses import replace

    pieces: list[str] = []
    call = _call(card.id)
    started = time.perf_counter()
    text = await gateway.stream(call, pieces.append)
    seconds = time.perf_counter() - started
    form = await gateway.complete(replace(call, answer_schema=_FORM))
    return ModelCheck(
        card=card,
        text=text,
        form=form,
        pieces=len(pieces),
        seconds=seconds,
        not_taken=gateway.not_taken(replace(call, answer_schema=_FORM)),
    )


def _call(model: str) -> "ModelCall":
    from service.core.llm.model_call import ModelCall
    from service.core.unit.pair import PromptMessage, Sampling

    return ModelCall(
        model=model,
        messages=(
            PromptMessage(role="system", content="You answer in a few words."),
            PromptMessage(role="user", content="Which colour has a clear sky at noon? Name the colour."),
        ),
        # Models that think before they answer need room for it.
        sampling=Sampling(max_output_tokens=400),
        timeout_s=_TIMEOUT_S,
    )


def _rows(found: ModelCheck) -> dict[str, str]:
    from service.core.llm.pricing import cost_of

    card, text = found.card, found.text
    costs = [cost_of(reply.usage, card) for reply in (text, found.form)]
    known = [cost.metered_usd for cost in costs if cost is not None]
    rows = {
        "answered by": text.answered_by,
        "origin": text.origin,
        "price": _price(card),
        "context": f"{card.context_tokens:,} tokens" if card.context_tokens else "unknown",
        "streaming": f"yes, {found.pieces} pieces" if found.pieces > 1 else "no, in one piece",
        "structured output": "yes" if _fits(found.form.text) else "no, it answered in prose",
        "usage": "stated" if text.metered else "not stated; costs are estimated from the texts",
        "took": f"{found.seconds:.2f} s",
        "cost of this check": f"${sum(known):.6f}" if known else "unknown",
    }
    if card.end_of_life is not None:
        rows["end of life"] = str(card.end_of_life)
    if found.not_taken:
        rows["does not take"] = ", ".join(found.not_taken)
    return rows


def _price(card: "ModelCard") -> str:
    prices = card.prices
    if prices is None:
        return "unknown: it can be tried, but it cannot pass the gate before a card in prompts/models.yaml states its price"
    read = f"{prices.date}, " if prices.date else ""
    per_million = (f"{amount.normalize():f}" for amount in (prices.input, prices.output))
    return "${} in, ${} out per million tokens ({}{})".format(*per_million, read, prices.source)


def _fits(text: str) -> bool:
    import json

    try:
        answer: Any = json.loads(text)
    except ValueError:
        return False
    return isinstance(answer, dict) and set(answer) == {"colour"} and isinstance(answer["colour"], str)
