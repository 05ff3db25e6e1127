"""A planted fault: how it changes a good system, and which of the gate's checks must detect it."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from eval.spine.cases import Case
from eval.spine.suite import Suite
from service.core.llm.model_call import ModelCall, ModelReply
from service.core.unit.pair import Pair
from service.core.unit.pair_file.front_matter import near_or_all
from service.core.unit.question import Use
from service.kit.frame.errors import ConfigurationError

SelftestEngine = Literal["scripted", "extractive", "bundled"]
EVERY_ENGINE: frozenset[SelftestEngine] = frozenset({"scripted", "extractive", "bundled"})

Doctor = Callable[[str, Case, random.Random], str]
# What each part of a pair answers to a call, by the part's name.
PartAnswers = Mapping[str, Callable[[ModelCall], str]]
EditReply = Callable[[ModelReply], ModelReply]
UsesAt = Callable[[ModelCall, Case], tuple[Use, ...]]
EditPair = Callable[[Pair], Pair]
EditCase = Callable[[Case], Case]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """A good system with one fault.

    Only the fields that are set apply: ``edit_pair`` changes the prompt and ``narrow`` the inputs that the candidate sees, and
    the engine is asked again; ``doctor`` rewrites the good system's answer, ``edit_reply`` its usage, latency or uses of tools,
    before the task's own output check. ``plant`` changes the cases for both sides (an injected note, say). The fault counts as
    caught when the verdict is not pass and a check on one of ``targets`` (metric names) is worse than for the system against
    itself.
    """

    name: str
    does: str
    targets: tuple[str, ...]
    engines: frozenset[SelftestEngine] = EVERY_ENGINE
    doctor: Doctor | None = None
    edit_reply: EditReply | None = None
    edit_pair: Mapping[SelftestEngine, EditPair] = field(default_factory=dict)
    narrow: EditCase | None = None
    plant: EditCase | None = None
    blind: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Habit:
    """The scripted model's behaviour if its system message lacks ``instruction``."""

    instruction: str
    doctor: Doctor


@dataclass(frozen=True, slots=True, kw_only=True)
class MutantPlan:
    """A task's planted faults and the good systems that they spoil: ``pairs`` names each engine's pair file.

    ``good`` draws the scripted system's answer to a case, ``habits`` are what it does uninstructed, ``lost`` what it says when
    the prompt shows nothing of the case, ``shown`` the case's texts that a whole prompt holds. ``uses`` are the tools that it
    uses next, none if it answers; the call's turns say what it has used before. ``parts`` says what each part of the pair answers
    to a call, by name; no fault is planted there.
    """

    mutants: tuple[Mutant, ...]
    pairs: Mapping[SelftestEngine, str]
    good: Doctor
    habits: tuple[Habit, ...]
    lost: str
    shown: Callable[[Case], tuple[str, ...]]
    uses: UsesAt | None = None
    parts: PartAnswers = field(default_factory=dict)

    def check_targets(self, suite: Suite) -> None:
        """Refuse a fault that no metric of ``suite`` could detect by its ``targets``, before anything is tried.

        Raises:
            ConfigurationError: naming the fault, its target, and the metric that was probably meant.
        """
        known = [spec.name for spec in suite.metrics] + [judge.score for judge in suite.judges]
        for mutant in self.mutants:
            if not mutant.targets:
                raise ConfigurationError(
                    f"fault {mutant.name!r} of task {suite.task!r} names no target: say in `targets` which metrics must show it"
                )
            for name in mutant.targets:
                if name not in known:
                    hint = near_or_all(name, known, "it has")
                    raise ConfigurationError(
                        f"fault {mutant.name!r} of task {suite.task!r} targets {name!r}, which is no metric of the suite; {hint}"
                    )


def drop_instruction(instruction: str) -> EditPair:
    """Return an edit that takes ``instruction`` (literal text) out of a pair's messages.

    The edit raises ValueError when the pair does not hold it: a fault that changes nothing tests nothing.
    """

    def edit(pair: Pair) -> Pair:
        messages = tuple(replace(m, content=m.content.replace(instruction, "")) for m in pair.messages)
        if messages == pair.messages:
            raise ValueError(f"pair {pair.name!r} does not contain {instruction!r}; fix the planted fault")
        kept = tuple(name for name in pair.variables if any(f"{{{{{name}}}}}" in m.content for m in messages))
        return replace(pair, messages=messages, variables=kept)

    return edit
