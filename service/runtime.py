"""The composition root: the only place that builds clients; tests pass ``create_app`` a runtime made of fakes."""

import asyncio
import os
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from service.access.control import Access
from service.access.shared_limits import SharedLimits
from service.answers_kept.store import Summaries
from service.audit.auditor import Auditor, AuditStore
from service.calls.rescorings import RescoringDesk
from service.calls.reviews import CallReviews
from service.calls.store.forms import Forms
from service.calls.tenants.desk import TenantDesk
from service.conversations.store import ConversationsInMemory, ConversationStore
from service.conversations.turns import Turns
from service.core.llm.model_call import Gateway
from service.core.llm.reliability import Reliability
from service.core.release.served import PairSource, ServedPair
from service.core.run.task import Task, load_task, task_names
from service.core.tools.functions import ToolFunction
from service.core.tools.serving import TaskTools, build_task_tools
from service.core.unit.cards import ModelCards
from service.dashboards.reader import DashboardReader, build_dashboards
from service.desk.build import callback_book, open_handovers
from service.desk.queue import HandoverQueue
from service.desk.tool import with_kept_callbacks
from service.desk.watch import HandoverWatch
from service.interactions.reader import InteractionReader
from service.kit.aws.shared_state import SharedState
from service.kit.aws.shared_watch import SharedWatch
from service.kit.frame.clock import wall_clock
from service.kit.frame.errors import ConfigurationError
from service.kit.settings import Settings
from service.kit.telemetry.log import Event, log
from service.kit.telemetry.loop_lag import Crowding
from service.rollouts.control import RolloutControl, build_rollouts
from service.rollouts.shadow import Shadow

if TYPE_CHECKING:
    from service.answers_kept.archive import Archive
    from service.kit.aws.queries import DynamoQueries


_LOOK_AGAIN_S = 0.05


def _new_id() -> str:
    return os.urandom(6).hex()


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """Everything that a request needs from outside.

    ``now`` is the wall clock (aware UTC), ``clock`` is monotonic in seconds, ``ids`` returns 12 random hexadecimal digits.
    ``handovers`` None: nobody waits for conversations that are handed over, as in the harness's own server.
    ``access`` None turns access control off: only tests and the harness's own server on loopback are built so.
    """

    settings: Settings
    cards: ModelCards
    gateway: Gateway
    interactions: InteractionReader
    tasks: Mapping[str, Task[Any]]
    pair_sources: Mapping[str, PairSource]
    summaries: Summaries = field(default_factory=Summaries)
    now: Callable[[], datetime] = field(default_factory=wall_clock)
    clock: Callable[[], float] = time.monotonic
    ids: Callable[[], str] = _new_id
    warm_up: Callable[[], None] | None = None
    access: Access | None = None
    forms: Forms | None = None
    calls: CallReviews | None = None
    rescorings: RescoringDesk | None = None
    tenants: TenantDesk | None = None
    rollouts: Mapping[str, RolloutControl] = field(default_factory=dict)
    shadow: Shadow | None = None
    dashboards: DashboardReader | None = None
    tools: Mapping[str, TaskTools] = field(default_factory=dict)
    disconnect: Callable[[], Awaitable[None]] | None = None
    conversations: ConversationStore = field(default_factory=ConversationsInMemory)
    handovers: HandoverQueue | None = None
    audit: Auditor | None = None  # None: conversations are not audited, as in tests and the harness's own server
    shared: SharedState | None = None
    watch: SharedWatch = field(default_factory=lambda: SharedWatch(None))
    reliability: Reliability = field(init=False)  # its clock is the runtime's own
    crowding: Crowding = field(init=False)
    limits: SharedLimits = field(init=False)
    turns: Turns = field(init=False)
    handover_watch: HandoverWatch | None = field(init=False)
    # Set when the server stops: what streams for as long as a customer waits then ends, and they ask another process.
    leaving: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        object.__setattr__(self, "reliability", Reliability(self.clock))
        object.__setattr__(
            self, "crowding", Crowding(from_s=self.settings.serving.crowded_from_s, clock=time.monotonic)
        )
        throttle = None if self.access is None else self.access.throttle
        object.__setattr__(self, "limits", SharedLimits(self.shared, throttle, self.reliability))
        object.__setattr__(self, "turns", Turns(store=self.conversations, now=self.now, ids=self.ids))
        object.__setattr__(self, "handover_watch", None if self.handovers is None else HandoverWatch(self.handovers))

    def open(self) -> None:
        """Start each task's pair source and, in the background, the gateway's warm-up; readiness does not wait for it."""
        self.summaries.open()
        self.crowding.start()
        if self.handover_watch is not None:
            self.handover_watch.start()
        # The registry client imports MLflow, and two imports at once slow each other down. With a last known good pair the
        # first requests need litellm only, so the registry is asked after the warm-up, about two seconds after the start.
        registry_later = self.warm_up is not None and self._can_serve()
        if not registry_later:
            self._start_pair_sources()
        if self.warm_up is not None:
            # Until litellm is imported, which takes seconds, requests wait for this process: no delay is a model's fault yet.
            self.reliability.breakers.armed = False
            warming = threading.Thread(
                target=self._warm_up, args=(registry_later,), name="gateway-warm-up", daemon=True
            )
            warming.start()
        log(Event.SERVICE_STARTED, environment=self.settings.environment, tasks=" ".join(sorted(self.tasks)))

    async def until_known(self, patience_s: float) -> None:
        """Wait at most ``patience_s`` seconds until each required task has a pair, or a reason why it has none."""
        until = time.monotonic() + patience_s
        # The pair sources refresh in threads and know no event loop.
        while time.monotonic() < until and not self._is_known():  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_AGAIN_S)

    def _is_known(self) -> bool:
        sources = self.pair_sources
        found = [sources[name].status() for name in self.settings.serving.required_tasks if name in sources]
        return all(status.served is not None or status.last_error is not None for status in found)

    async def close(self) -> None:
        """Stop the pair sources' threads, write the pending records and close the stores."""
        await self.turns.aclose()
        for source in self.pair_sources.values():
            source.stop()
        self.crowding.stop()
        if self.handover_watch is not None:
            self.handover_watch.stop()
        if self.audit is not None:
            self.audit.close()
        self.summaries.close()
        for rollout in self.rollouts.values():
            rollout.stop()
        self.watch.stop()
        self.limits.stop()
        if self.dashboards is not None:
            self.dashboards.close()
        for tools in self.tools.values():
            await tools.aclose()
        if self.disconnect is not None:
            await self.disconnect()
        log(Event.SERVICE_STOPPED)

    def pair_for(self, task: str, unit: str | None) -> ServedPair:
        """Return the pair that answers ``unit`` (an account number; None: the task has no unit) for ``task``.

        Raises:
            RegistryError: no verified pair has been found yet.
        """
        rollout = self.rollouts.get(task)
        return self.pair_sources[task].current() if rollout is None else rollout.choose(unit)

    def _can_serve(self) -> bool:
        sources = self.pair_sources
        return all(name in sources and sources[name].status().served for name in self.settings.serving.required_tasks)

    def _start_pair_sources(self) -> None:
        for source in self.pair_sources.values():
            source.start()
        for rollout in self.rollouts.values():
            rollout.start()
        self.watch.start()
        self.limits.start()

    def _warm_up(self, then_start_sources: bool) -> None:
        assert self.warm_up is not None
        try:
            self.warm_up()
        except Exception as err:  # the first model call meets the same error and reports it to its caller
            log(Event.WARM_UP_FAILED, error=type(err).__name__)
        finally:
            self.reliability.breakers.armed = True
            if then_start_sources:
                self._start_pair_sources()


