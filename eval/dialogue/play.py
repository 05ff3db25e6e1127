"""Plays a conversation between the task and a scripted customer, with the tools of the case's own world."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from pydantic import BaseModel

from eval.dialogue.agents import SourcesOf, own_words
from eval.dialogue.customer import Counterpart, Over, ScriptedCustomer
from eval.dialogue.model_customer import ModelCustomer, customer_pair
from eval.dialogue.record import ConversationRecord, TurnRecord, UseRecord
from eval.dialogue.scenario import ConversationScenario, CustomerScript
from eval.dialogue.states import changes
from eval.dialogue.transcript import about, customer_words, transcript
from eval.dialogue.world import CaseWorld, FaultyTools
from eval.spine.case_rules import Passage
from eval.spine.cases import Case
from eval.spine.code_digest import without_words
from eval.spine.episode import AnswerRun, Ask
from eval.spine.errors import CaseError
from service.core.run.dialogue.turn import MOST_HISTORY, DialogueInputs, DialogueReply, Spoken
from service.core.run.task import TaskResult
from service.core.tools.allowed import AllowedTools
from service.core.tools.documents import DocumentIndexes, WithDocuments
from service.core.tools.use import TracedStep
from service.core.unit.pair import Pair, ToolSpec
from service.kit.frame.errors import ConfigurationError

# The customer's side of a conversation: a change here asks other questions of the same pair.
_COUNTERPART = ("customer.py", "play.py", "questions.py", "record.py", "scenario.py", "states.py", "world.py")


@dataclass(frozen=True, kw_only=True)
class DialogueEpisode:
    """See ``eval.spine.episode.CaseEpisode``.

    ``world`` opens the world of a scenario; it is a function of a module, because other processes get it, too. ``specs`` are
    all tools that it has; a pair names those that it may use. ``ignored`` are fields of the records that conversations of equal
    worth may leave different: free text, logs of reads. ``sources`` is the task's (``Task.sources``), for gold runs.
    ``customer`` is the prompt and model that play the customers in place of the scripts, for runs that are no evidence.
    ``documents`` are what tools of a pair search that name an index.
    """

    world: Callable[[ConversationScenario], CaseWorld]
    specs: Sequence[ToolSpec] = ()
    ignored: tuple[str, ...] = ()
    sources: SourcesOf = own_words
    input_model: type[DialogueInputs] = DialogueInputs
    customer: Pair | None = None
    documents: DocumentIndexes | None = None
    scenario_model: ClassVar[type[BaseModel]] = ConversationScenario

    @property
    def digest(self) -> str:
        """See ``CaseEpisode.digest``."""
        here, digest = Path(__file__).parent, hashlib.sha256()
        for name in _COUNTERPART:
            digest.update(without_words((here / name).read_text(encoding="utf-8")).encode())
        if self.customer is not None:
            digest.update(self.customer.digest.encode())
        return digest.hexdigest()

    def played_by(self, model: str) -> "DialogueEpisode":
        """See ``CaseEpisode.played_by``."""
        return replace(self, customer=customer_pair(model))

    def with_documents(self, documents: DocumentIndexes) -> "DialogueEpisode":
        """See ``CaseEpisode.with_documents``."""
        return replace(self, documents=documents)

    def transcript(self, output: str) -> str:
        """See ``CaseEpisode.transcript``."""
        return transcript(ConversationRecord.model_validate_json(output))

    def about(self, case: Case) -> tuple[Mapping[str, str], Mapping[str, str]]:
        """See ``CaseEpisode.about``."""
        return about(case)

    def passages(self, inputs: BaseModel) -> tuple[Passage, ...]:
        """See ``CaseEpisode.passages``."""
        assert isinstance(inputs, ConversationScenario)
        return customer_words(inputs.customer)

    async def play(self, case: Case, repeat: int, pair: Pair, answer: AnswerRun, ask: Ask | None = None) -> TaskResult:
        """See ``CaseEpisode.play``."""
        return await self.play_with(case, repeat, {spec.name: spec for spec in pair.tools}, answer, ask)

    async def play_with(
        self,
        case: Case,
        repeat: int,
        specs: Mapping[str, ToolSpec],
        answer: AnswerRun,
        ask: Ask | None = None,
    ) -> TaskResult:
        """Return the conversation of ``answer``, which may use the tools ``specs``, with the case's customer."""
        scenario = ConversationScenario.model_validate(case.inputs)
        world = self.world(scenario)
        offered = world if self.documents is None else WithDocuments(world, specs.values(), self.documents)
        faulty = FaultyTools(offered, scenario.faults)
        tools = AllowedTools(specs=specs, tools=faulty, run_id=f"{case.id}-{repeat}", logged=False)
        customer = self._customer(scenario.customer, case.id, repeat, ask)
        history, turns, results = list[Spoken](), list[TurnRecord](), list[TaskResult]()
        message = await customer.next(None)
        while isinstance(message, str):
            inputs = self.input_model(
                conversation_id=f"{case.id}-{repeat}"[-80:],
                message=message,
                history=tuple(history[-MOST_HISTORY:]),
                session=scenario.session,
            )
            results.append(await answer(inputs, tools))
            if faulty.broke is not None:
                raise CaseError(
                    f"case {case.id}: its world broke: {faulty.broke!r}; mend the suite's tools or the case"
                )
            turn = _turn_of(message, customer, results[-1], specs)
            turns.append(turn)
            if turn.reply is None:
                message = Over("failed")
                break
            history += [Spoken(by="customer", text=message), Spoken(by="assistant", text=turn.reply.reply)]
            message = await customer.next(turn.reply)
        assert isinstance(message, Over)
        record = ConversationRecord(
            turns=tuple(turns),
            ended=message.ending,
            changes=changes(scenario.world, world.records, self.ignored),
            unscored=customer.unscored,
        )
        return _as_one(results, record)

    def _customer(self, script: CustomerScript, case_id: str, repeat: int, ask: Ask | None) -> Counterpart:
        if self.customer is None:
            return ScriptedCustomer(script, case_id, repeat)
        if ask is None:
            raise ConfigurationError("a model plays the customers, and nobody can ask it")
        return ModelCustomer(script, self.customer, ask)


