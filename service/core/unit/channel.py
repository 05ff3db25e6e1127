"""The channels on which a customer and a company reach each other, and what each of them can carry."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a channel can carry.

    Attributes:
        speech: the customer speaks and listens.
        markup: a message may have headings, lists and links that the customer sees as such.
        most_chars: the longest text of one message that the channel takes; None: no bound of its own.
        reply_within: how long after the customer's last message the channel takes a reply; None: always.
    """

    speech: bool = False
    markup: bool = False
    most_chars: int | None = None
    reply_within: timedelta | None = None

    @property
    def written(self) -> bool:
        """Whether the customer writes and reads."""
        return not self.speech


class Channel(StrEnum):
    """A way between a customer and a company; the value is what records and requests hold."""

    IVR = "ivr"
    AGENT = "agent"
    CHAT = "chat"
    EMAIL = "email"
    SMS = "sms"
    WEB = "web"
    MOBILE_APP = "mobile_app"
    SOCIAL = "social"
    VOICE = "voice"

    @property
    def can(self) -> Capabilities:
        """What the channel can carry."""
        return _CAPABILITIES[self]


_CAPABILITIES = {
    Channel.IVR: Capabilities(speech=True),
    Channel.AGENT: Capabilities(speech=True),
    Channel.VOICE: Capabilities(speech=True),
    Channel.CHAT: Capabilities(most_chars=4_000),  # what this service's page shows of one message
    Channel.EMAIL: Capabilities(markup=True),
    # 10 parts of a concatenated message with 153 characters each (3GPP TS 23.040); carriers often cap the parts at 4 to 10.
    Channel.SMS: Capabilities(most_chars=1_530),
    Channel.WEB: Capabilities(markup=True),
    Channel.MOBILE_APP: Capabilities(markup=True),
    # Meta's messaging window (developers.facebook.com, Messenger platform, Instagram: 24 hours; 7 days for a person's answer) and
    # the 1,000 characters that vendors of inboxes state for Instagram (help.zaapi.com, limitations; both looked up 2026-11-23).
    Channel.SOCIAL: Capabilities(most_chars=1_000, reply_within=timedelta(hours=24)),
}


class _Among:
    """Accepts some channels by their values; schema and errors are those of a list of texts."""

    def __init__(self, *channels: Channel) -> None:
        self._values = [channel.value for channel in channels]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(Channel, core_schema.literal_schema(self._values))


# In which the systems of a company record contacts.
RECORDED = tuple(channel for channel in Channel if channel is not Channel.VOICE)
# On which this service holds conversations itself.
SPOKEN_ON = (Channel.CHAT, Channel.VOICE)
RecordedChannel = Annotated[Channel, _Among(*RECORDED)]
ConversationChannel = Annotated[Channel, _Among(*SPOKEN_ON)]
