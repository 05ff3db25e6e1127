"""What answers: the tasks, the pairs that serve them, their rollouts and tools, and the models."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from service.core.llm.model_call import Gateway
from service.core.release.served import PairSource, ServedPair
from service.core.run.task import Task, load_task, task_names
from service.core.tools.functions import ToolFunction
from service.core.tools.serving import TaskTools, build_task_tools
from service.core.unit.cards import ModelCards
from service.core.unit.pair_file.artifacts import built_in
from service.desk.build import callback_book
from service.desk.tool import with_kept_callbacks
from service.interactions.reader import InteractionReader
from service.kit.frame.errors import ConfigurationError
from service.kit.records.shared_state import SharedState
from service.kit.records.shared_watch import SharedWatch
from service.kit.settings import Settings
from service.rollouts.control import RolloutControl, build_rollouts
from service.rollouts.shadow import Shadow

if TYPE_CHECKING:
    from service.answers_kept.archive import Archive
    from service.kit.aws.queries import DynamoQueries


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsweringParts:
    """What a run of a task needs. ``warm_up`` prepares the gateway, None if it needs nothing."""

    cards: ModelCards
    gateway: Gateway
    interactions: InteractionReader
    tasks: Mapping[str, Task[Any]]
    pair_sources: Mapping[str, PairSource]
    rollouts: Mapping[str, RolloutControl] = field(default_factory=dict)
    shadow: Shadow | None = None
    tools: Mapping[str, TaskTools] = field(default_factory=dict)
    warm_up: Callable[[], None] | None = None

    def start(self) -> None:
        """Start each task's pair source and rollout."""
        for source in self.pair_sources.values():
            source.start()
        for rollout in self.rollouts.values():
            rollout.start()

    def pair_for(self, task: str, unit: str | None) -> ServedPair:
        """Return the pair that answers ``unit`` (an account number; None: the task has no unit) for ``task``.

        Raises:
            RegistryError: no verified pair has been found yet.
        """
        rollout = self.rollouts.get(task)
        return self.pair_sources[task].current() if rollout is None else rollout.choose(unit)


def build_answering(
    settings: Settings,
    *,
    shared: SharedState | None,
    watch: SharedWatch,
    queries: "DynamoQueries",
    dynamodb: Any,
    bucket: "Archive | None",
    now: Callable[[], datetime],
) -> AnsweringParts:
    """Build what ``settings`` describe; contacts nothing.

    Raises:
        ConfigurationError, PairError: a file that it reads is missing or wrong, or a required task does not exist.
    """
    from service.core.llm.gateway import build_gateway
    from service.core.llm.logged_gateway import LoggedGateway
    from service.core.llm.streaming import StreamingGateway
    from service.interactions.reader import build_interactions

    tasks = _tasks(settings)
    cards = ModelCards.load(settings.prompts_dir / "models.yaml")
    code = {model: code for task in tasks.values() for model, code in task.in_process.items()}
    gateway = build_gateway(settings, cards, code)
    tools = build_task_tools(settings, _tool_functions(settings, tasks, shared, dynamodb, now), shared)
    sources = _pair_sources(settings, tools, shared, bucket, watch)
    return AnsweringParts(
        cards=cards,
        gateway=LoggedGateway(StreamingGateway(gateway), cards),
        interactions=build_interactions(settings, queries),
        tasks=tasks,
        pair_sources=sources,
        rollouts=build_rollouts(settings, sources, shared, watch, {name: found.check for name, found in tools.items()}),
        shadow=Shadow(settings.state_dir / "shadow", archive=bucket),
        tools=tools,
        warm_up=gateway.warm_up,
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
    for name, task in tasks.items():
        for artifact in task.built_in:
            built_in(name, artifact)  # read once, here: whoever changed the file finds out before a customer does
    if unknown := sorted(set(settings.tools.servers) - set(tasks)):
        raise ConfigurationError(f"OMNI_TOOLS_SERVERS names {', '.join(unknown)}; tasks: {', '.join(tasks)}")
    if unknown := sorted(set(settings.tools.tokens) - set(settings.tools.servers)):
        raise ConfigurationError(f"OMNI_TOOLS_TOKENS names {', '.join(unknown)}, for which there is no server")
    return tasks
