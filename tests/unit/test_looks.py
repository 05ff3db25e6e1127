"""Further looks at a growing evidence: who gets them, how many, and at which price."""

from types import SimpleNamespace

import pytest

from eval.answering import DEFAULT_BUDGET, Looks
from eval.results import Verdict
from service.cards import ModelCard, ModelCards
from service.pair import Message, OutputRules, Pair, Sampling, ServingPolicy

CARDS = ModelCards([ModelCard(id="m", short_name="m", wire="bedrock", runs="local", context_tokens=9)])


def pair(name, temperature):
    return Pair(
        name=name,
        task="t",
        version="1",
        model="m",
        backup=None,
        sampling=Sampling(max_output_tokens=9, temperature=temperature),
        output=OutputRules(schema="s", max_words=9),
        serving=ServingPolicy(),
        messages=(Message(role="user", content=name),),
        variables=(),
    )


WARM, COLD = pair("warm", 0.4), pair("cold", 0.0)


def evaluation(verdict, is_production=False):
    return SimpleNamespace(
        pairs=[
            SimpleNamespace(pair_digest=p.digest, is_production=is_production, gate=SimpleNamespace(verdict=verdict))
            for p in (WARM, COLD)
        ]
    )


def test_an_undecided_pair_that_samples_is_asked_again_until_the_budget_is_spent():
    looks = Looks.plan([WARM, COLD], CARDS, None)
    asked = [looks.undecided(evaluation(Verdict.INCONCLUSIVE), [WARM, COLD]) for _ in range(DEFAULT_BUDGET + 1)]
    assert asked == [[WARM]] * DEFAULT_BUDGET + [[]]
    assert (looks.at(WARM), looks.at(COLD)) == (DEFAULT_BUDGET + 1, 1)


@pytest.mark.parametrize("verdict", [Verdict.PASS, Verdict.FAIL])
def test_a_decided_pair_gets_no_further_look(verdict):
    assert Looks.plan([WARM, COLD], CARDS, 3).undecided(evaluation(verdict), [WARM, COLD]) == []


def test_production_is_not_asked_again_for_its_own_sake():
    looks = Looks.plan([WARM, COLD], CARDS, 3)
    assert looks.undecided(evaluation(Verdict.INCONCLUSIVE, is_production=True), [WARM, COLD]) == []


def test_every_planned_look_widens_the_intervals_from_the_first_on():
    looks = Looks.plan([WARM, COLD], CARDS, 4)
    assert looks.confidence(WARM) == pytest.approx(0.99)
    assert looks.confidence(COLD) == 0.95
    assert Looks.plan([WARM], CARDS, 0).confidence(WARM) == 0.95
