"""Simulates a bulk run on a cluster: how long so many summaries take, and what they cost, with failovers and workers that die."""

import heapq
import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import log
from pathlib import Path

import numpy as np

from eval.backfill.budget import CostBound, cards_for
from eval.backfill.history import items_of_file
from eval.backfill.work import WorkItem
from eval.spine.errors import BackfillError
from service.core.llm.pricing import Usage, cost_of
from service.core.run.task import load_task
from service.core.unit.cards import ModelCards
from service.core.unit.pair import Pair, Part

_CHARS_PER_TOKEN = 4.0  # English, as `service.core.llm.reliability` estimates
_TOKENS_PER_WORD = 1.35
_Z95 = 1.6449


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkPlan:
    """A bulk run to simulate. ``p50_s`` and ``p95_s`` are the model's latency, drawn from a lognormal distribution.

    ``failover`` is the share of items that the backup answers as well (both are paid), ``deaths_per_hour`` how often one worker
    ends and comes back after ``back_s``, ``per_second`` the rate or the provider's quota; None for no limit. Client and scheduler
    hand out and keep ``client_per_second`` items at most.
    """

    items: int
    workers: int
    concurrency: int
    p50_s: float = 1.0
    p95_s: float = 2.0
    failover: float = 0.05
    deaths_per_hour: float = 0.05
    back_s: float = 60.0
    per_second: float | None = None
    client_per_second: float = 200.0  # measured 2026-11-22 with the workers on the same two busy cores
    seed: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkOutcome:
    """What a simulated run gives: wall-clock seconds, calls lost with a worker, deaths of workers."""

    seconds: float
    lost_calls: int
    deaths: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemCost:
    """USD per item, mean over the sample: without and with the provider's prompt cache, of the backup's answer, and at most."""

    cold: Decimal
    warm: Decimal
    backup: Decimal
    most: Decimal
    input_tokens: float
    output_tokens: float

    def total(self, items: int, failover: float, *, cached: bool) -> Decimal:
        """Return the expected cost of ``items`` in USD."""
        return items * ((self.warm if cached else self.cold) + Decimal(str(failover)) * self.backup)


def simulate_bulk(plan: BulkPlan) -> BulkOutcome:
    """Simulate one run, call by call.

    Every slot takes the next item when it is free and the rate allows; a worker's death ends its calls, which are asked again.
    """
    draw = np.random.default_rng(plan.seed)
    sigma = log(plan.p95_s / plan.p50_s) / _Z95
    slots = plan.workers * plan.concurrency
    gap_s = max(1 / plan.client_per_second, 0.0 if plan.per_second is None else 1 / plan.per_second)
    free = [(0.0, slot) for slot in range(slots)]
    heapq.heapify(free)
    mean_s = 3600 / plan.deaths_per_hour if plan.deaths_per_hour else float("inf")
    dies = [float(draw.exponential(mean_s)) if plan.deaths_per_hour else mean_s for _ in range(plan.workers)]
    left, next_s, end_s, lost, deaths, at = plan.items, 0.0, 0.0, 0, 0, 0
    takes = draw.lognormal(log(plan.p50_s), sigma, 65_536)
    while left:
        now, slot = heapq.heappop(free)
        begin = max(now, next_s)
        next_s = begin + gap_s
        worker = slot // plan.concurrency
        if at == len(takes):
            takes, at = draw.lognormal(log(plan.p50_s), sigma, 65_536), 0
        done = begin + float(takes[at])
        at += 1
        if done >= dies[worker] and begin < dies[worker] + plan.back_s:
            # It was in flight when the worker died, or there is no worker yet.
            lost += begin < dies[worker]
            heapq.heappush(free, (dies[worker] + plan.back_s, slot))
            continue
        if begin >= dies[worker] + plan.back_s:
            deaths += 1
            dies[worker] = begin + float(draw.exponential(mean_s))
        left -= 1
        end_s = max(end_s, done)
        heapq.heappush(free, (done, slot))
    return BulkOutcome(seconds=end_s, lost_calls=lost, deaths=deaths)