def build_runtime(settings: Settings, *, guarded: bool = True) -> Runtime:
    """Build the clients that ``settings`` describes; contacts nothing.

    No setting turns access control off. ``guarded`` False does: the harness serves to itself on loopback and has neither
    token keys nor clients.

    Raises:
        ConfigurationError: model cards, access files or the log's key are missing or wrong, or a required task does not exist.
    """
    # Imported here, so that a test with fakes does not load boto3, mlflow and litellm.
    from service.access.control import account_key, open_access
    from service.access.items import PARTITION as ACCESS
    from service.core.llm.gateway import build_gateway
    from service.core.llm.logged_gateway import LoggedGateway
    from service.core.llm.streaming import StreamingGateway
    from service.interactions.observed import build_interactions
    from service.kit.aws.clients import client
    from service.kit.aws.queries import DynamoQueries
    from service.kit.aws.shared_state import open_shared_state
    from service.kit.telemetry.fields import set_account_key

    tasks = _tasks(settings)
    cards = ModelCards.load(settings.prompts_dir / "models.yaml")
    code = {model: code for task in tasks.values() for model, code in task.in_process.items()}
    gateway = build_gateway(settings, cards, code)
    now = wall_clock(settings.clock_file)
    # One attempt in botocore: the history reader and the writers retry within their own time limits.
    dynamodb, s3 = (client(name, settings, attempts=1) for name in ("dynamodb", "s3"))
    queries = DynamoQueries.beside(dynamodb, settings)
    if guarded:  # otherwise account hashes use this process's random key
        set_account_key(account_key(settings))
    shared = open_shared_state(settings, dynamodb)
    watch = SharedWatch(shared)
    access = open_access(settings, shared) if guarded else None
    if access is not None:
        watch.on_change(ACCESS, access.refresh)
    bucket = _bucket(settings, s3)
    tools = build_task_tools(settings, _tool_functions(settings, tasks, shared, dynamodb, now), shared)
    sources = _pair_sources(settings, tools, shared, bucket, watch)
    return Runtime(
        settings=settings,
        cards=cards,
        now=now,
        gateway=LoggedGateway(StreamingGateway(gateway), cards),
        interactions=build_interactions(settings, queries),
        **_stores(settings, cards, queries=queries, dynamodb=dynamodb, s3=s3, now=now),
        tasks=tasks,
        pair_sources=sources,
        rollouts=build_rollouts(settings, sources, shared, watch, {name: found.check for name, found in tools.items()}),
        tools=tools,
        shared=shared,
        watch=watch,
        shadow=Shadow(settings.state_dir / "shadow", archive=bucket),
        dashboards=build_dashboards(settings),
        warm_up=gateway.warm_up,
        access=access,
        handovers=open_handovers(settings, now, dynamodb) if guarded else None,
        audit=_auditor(settings, dynamodb, bucket, now) if guarded else None,
        disconnect=queries.aclose,
    )


