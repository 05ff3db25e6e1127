"""The function behind an Amazon Lex V2 bot: each turn of a caller becomes a message in one of the service's conversations.

What was said is kept by the service; the bot's session holds the conversation's id and the number of the turn. Whatever goes
wrong, the caller is handed to a person and hears nothing of it.
"""

import asyncio
import hashlib
import re
from collections.abc import Mapping
from functools import cache

import httpx2
from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from service.channels.amazon_lex.lex_models import MOST_CHARS, MOST_MESSAGES, LexEvent, lex_answer
from service.channels.amazon_lex.service_client import ConversationGone, SaidBack, ServiceAway, ServiceClient
from service.core.unit.channel import Channel
from service.kit.telemetry.log import Event, configure_logging, log

CONVERSATION, TURN, TRANSFER, REASON = "conversation_id", "conversation_turn", "transfer_to_agent", "handover_reason"
TO_A_PERSON = "Let me connect you with one of our specialists who can assist you. One moment please."
SAY_AGAIN = "I'm sorry, I didn't catch that. Could you say it again?"
_FALLBACK = "FallbackIntent"
_ID = re.compile(r"conv-[0-9a-f]{24}")
_MOST_SAID = 2_000
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


class LexSettings(BaseSettings):
    """Settings of the function, from ``OMNI_LEX_*`` environment variables."""

    model_config = SettingsConfigDict(env_prefix="OMNI_LEX_", frozen=True)

    url: str  # the service's address
    task: str = "assistant"  # whose conversations it continues
    client_id: str | None = None  # of a client with the scope of the task
    client_secret: SecretStr | None = None  # its secret
    # Of one turn with its repetitions; Lex ends the function after 30 seconds.
    timeout_s: float = Field(default=10.0, gt=0, le=25)
    # Session attributes that only the contact flow sets, with their names as verified values of the conversation.
    verified: dict[str, str] = {"customer_phone": "phone"}


class LexChannel:
    """Answers the events of one bot."""

    def __init__(self, service: ServiceClient, *, verified: Mapping[str, str], timeout_s: float) -> None:
        self._service = service
        self._verified = verified
        self._timeout_s = timeout_s

    async def handle(self, event: object) -> dict[str, object]:
        """Return Lex's answer to ``event``. Never raises: the caller must reach a person when all else fails."""
        try:
            asked = LexEvent.model_validate(event)
        except ValidationError as err:
            log(Event.REQUEST_FAILED, failure_code="INVALID_REQUEST", wrong_fields=err.error_count())
            return _ended({}, _FALLBACK, TO_A_PERSON, transfer="technical_issues", fulfilled=False)
        given = asked.session_state.session_attributes or {}
        # The flow may send a caller back to the bot; what an earlier turn decided must not transfer who only says goodbye.
        attributes = {name: value for name, value in given.items() if name not in (TRANSFER, REASON)}
        intent = _FALLBACK if asked.session_state.intent is None else asked.session_state.intent.name
        said = asked.input_transcript.strip()[:_MOST_SAID]
        if not said:
            return _listening(attributes, SAY_AGAIN)
        try:
            async with asyncio.timeout(self._timeout_s):
                conversation, back = await self._turn(asked, attributes, said)
        except Exception as err:
            # Nothing may keep the caller from a person, a fault of our own least of all.
            log(Event.REQUEST_FAILED, failure_code="UPSTREAM_UNAVAILABLE", error=type(err).__name__)
            return _ended(attributes, intent, TO_A_PERSON, transfer="technical_issues", fulfilled=False)
        attributes |= {CONVERSATION: conversation, TURN: str(_number(attributes) + 1)}
        if back.state == "handed_over":
            text = back.reply or back.notice or TO_A_PERSON
            return _ended(attributes, intent, text, transfer=back.reason or "explicit_request")
        if back.state == "closed":
            return _ended(attributes, intent, back.reply or "")
        return _listening(attributes, back.reply or SAY_AGAIN)

    async def _turn(self, asked: LexEvent, attributes: Mapping[str, str], said: str) -> tuple[str, SaidBack]:
        """Say it in the session's conversation, or in a new one if it has none that takes it."""
        known = attributes.get(CONVERSATION, "")
        message_id = _message_id(asked, known, attributes, said)
        if _ID.fullmatch(known):
            try:
                return known, await self._service.say(known, message_id, said)
            except ConversationGone:
                pass  # expired or closed: the caller goes on in a new one
        session = {name: attributes[given] for given, name in self._verified.items() if attributes.get(given)}
        # The same event starts the same conversation, however often Lex delivers it.
        conversation = await self._service.start(message_id, session, channel=Channel.VOICE)
        try:
            return conversation, await self._service.say(conversation, message_id, said)
        except ConversationGone as err:
            raise ServiceAway("a new conversation takes no message") from err


def lambda_handler(event: object, context: object) -> dict[str, object]:
    """Answer one event: AWS Lambda's entry point."""
    runner, channel = _opened()
    return runner.run(channel.handle(event))


@cache
def _opened() -> tuple[asyncio.Runner, LexChannel]:
    """Open once per process: connections and token outlive an event."""
    configure_logging()
    settings = LexSettings()
    secret = settings.client_secret
    service = ServiceClient(
        http=httpx2.AsyncClient(base_url=settings.url, timeout=settings.timeout_s),
        task=settings.task,
        timeout_s=settings.timeout_s,
        client_id=settings.client_id,
        client_secret=None if secret is None else secret.get_secret_value(),
    )
    return asyncio.Runner(), LexChannel(service, verified=settings.verified, timeout_s=settings.timeout_s)


def _number(attributes: Mapping[str, str]) -> int:
    text = attributes.get(TURN, "0")
    return int(text) if re.fullmatch(r"\d{1,6}", text) else 0


def _message_id(asked: LexEvent, conversation: str, attributes: Mapping[str, str], said: str) -> str:
    """Name the event: delivered again it has the same name, and the next turn another one even with the same words."""
    parts = (
        asked.bot.id,
        asked.bot.alias_id,
        asked.session_id,
        conversation,
        str(_number(attributes)),
        asked.session_state.originating_request_id or "",
        said,
    )
    return "lex-" + hashlib.sha256("\0".join(parts).encode()).hexdigest()[:40]


def _listening(attributes: Mapping[str, str], text: str) -> dict[str, object]:
    return lex_answer("ElicitIntent", attributes, _messages(text))


def _ended(
    attributes: Mapping[str, str], intent: str, text: str, *, transfer: str | None = None, fulfilled: bool = True
) -> dict[str, object]:
    more = {} if transfer is None else {TRANSFER: "true", REASON: transfer}
    ended = {"name": intent, "state": "Fulfilled" if fulfilled else "Failed"}
    return lex_answer("Close", {**attributes, **more}, _messages(text), ended)


def _messages(text: str) -> list[str]:
    """Cut a text into messages that Lex takes, where sentences end."""
    pieces: list[str] = []
    for sentence in _SENTENCE_END.split(text.strip()):
        for start in range(0, len(sentence), MOST_CHARS):
            part = sentence[start : start + MOST_CHARS]
            if pieces and len(pieces[-1]) + 1 + len(part) <= MOST_CHARS:
                pieces[-1] = f"{pieces[-1]} {part}"
            else:
                pieces.append(part)
    return [piece for piece in pieces[:MOST_MESSAGES] if piece.strip()]
