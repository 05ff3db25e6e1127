"""``omni bench history``: long histories hold the case, and each figure can come out otherwise."""

import random
from dataclasses import replace

import pytest

from eval.instruments.bench.history import COMPRESSED, WHOLE, covered, lengthened, long_cases
from eval.spine.cases import load_cases
from service.core.llm.pricing import estimated_tokens
from service.core.tasks.summarize import TASK, SummarizeInputs
from service.core.unit.cards import ModelCards
from service.core.unit.pair_file import load_pair
from service.kit.settings import Settings

SETTINGS = Settings()
CASES = load_cases(SETTINGS.datasets_dir / "summarize" / "dev.jsonl", input_model=SummarizeInputs).cases


def pair(name):
    cards = ModelCards.load(SETTINGS.prompts_dir / "models.yaml")
    return load_pair(SETTINGS.prompts_dir / "summarize" / f"{name}.prompty", cards=cards, task_variables=TASK.variables)


def test_the_compressed_pair_differs_from_its_sibling_in_the_budget_alone():
    whole, compressed = pair(WHOLE), pair(COMPRESSED)
    assert compressed.serving.max_history_tokens == 3000
    serving = replace(compressed.serving, max_history_tokens=None)
    assert replace(compressed, name=whole.name, description=whole.description, serving=serving) == whole


@pytest.mark.parametrize("size", [50, 200])
def test_a_long_history_has_its_size_and_keeps_the_cases_own_contacts(size):
    case = CASES[0]
    others = [item for other in CASES[1:] for item in SummarizeInputs.model_validate(other.inputs).interactions]
    made = lengthened(case, others, size, random.Random(1))
    seen = {item.interaction_id for item in made.inputs.visible()}
    assert len(seen) == size
    assert {item.interaction_id for item in SummarizeInputs.model_validate(case.inputs).visible()} <= seen


def test_a_fact_that_another_customers_contact_states_is_no_evidence_for_the_case():
    case = next(case for case in CASES if case.expectations.facts)
    fact = case.expectations.facts[0]
    said = fact.accepted[0].replace(" + ", " ").replace("*", "")
    other = SummarizeInputs.model_validate(CASES[1].inputs).interactions[0].model_copy(update={"text": said})
    made = lengthened(case, [other] * 60, 50, random.Random(1))
    assert fact.accepted not in made.facts
    assert len(made.facts) < len(case.expectations.facts)


def test_compression_holds_its_budget_and_a_smaller_one_loses_facts():
    compressed = pair(COMPRESSED)
    narrow = replace(compressed, serving=replace(compressed.serving, max_history_tokens=400))
    made = long_cases(CASES, 200, count=10)
    texts = {
        budget: [TASK.values_for(item.inputs, one)["history"] for item in made]
        for budget, one in ((None, pair(WHOLE)), (3000, compressed), (400, narrow))
    }
    share = {
        budget: sum(covered(item.facts, text) for item, text in zip(made, found, strict=True)) / len(made)
        for budget, found in texts.items()
    }
    assert all(estimated_tokens(text) <= 3000 for text in texts[3000])
    assert max(map(estimated_tokens, texts[None])) > 6000
    assert share[400] < share[3000] <= share[None]
    assert share[3000] > share[None] - 0.1


def test_the_share_of_facts_is_counted_by_form():
    assert covered([("$45", "45 dollars"), ("call back",)], "A bill of $45.00 is due.") == 0.5
