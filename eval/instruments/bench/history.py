"""``omni bench history``: what compressing long histories keeps of a case's facts, saves in tokens, and takes in time.

A long history is a case's own contacts among those of other customers, spread over the year before. The share of the case's facts
that the prompt still states bounds what any model can summarize; the extractive digest, which reads the whole history, stands
beside it as the summary that needs no model.
"""

import random
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from eval.spine.cases import Case, load_cases
from figures.formatting import format_interval, format_number
from figures.metric import Unit
from figures.stats import Interval, mean_interval
from service.core.llm.pricing import estimated_tokens
from service.core.statements.grounding.text import form_occurs
from service.core.tasks.summarize import TASK, SummarizeInputs
from service.core.tasks.summarize.digest import extractive_digest
from service.core.unit.cards import ModelCards
from service.core.unit.interaction import Interaction
from service.core.unit.pair import Pair
from service.core.unit.pair_file import load_pair
from service.kit.frame.display.terminal import say
from service.kit.settings import Settings

COMPRESSED, WHOLE = "nova-micro-compressed", "nova-micro"
QUALITY_SIZES, TIME_SIZES = (50, 200), (10, 50, 100, 200)
_SEED, _CASES, _ROUNDS = 20261122, 60, 5
_YEAR_DAYS = 365


@dataclass(frozen=True, slots=True, kw_only=True)
class LongCase:
    """A case whose history was made long; ``facts`` are the accepted forms of those that no other customer's contact states."""

    inputs: SummarizeInputs
    facts: tuple[tuple[str, ...], ...]


def lengthened(case: Case, others: Sequence[Interaction], size: int, draws: random.Random) -> LongCase:
    """Return ``case`` with contacts of ``others`` among its own, ``size`` in all (at least its own)."""
    inputs = SummarizeInputs.model_validate(case.inputs)
    own = inputs.visible()
    filling = [
        item.model_copy(
            update={
                "interaction_id": f"other-{number}",
                "timestamp": inputs.as_of - timedelta(minutes=draws.randrange(60, _YEAR_DAYS * 24 * 60)),
            }
        )
        for number, item in enumerate(draws.sample(others, max(size - len(own), 0)))
    ]
    said = "\n".join(item.text for item in filling)
    return LongCase(
        inputs=inputs.model_copy(
            update={
                "interactions": (*own, *filling),
                "max_history_days": _YEAR_DAYS + 1,
                "max_interactions": max(size, len(own)),
            }
        ),
        facts=tuple(
            fact.accepted
            for fact in case.expectations.facts
            if not any(form_occurs(form, said) for form in fact.accepted)
        ),
    )


def covered(facts: Sequence[Sequence[str]], text: str) -> float:
    """Return the share of ``facts`` that ``text`` states in one of their forms."""
    return sum(any(form_occurs(form, text) for form in forms) for forms in facts) / len(facts)


def main() -> int:
    """Print both tables; there is no target, so the result is always 0."""
    settings = Settings()
    cards = ModelCards.load(settings.prompts_dir / "models.yaml")
    pairs = {
        name: load_pair(
            settings.prompts_dir / "summarize" / f"{name}.prompty", cards=cards, task_variables=TASK.variables
        )
        for name in (WHOLE, COMPRESSED)
    }
    cases = load_cases(settings.datasets_dir / "summarize" / "gate.jsonl", input_model=SummarizeInputs).cases
    budget = pairs[COMPRESSED].serving.max_history_tokens
    say(
        f"{_CASES} of {len(cases)} gate cases, histories lengthened with other customers' contacts; budget {budget} tokens\n"
    )
    _print_quality(cases, pairs)
    _print_time(cases, pairs)
    return 0


def long_cases(cases: Sequence[Case], size: int, count: int = _CASES) -> list[LongCase]:
    """Return ``count`` cases with facts, spread over the set, each ``size`` contacts long; always the same ones."""
    draws = random.Random(_SEED + size)
    chosen = [case for case in cases[:: max(len(cases) // count, 1)] if case.expectations.facts][:count]
    made = []
    for case in chosen:
        others = [
            item
            for other in cases
            if other.id != case.id
            for item in SummarizeInputs.model_validate(other.inputs).interactions
        ]
        made.append(lengthened(case, others, size, draws))
    return [item for item in made if item.facts]


def _print_quality(cases: Sequence[Case], pairs: dict[str, Pair]) -> None:
    say(
        "contacts  facts in the prompt, whole  compressed                 digest's summary           tokens whole  compressed"
    )
    for size in QUALITY_SIZES:
        made = long_cases(cases, size)
        prompts = {
            name: [TASK.values_for(item.inputs, pair)["history"] for item in made] for name, pair in pairs.items()
        }
        digests = [extractive_digest(item.inputs.visible()) for item in made]
        shares = [_mean([covered(item.facts, text) for item, text in zip(made, texts, strict=True)])
                  for texts in (prompts[WHOLE], prompts[COMPRESSED], digests)]  # fmt: skip
        tokens = [statistics.median(map(estimated_tokens, prompts[name])) for name in (WHOLE, COMPRESSED)]
        say(
            f"{size:>8}  {_text(shares[0]):<26}  {_text(shares[1]):<25}  {_text(shares[2]):<25}  "
            f"{tokens[0]:>12,.0f}  {tokens[1]:>10,.0f}"
        )


def _print_time(cases: Sequence[Case], pairs: dict[str, Pair]) -> None:
    say("\ncontacts  prompt built in (median), whole  compressed")
    for size in TIME_SIZES:
        made = long_cases(cases, size, count=20)
        medians = {name: statistics.median(_times(pair, made)) for name, pair in pairs.items()}
        cells = [format_number(medians[name] * 1000, Unit.MS) for name in (WHOLE, COMPRESSED)]
        say(f"{size:>8}  {cells[0]:<31}  {cells[1]}")


def _times(pair: Pair, made: Sequence[LongCase]) -> list[float]:
    found = []
    for _ in range(_ROUNDS):
        for item in made:
            began = time.perf_counter()
            pair.render(TASK.values_for(item.inputs, pair))
            found.append(time.perf_counter() - began)
    return found


def _mean(values: Sequence[float]) -> Interval:
    import numpy as np

    return mean_interval(np.array(values), seed=_SEED, bounds=(0.0, 1.0))


def _text(interval: Interval) -> str:
    return f"{format_number(interval.value, Unit.RATE)} {format_interval(interval.low, interval.high, Unit.RATE)} n={interval.n}"
