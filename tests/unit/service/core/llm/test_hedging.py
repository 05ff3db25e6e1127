import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.llm.hedging import FLOOR, SHARE, HedgeBudget, HedgeBudgets


def test_twelve_of_a_hundred_requests_may_be_hedged():
    budget = HedgeBudget(lambda: 5.0)
    for _ in range(100):
        budget.request()
    assert sum(budget.allow() for _ in range(50)) == 12
    assert (budget.hedges, budget.refused) == (12, 38)


def test_a_pair_with_few_requests_may_still_hedge_the_floor():
    budget = HedgeBudget(lambda: 5.0)
    budget.request()
    assert [budget.allow() for _ in range(FLOOR + 1)] == [True] * FLOOR + [False]


def test_hedges_older_than_the_window_are_allowed_again():
    now = [0.0]
    budget = HedgeBudget(lambda: now[0])
    while budget.allow():
        pass
    now[0] = 59.9
    assert not budget.allow()
    now[0] = 60.0
    assert budget.allow()


def test_requests_older_than_the_window_are_not_counted():
    now = [0.0]
    budget = HedgeBudget(lambda: now[0])
    for _ in range(1000):
        budget.request()
    now[0] = 61.0
    assert sum(budget.allow() for _ in range(100)) == FLOOR


def test_each_pair_has_its_own_budget_and_old_pairs_are_dropped():
    budgets = HedgeBudgets(lambda: 0.0)
    while budgets.of("a").allow():
        pass
    assert budgets.of("b").allow()
    for number in range(40):
        budgets.of(str(number))
    assert len(budgets._by_pair) <= 16


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 5)), max_size=300))
@pytest.mark.acceptance("promise-02")
def test_no_window_has_more_hedges_than_the_share_allows(steps):
    now = [0.0]
    budget = HedgeBudget(lambda: now[0])
    requests, hedges = [], []
    for hedge, wait in steps:
        now[0] += wait
        budget.request()
        requests.append(now[0])
        if hedge and budget.allow():
            hedges.append(now[0])
            # The window is kept by whole seconds: it may hold up to one second less than its length.
            recent = sum(at > now[0] - 60 for at in requests)
            assert sum(at > now[0] - 59 for at in hedges) <= max(FLOOR, SHARE * recent)