def _turn_of(message: str, customer: Counterpart, result: TaskResult, specs: Mapping[str, ToolSpec]) -> TurnRecord:
    fields = {} if result.output is None else json.loads(result.output)
    own = DialogueReply.model_fields
    return TurnRecord(
        message=message,
        confirms=customer.confirms,
        reopens=customer.reopens,
        reply=DialogueReply.model_validate({name: fields[name] for name in own if name in fields}) if fields else None,
        more={name: value for name, value in fields.items() if name not in own},
        uses=tuple(_use_of(step, specs) for step in result.trace if step.kind == "tool"),
        failure=result.failure,
        rejected=result.raw_text,
    )


def _use_of(step: TracedStep, specs: Mapping[str, ToolSpec]) -> UseRecord:
    spec = specs.get(step.name)
    return UseRecord(
        tool=step.name,
        arguments=dict(step.arguments or {}),
        status=step.status,
        content=step.content,
        allowed=spec is not None,
        writes=spec is not None and spec.writes,
        undecided=step.undecided,
        reason=step.reason,
    )


def _as_one(results: Sequence[TaskResult], record: ConversationRecord) -> TaskResult:
    """Return the turns' results as one: times, usage and costs are summed.

    A turn that failed is part of the record and no failure of the result: what was done before it must be judged, too.
    """
    last = results[-1]
    costs = [result.cost for result in results]
    known = [cost for cost in costs if cost is not None]
    return replace(
        last,
        output=record.model_dump_json(),
        failure=None,
        failure_message="",
        raw_text="",
        arm="backup" if any(result.arm == "backup" for result in results) else last.arm,
        answered_by=" + ".join(dict.fromkeys(result.answered_by for result in results if result.answered_by)),
        origins=tuple(dict.fromkeys(origin for result in results for origin in result.origins)),
        latency_ms=sum(result.latency_ms for result in results),
        model_ms=sum(result.model_ms for result in results),
        attempts=sum(result.attempts for result in results),
        usage=sum((result.usage for result in results[1:]), results[0].usage),
        estimated_usage=sum((result.estimated_usage for result in results[1:]), results[0].estimated_usage),
        cost=sum(known[1:], known[0]) if len(known) == len(costs) else None,
        guarded=tuple(kind for result in results for kind in result.guarded),
        guard_findings=sum(result.guard_findings for result in results),
        repaired=any(result.repaired for result in results),
        # Who was asked and what it read; the record has the texts, and the uses of tools.
        trace=tuple(replace(step, content="") for result in results for step in result.trace if step.kind == "model"),
    )