def _tool_functions(
    settings: Settings,
    tasks: Mapping[str, Task[Any]],
    shared: SharedState | None,
    dynamodb: Any,
    now: Callable[[], datetime],
) -> dict[str, Sequence[ToolFunction]]:
    """Return the tools of each task; with a shared table the callbacks that they promise are kept for the worker."""
    functions = {name: task.tool_functions for name, task in tasks.items()}
    if shared is None:
        return functions
    book = callback_book(settings, now, dynamodb)
    return {name: with_kept_callbacks(own, book) for name, own in functions.items()}


def _pair_sources(
    settings: Settings,
    tools: Mapping[str, TaskTools],
    shared: SharedState | None,
    bucket: "Archive | None",
    watch: SharedWatch,
) -> dict[str, PairSource]:
    """Return the source of each task's pair; a release that another process notes makes it look at once."""
    from service.core.release.registry import RegistryPairSource
    from service.core.release.release_copies import ReleaseCopies, release_partition

    sources: dict[str, PairSource] = {}
    for name, found in tools.items():
        copies = ReleaseCopies(name, settings, shared, bucket)
        source = RegistryPairSource(name, settings, copies=copies, fits=found.check)
        watch.on_change(release_partition(name), source.wake)
        sources[name] = source
    return sources


def _tasks(settings: Settings) -> dict[str, Task[Any]]:
    tasks = {name: load_task(name) for name in task_names()}
    unknown = sorted(set(settings.serving.required_tasks) - set(tasks))
    if unknown:
        raise ConfigurationError(f"OMNI_REQUIRED_TASKS names {', '.join(unknown)}; tasks: {', '.join(tasks)}")
    if unknown := sorted(set(settings.tools.servers) - set(tasks)):
        raise ConfigurationError(f"OMNI_TOOLS_SERVERS names {', '.join(unknown)}; tasks: {', '.join(tasks)}")
    if unknown := sorted(set(settings.tools.tokens) - set(settings.tools.servers)):
        raise ConfigurationError(f"OMNI_TOOLS_TOKENS names {', '.join(unknown)}, for which there is no server")
    return tasks


def _bucket(settings: Settings, s3: Any) -> "Archive | None":
    """Return the bucket of answers, shadow answers and copies of releases; None in `local` without a local AWS endpoint."""
    if settings.environment == "local" and settings.aws.endpoint is None:
        return None
    from service.answers_kept.archive import Archive

    return Archive(s3, settings.stores.archive_bucket)


def _auditor(settings: Settings, dynamodb: Any, bucket: "Archive | None", now: Callable[[], datetime]) -> Auditor:
    """Return the auditor of conversations; without a bucket the log alone has their events."""
    from service.audit.spooled import Spooled
    from service.audit.stores import AuditObjects, FindingTable

    stores: list[AuditStore] = []
    if bucket is not None:
        kept = (AuditObjects(bucket), FindingTable(dynamodb, settings.stores.findings_table))
        stores = [Spooled(store, settings.state_dir / "audit" / store.name) for store in kept]
    return Auditor(now=now, environment=settings.environment, stores=stores)


def _stores(
    settings: Settings,
    cards: ModelCards,
    *,
    queries: "DynamoQueries",
    dynamodb: Any,
    s3: Any,
    now: Callable[[], datetime],
) -> dict[str, Any]:
    """Return the stores in AWS by their field names in ``Runtime``; none in `local` without a local AWS endpoint."""
    if settings.environment == "local" and settings.aws.endpoint is None:
        return {}
    from service.answers_kept.store import build_summaries
    from service.calls.rescorings import build_rescorings
    from service.calls.reviews import build_reviews
    from service.calls.store.form_store import build_forms
    from service.calls.tenants.build import build_desk
    from service.conversations.table import ConversationTable

    stores = settings.stores
    conversations = ConversationTable(
        queries,
        stores.conversations_table,
        scope=settings.stage,
        kept_s=stores.conversation_hours * 3600,
        timeout_s=stores.timeout_s,
    )
    forms = build_forms(settings, dynamodb=dynamodb, now=now)
    summaries = build_summaries(settings, queries=queries, dynamodb=dynamodb, s3=s3, now=now, clock=time.monotonic)
    return {
        "conversations": conversations,
        "summaries": summaries,
        "forms": forms,
        "tenants": build_desk(settings, cards, dynamodb=dynamodb),
        "calls": build_reviews(settings, dynamodb=dynamodb, s3=s3, now=now),
        "rescorings": build_rescorings(settings, forms=forms, dynamodb=dynamodb, s3=s3, now=now),
    }