def item_cost(pair: Pair, cards: ModelCards, sample: Sequence[WorkItem]) -> ItemCost:
    """Return what an item of ``sample`` costs, by the characters of its prompt and an answer of the pair's longest length.

    Raises:
        BackfillError: the sample is empty, or a model has no prices.
    """
    if not sample:
        raise BackfillError("the sample holds no item; name a file with lines of id and inputs")
    task = load_task(pair.task)
    bound = CostBound(pair, cards_for(pair, cards, task))
    chars = []
    for item in sample:
        questions = task.questions(task.input_model.model_validate(item.inputs), pair)
        chars.append(sum(len(m.content) for question in questions for m in pair.render(question.values, question.part)))
    main, *parts = pair.prompts
    mean_chars = float(np.mean(chars))
    # What a part reads is known only when it is asked: at most the inputs, beside its own templates.
    inputs_chars = mean_chars - _template_chars(main)
    read = {main.name: mean_chars} | {part.name: _template_chars(part) + inputs_chars for part in parts}
    written = {main.name: pair.output.max_words * _TOKENS_PER_WORD}

    def usd(prompt: Part, model: str | None, *, cached: bool) -> Decimal:
        if model is None:
            return Decimal(0)
        prefix = len(prompt.messages[0].content) / _CHARS_PER_TOKEN if prompt.cache_prefix and cached else 0.0
        usage = Usage(
            input_tokens=int(read[prompt.name] / _CHARS_PER_TOKEN) - int(prefix),
            output_tokens=int(written.get(prompt.name, prompt.sampling.max_output_tokens)),
            cache_read_tokens=int(prefix),
        )
        cost = cost_of(usage, cards.get(model))
        if cost is None:
            raise BackfillError(f"model {model!r} has no prices; add them to its card")
        return cost.metered_usd

    return ItemCost(
        cold=sum((usd(prompt, prompt.model, cached=False) for prompt in pair.prompts), Decimal(0)),
        warm=sum((usd(prompt, prompt.model, cached=True) for prompt in pair.prompts), Decimal(0)),
        backup=sum((usd(prompt, prompt.backup, cached=False) for prompt in pair.prompts), Decimal(0)),
        most=max(bound.most_usd(item) for item in sample),
        input_tokens=sum(read.values()) / _CHARS_PER_TOKEN,
        output_tokens=sum(written.get(prompt.name, prompt.sampling.max_output_tokens) for prompt in pair.prompts),
    )


def _template_chars(prompt: Part) -> int:
    return sum(len(message.content) for message in prompt.messages)


def bulk_lines(plan: BulkPlan, cost: ItemCost) -> list[str]:
    """Simulate ``plan`` and return the lines that say the outcome."""
    outcome = simulate_bulk(plan)
    slots = plan.workers * plan.concurrency
    lost_usd = outcome.lost_calls * cost.most
    rate = plan.items / outcome.seconds
    return [
        f"{plan.items:,} items, {plan.workers} workers x {plan.concurrency} calls in flight, latency p50 {plan.p50_s:g} s and "
        f"p95 {plan.p95_s:g} s, {plan.failover:.0%} answered by the backup too: simulated, not measured",
        f"time: {outcome.seconds / 3600:.1f} h, {rate:,.0f} items/s",
        f"cost: {cost.total(plan.items, plan.failover, cached=False):,.2f} USD, with the prompt cache "
        f"{cost.total(plan.items, plan.failover, cached=True):,.2f} USD ({cost.input_tokens:,.0f} tokens in, "
        f"{cost.output_tokens:,.0f} out an item, estimated from the sample's prompts)",
        f"workers that die: {outcome.deaths}; calls lost with them and asked again: {outcome.lost_calls}, which count "
        f"{lost_usd:,.2f} USD against the budget",
        f"budget: an item reserves {cost.most:.4f} USD, so {slots} in flight hold {slots * cost.most:,.2f} USD back; "
        "near its end the budget slows the run, and is not exceeded",
    ]


def sample_items(path: Path) -> list[WorkItem]:
    """Return the items of a file that have something to summarise."""
    return [item for item in items_of_file(path) if json.dumps(item.inputs.get("interactions", True)) != "[]"]
