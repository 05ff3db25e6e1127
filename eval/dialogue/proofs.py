"""Proves conversation cases: the gold run passes, every planted fault of it fails, and five useless agents fail."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from eval.dialogue.agents import PLACEHOLDER, Agent, GoldAgent, degenerate_agents
from eval.dialogue.judging import proposed_not_permitted, wrongs
from eval.dialogue.mutations import mutations_of
from eval.dialogue.play import DialogueEpisode
from eval.dialogue.record import ConversationRecord
from eval.dialogue.scenario import ConversationScenario, DialogueExpectations, GoldReply
from eval.dialogue.scorers import expectations_of, silence_is_right
from eval.spine.cases import Case
from service.core.statements.grounding.text import form_occurs
from service.core.unit.pair import ToolSpec

if TYPE_CHECKING:
    from rich.console import Console

_WIDTH = 100


@dataclass(slots=True, kw_only=True)
class CaseProof:
    """What the proof of one case found. ``caught`` counts, by kind of fault and by score, what failed as it should.

    ``missed`` are the kinds of faults that nothing caught, ``passed_by`` the useless agents that are right.
    """

    case_id: str
    problems: list[str] = field(default_factory=list)
    caught: Counter[tuple[str, str]] = field(default_factory=Counter)
    tried: Counter[str] = field(default_factory=Counter)
    missed: list[str] = field(default_factory=list)
    passed_by: list[str] = field(default_factory=list)
    silence_right: bool = False


def prove_cases(episode: DialogueEpisode, cases: Sequence[Case]) -> list[CaseProof]:
    """Return the proof of each case, in their order."""
    return [asyncio.run(_proof(episode, case)) for case in cases]


async def _proof(episode: DialogueEpisode, case: Case) -> CaseProof:
    expected = expectations_of(case)
    scenario = ConversationScenario.model_validate(case.inputs)
    specs = {spec.name: spec for spec in episode.specs}
    proof = CaseProof(case_id=case.id, silence_right=silence_is_right(expected))
    proof.problems += _known_beforehand(expected)
    record = await _played(episode, case, specs, GoldAgent(expected.gold, episode.sources))
    right = wrongs(record, expected)
    proof.problems += [f"the gold run is wrong: {wrong}" for found in right.values() for wrong in found]
    if record.unscored:
        proof.problems.append(f"the gold run is not scored: {record.unscored}")
    notes = [turn.reply.handover.context for turn in record.turns if turn.reply and turn.reply.handover]
    unfilled = [text for text in (*record.replies, *notes) if PLACEHOLDER.search(text)]
    proof.problems += [f"the gold run says what no tool returned: {text}" for text in unfilled]
    unmet = _never_met(scenario, record)
    proof.problems += [f"the gold run never meets {what}: it ends before, or the plan is wrong" for what in unmet]
    for mutation in mutations_of(scenario, expected):
        spoilt = await _played(episode, case, specs, GoldAgent(mutation.gold, episode.sources))
        proof.tried[mutation.kind] += 1
        failed = _caught_by(spoilt, expected)
        if not failed:
            proof.missed.append(mutation.kind)
            proof.problems.append(f"passes with a planted fault: {mutation.kind} ({mutation.what})")
        proof.caught.update((mutation.kind, name) for name in failed)
    for name, agent in degenerate_agents(scenario, expected).items():
        found = wrongs(await _played(episode, case, specs, agent), expected)
        if not any(found.values()):
            proof.passed_by.append(name)
            proof.problems.append(f"an agent that {_DOES[name]} passes")
    return proof


def _caught_by(record: ConversationRecord, expected: DialogueExpectations) -> list[str]:
    """Return the scores of an evaluation that see a fault; what nobody can judge shows in the share of unscored ones alone."""
    failed = [] if record.unscored else [f"{name}_right" for name, wrong in wrongs(record, expected).items() if wrong]
    if proposed_not_permitted(record, expected):
        failed.append("not_permitted_proposed")  # the runtime may have refused it, so that no harm was done
    return failed or (["unscored"] if record.unscored else [])


_DOES = {
    "silent": "says nothing",
    "refuses all": "refuses everything",
    "hands over always": "hands everything over",
    "recites everything": "recites all records",
    "parrots": "repeats the customer's words",
}


async def _played(
    episode: DialogueEpisode, case: Case, specs: Mapping[str, ToolSpec], agent: Agent
) -> ConversationRecord:
    result = await episode.play_with(case, 0, specs, agent)
    return ConversationRecord.model_validate_json(result.output or "")


def _never_met(scenario: ConversationScenario, record: ConversationRecord) -> list[str]:
    """Return what the scenario plans and the conversation did not come to: the case does not test it."""
    customer, heard = scenario.customer, {turn.message for turn in record.turns}
    calls = Counter(use.tool for use in record.uses if use.status != "refused")
    unmet = [
        f"call {fault.nth} of {fault.tool}, which goes wrong ({fault.kind})"
        for fault in scenario.faults
        if calls[fault.tool] < fault.nth
    ]
    if customer.corrects is not None and not heard.intersection(customer.corrects.says):
        unmet.append(f"the correction of {customer.corrects.fact!r}")
    if customer.interrupts is not None and not heard.intersection(customer.interrupts.says):
        unmet.append(f"the interruption at message {customer.interrupts.at}")
    if customer.then and not heard.intersection(customer.then):
        unmet.append("the second request")
    return unmet


def _known_beforehand(expected: DialogueExpectations) -> list[str]:
    """Return the facts that the gold run states in its own words: it must have them from a tool."""
    replies = [PLACEHOLDER.sub("", step.say) for turn in expected.gold for step in turn if isinstance(step, GoldReply)]
    return [
        f"the gold run tells {fact.statement!r} without a tool; write it as {{tool.field}}"
        for fact in expected.told
        if not fact.from_policy and any(form_occurs(form, reply) for form in fact.accepted for reply in replies)
    ]


def degenerate_scores(proofs: Sequence[CaseProof]) -> dict[str, float]:
    """Return the share of cases that each useless agent passes; 0 in a sound set."""
    return {name: sum(name in proof.passed_by for proof in proofs) / len(proofs) for name in _DOES}


def render_proofs(file: str, proofs: Sequence[CaseProof], console: "Console") -> None:
    """Print what the proofs of the cases of ``file`` found: problems, then a table of planted faults, then useless agents."""
    from rich import box
    from rich.table import Table

    for proof in proofs:
        for problem in proof.problems:
            console.print(f"{file}.jsonl [{proof.case_id}] {problem}", soft_wrap=True, markup=False)
    tried, caught = Counter[str](), Counter[tuple[str, str]]()
    for proof in proofs:
        tried.update(proof.tried)
        caught.update(proof.caught)
    missed = Counter(kind for proof in proofs for kind in proof.missed)
    table = Table(
        title=f"{file}: faults planted in the gold runs", title_justify="left", title_style="bold", box=box.SIMPLE
    )
    for name, justify in (("fault", "left"), ("planted", "right"), ("missed", "right"), ("caught by", "left")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    for kind, count in sorted(tried.items()):
        by = ", ".join(f"{score} {times}" for (of, score), times in caught.most_common() if of == kind)
        table.add_row(kind, str(count), str(missed[kind]), by)
    console.print(table, width=_WIDTH)
    scores = ", ".join(f"{name} {score:.0%}" for name, score in degenerate_scores(proofs).items())
    silent = sum(proof.silence_right for proof in proofs)
    wrong = sum(bool(proof.problems) for proof in proofs)
    console.print(f"{file}: useless agents pass: {scores}", width=_WIDTH)
    console.print(
        f"{file}: {len(proofs)} conversations, {sum(tried.values())} planted faults, {sum(missed.values())} missed; doing "
        f"nothing is right in {silent}; {wrong or 'no'} case{'' if wrong == 1 else 's'} with problems",
        soft_wrap=True,
    )
