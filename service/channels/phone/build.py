"""Opens what the phone's function and commands use, by the settings."""

from functools import lru_cache, partial
from typing import Any, NamedTuple

from service.access.sealing import KmsSealer, Sealer
from service.channels.phone.function import PhoneFunction
from service.channels.phone.voicemail import VoicemailStore
from service.core.tasks.assistant.knowledge import bank_knowledge
from service.kit.aws.clients import client
from service.kit.aws.stores import VOICEMAILS
from service.kit.frame.clock import wall_clock
from service.kit.records.build import open_rows
from service.kit.settings import Settings

SEALED_AS = "omni-voicemail"  # the name of the KMS encryption context of sealed numbers


class OpenVoicemails(NamedTuple):
    """Where messages are kept, and what opens their callers' numbers."""

    store: VoicemailStore
    sealer: Sealer


def open_voicemails(settings: Settings) -> OpenVoicemails:
    """Return the table and the KMS key of ``settings``, which name an AWS. Contacts nothing."""
    store = VoicemailStore(open_rows(settings, VOICEMAILS), scope=settings.stage)
    # The key is that of callbacks; the context's name keeps the two kinds of secrets apart.
    return OpenVoicemails(
        store, KmsSealer(partial(client, "kms", settings), settings.stores.callbacks_kms_key, sealed_as=SEALED_AS)
    )


def phone_function(settings: Settings) -> PhoneFunction:
    """Return the function of ``settings``, which name an AWS. Contacts nothing."""
    opened = open_voicemails(settings)

    @lru_cache(maxsize=1)
    def connect() -> Any:
        return client("connect", settings, attempts=1)

    return PhoneFunction(
        store=opened.store,
        sealer=opened.sealer,
        hours=bank_knowledge().specialist_calendar,
        connect=connect,
        now=wall_clock(settings.clock_file),
    )
