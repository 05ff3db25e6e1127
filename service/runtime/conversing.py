"""What conversations need: where they are kept, their turns, who takes them over, and their audit."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from service.audit.auditor import Auditor, AuditStore
from service.conversations.service import Turns
from service.conversations.store import ConversationStore, conversations_in_memory
from service.desk.build import open_callbacks, open_handovers
from service.desk.callback import CallbackStore
from service.desk.queue import HandoverQueue, HandoverWatch
from service.kit.frame.clock import wall_clock
from service.kit.frame.ids import new_id
from service.kit.settings import Settings

if TYPE_CHECKING:
    from service.answers_kept.archive import Archive
    from service.kit.aws.queries import DynamoQueries


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversing:
    """Conversations with customers.

    ``handovers`` None: nobody waits for conversations that are handed over. ``audit`` None: conversations are not audited. Both
    as in the harness's own server.
    """

    store: ConversationStore = field(default_factory=conversations_in_memory)
    handovers: HandoverQueue | None = None
    callbacks: CallbackStore | None = None
    audit: Auditor | None = None
    now: Callable[[], datetime] = field(default_factory=wall_clock)
    ids: Callable[[], str] = new_id
    turns: Turns = field(init=False)
    watch: HandoverWatch | None = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "turns", Turns(store=self.store, now=self.now, ids=self.ids))
        object.__setattr__(
            self, "watch", None if self.handovers is None else HandoverWatch(self.handovers, self.callbacks)
        )


def build_conversing(
    settings: Settings,
    *,
    queries: "DynamoQueries",
    dynamodb: Any,
    bucket: "Archive | None",
    now: Callable[[], datetime],
    guarded: bool,
) -> Conversing:
    """Build what ``settings`` describe; contacts nothing. Without a ``bucket`` conversations are kept in memory."""
    return Conversing(
        store=conversations_in_memory() if bucket is None else _table(settings, queries),
        handovers=open_handovers(settings, now, dynamodb) if guarded else None,
        callbacks=open_callbacks(settings, dynamodb).store if guarded and bucket is not None else None,
        audit=_auditor(settings, dynamodb, bucket, now) if guarded else None,
        now=now,
    )


def _table(settings: Settings, queries: "DynamoQueries") -> ConversationStore:
    from service.conversations.store import conversations_in_tables

    stores = settings.stores
    return conversations_in_tables(
        queries,
        settings,
        scope=settings.stage,
        kept_s=stores.conversation_hours * 3600,
        timeout_s=stores.timeout_s,
    )


def _auditor(settings: Settings, dynamodb: Any, bucket: "Archive | None", now: Callable[[], datetime]) -> Auditor:
    """Return the auditor of conversations; without a bucket the log alone has their events."""
    from service.audit.stores import AuditObjects, FindingTable, Spooled
    from service.kit.aws.stores import FINDINGS
    from service.kit.records.build import open_rows

    stores: list[AuditStore] = []
    if bucket is not None:
        kept = (AuditObjects(bucket), FindingTable(open_rows(settings, FINDINGS, dynamodb)))
        stores = [Spooled(store, settings.state_dir / "audit" / store.name) for store in kept]
    return Auditor(now=now, environment=settings.environment, stores=stores)
