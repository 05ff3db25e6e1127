"""What an item costs at most: worked by hand, never below what two calls to each model cost, and never known without prices."""

from decimal import Decimal
from types import SimpleNamespace

import pytest
from builders import make_pair, make_part
from pydantic import BaseModel

from eval.backfill.budget import CostBound, cards_for
from eval.backfill.work import WorkItem
from eval.spine.errors import BackfillError
from service.core.run.task import Task
from service.core.unit.cards import ModelCard, ModelCards
from service.core.unit.pair import Sampling
from service.core.unit.question import Question


def card(model, wire="bedrock", prices=("1", "10", None)):
    given, answered, written = prices or (None, None, None)
    return ModelCard.model_validate(
        {
            "id": model, "short_name": model, "wire": wire, "runs": "provider", "context_tokens": 1000,
            "prices": prices
            and {"input": given, "output": answered, "cache_write": written, "source": "test", "date": "2026-01-01"},
        }
    )  # fmt: skip


def pair(model="first", backup="second", parts=()):
    sampling = Sampling(max_output_tokens=10)
    return make_pair(asked="x" * 80, model=model, backup=backup, sampling=sampling, parts=parts)


ITEM = WorkItem(id="a", inputs={"q": "y" * 11})  # 20 characters of JSON


def test_the_bound_of_both_models_by_hand():
    bound = CostBound(pair(), [card("first"), card("second", prices=("2", "20", "4")), card("third")])
    # 100 characters / 2 + 10 tokens of a first answer, 10 tokens out, each model twice
    first, second = 60 * 1 + 10 * 10, 60 * 4 + 10 * 20
    assert bound.most_usd(ITEM) == Decimal(2 * (first + second)) / 1_000_000


def test_each_question_of_an_item_counts_with_its_schema():
    schema = {"a": 1}  # 8 characters of JSON
    questions = [SimpleNamespace(answer_schema=found, part="") for found in (schema, None)]
    task = SimpleNamespace(
        input_model=SimpleNamespace(model_validate=lambda inputs: inputs), questions=lambda inputs, pair: questions
    )
    bound = CostBound(pair(backup=None), [card("first")], task)
    # twice 60 tokens of prompt, 4 of a schema, twice 10 tokens out; the model is asked each twice
    assert bound.most_usd(ITEM) == Decimal(2 * (124 * 1 + 20 * 10)) / 1_000_000


def test_each_part_counts_with_its_own_models_and_may_read_the_longest_answer():
    part = make_part(model="third", asked="z" * 40, sampling=Sampling(max_output_tokens=3))
    cards = [card("first"), card("third", prices=("7", "9", None))]
    bound = CostBound(pair(backup=None, parts=(part,)), cards)
    # 60 characters / 2 + 10 tokens of the answer that it reads, 3 tokens out, each twice
    assert bound.most_usd(ITEM) == Decimal(2 * (60 * 1 + 10 * 10 + 40 * 7 + 3 * 9)) / 1_000_000


class Inputs(BaseModel):
    q: str


class Chooses(Task):
    """Decides while it runs what it asks next."""

    name, input_model, most_steps = "chooses", Inputs, 4

    def values(self, inputs):
        return {}

    def check(self, text, rules):
        return text

    def steps(self, inputs, pair):
        text = inputs.q
        while not text.startswith("done"):
            text = yield Question(values={}, document=text, read=str)
        return text


class Validates(Chooses):
    """Asks what it always asks, and has it checked."""

    steps = Task.steps

    def validate(self, inputs, pair, answer, seen):
        yield Question(values={}, document=answer, read=str)
        return ()


@pytest.mark.parametrize("task", [Chooses(), Validates()])
def test_a_task_that_chooses_its_steps_may_ask_the_dearest_part_in_each_with_a_full_context(task):
    part = make_part(model="third", sampling=Sampling(max_output_tokens=3))
    cards = [card("first"), card("second"), card("third", prices=("7", "9", None))]
    bound = CostBound(pair(parts=(part,)), cards, task)
    # 4 steps, each model asked twice in each: of the part 1,000 tokens at 7 and 3 at 9; of the pair's two models, less
    assert bound.most_usd(ITEM) == Decimal(4 * 2 * (1000 * 7 + 3 * 9)) / 1_000_000
    cheaper = CostBound(pair(), cards[:2], Chooses())
    assert cheaper.most_usd(ITEM) == Decimal(4 * 2 * 2 * (1000 * 1 + 10 * 10)) / 1_000_000


def test_steps_on_a_model_whose_context_is_not_known_have_no_bound():
    unknown = card("first").model_copy(update={"context_tokens": None})
    with pytest.raises(BackfillError, match=r"--budget cannot hold for task 'chooses'.*context_tokens.*'first'"):
        CostBound(pair(backup=None), [unknown], Chooses())


def test_letters_of_other_scripts_count_by_the_byte():
    bound = CostBound(pair(backup=None), [card("first")])
    item = WorkItem(id="b", inputs={"q": "\u6f22" * 11})  # 9 characters of JSON around 33 bytes
    # (80 + 9) / 2 + 33 + 10 tokens, rounded up
    assert bound.most_usd(item) == Decimal(2 * (88 * 1 + 10 * 10)) / 1_000_000


def test_code_costs_nothing():
    bound = CostBound(pair(backup=None), [card("first", wire="in_process", prices=None)])
    assert bound.most_usd(ITEM) == 0


def test_a_dearer_item_raises_the_bound_of_later_ones():
    bound = CostBound(pair(backup=None), [card("first")])
    bound.saw({"cost_usd": "0.5"})
    bound.saw({"cost_usd": None})
    assert bound.most_usd(ITEM) == Decimal("0.5")


def test_a_model_that_is_in_no_card_file_is_bounded_too():
    task = SimpleNamespace(fallback_model=None)
    found = cards_for(pair("openai/gpt-4o-mini", None), ModelCards([card("other")]), task)
    assert [one.id for one in found] == ["openai/gpt-4o-mini"]
    assert CostBound(pair("openai/gpt-4o-mini", None), found).most_usd(ITEM) > 0
    with pytest.raises(KeyError):
        CostBound(pair("openai/gpt-4o-mini", None), [card("other")])


def test_a_model_without_prices_cannot_be_bounded():
    with pytest.raises(BackfillError, match="'first', which has no prices"):
        CostBound(pair(), [card("first", prices=None), card("second")])
