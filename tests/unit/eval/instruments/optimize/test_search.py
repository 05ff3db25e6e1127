"""The search over landscapes whose optimum is known: found, bounded, resumed with an equal result, and never the gate's cases."""

import json
from dataclasses import replace
from decimal import Decimal

import pytest

from eval.instruments.optimize.asking import LimitReached, Limits
from eval.instruments.optimize.ledger import SearchLedger
from eval.instruments.optimize.quality import MeasuredAnswer
from eval.instruments.optimize.report import tree


def best(found):
    return max(found.candidates, key=lambda candidate: candidate.quality)


def test_the_known_optimum_is_found_within_the_budget_in_nine_of_ten_seeds(place, land):
    found = []
    for seed in range(10):
        done = place.search(land.true_gain, land.own, seed=seed, usd="0.08", ledger=f"{seed}.jsonl")
        assert place.landscape.ledger.spent_usd <= Decimal("0.08")
        found.append(land.rules_in(best(done).texts["main"]) == set(land.helpful))
    assert sum(found) >= 9, found


def test_every_candidate_is_kept_with_its_parent_and_what_became_of_it(place, land):
    done = place.search(land.true_gain, land.own)
    assert [candidate.number for candidate in done.candidates] == list(range(len(done.candidates)))
    assert done.candidates[0].status == "start"
    for candidate in done.candidates[1:]:
        (parent,) = candidate.parents
        assert parent < candidate.number
        assert candidate.status in ("kept", "beaten")
        assert bool(candidate.own) == (candidate.status == "kept")
        assert candidate.texts["main"] != done.candidates[parent].texts["main"]
    assert done.tried == len(done.candidates) - 1
    assert {node.candidate.number for node in tree(done)} == set(range(len(done.candidates)))


def test_without_a_gain_nothing_is_kept_and_all_is_counted(place, land):
    done = place.search(land.no_gain, land.own)
    assert {candidate.status for candidate in done.candidates} == {"start", "beaten"}
    assert done.tried >= 5


class Killed(BaseException):
    """What ends the process in the middle of a call."""


@pytest.mark.parametrize("after", [3, 17, 40, 90])
def test_a_search_that_was_killed_goes_on_to_an_equal_result_and_pays_nothing_twice(place, land, after, monkeypatch):
    whole = place.search(land.true_gain, land.own, noise=0.1, ledger="whole.jsonl")
    asked, worded = place.landscape.asked, place.rewriter.gateway.calls

    put, kept = SearchLedger.put, []

    def put_or_die(self, key, cost_usd, value):
        if len(kept) == after:
            raise Killed
        kept.append(key)
        put(self, key, cost_usd, value)

    monkeypatch.setattr(SearchLedger, "put", put_or_die)
    with pytest.raises(Killed):
        place.search(land.true_gain, land.own, noise=0.1, ledger="killed.jsonl")
    monkeypatch.setattr(SearchLedger, "put", put)
    gateway = land.words_rules()
    gateway.calls = sum(key.startswith("rewrite:") for key in kept)  # it draws by the number of its calls
    again = place.search(land.true_gain, land.own, noise=0.1, ledger="killed.jsonl", gateway=gateway)
    assert again == whole
    assert place.landscape.asked + sum(key.startswith("answer:") for key in kept) == asked
    assert gateway.calls == worded


def test_a_line_that_a_crash_cut_off_is_ignored_and_a_begun_call_is_counted_as_lost(tmp_path):
    path = tmp_path / "ledger.jsonl"
    book = SearchLedger(path)
    book.begin(["answer:a", "answer:b"])
    book.put("answer:a", Decimal("0.25"), {"quality": 1})
    book.close()
    with path.open("a") as file:
        file.write('{"key": "answer:b", "cost_usd": "0.2')
    book = SearchLedger(path)
    assert (book.lost, book.paid_before_usd, book.spent_usd) == (1, Decimal("0.5"), 0)
    assert book.get("answer:b") is None
    assert book.get("answer:a") == {"quality": 1}
    assert book.get("answer:a") == {"quality": 1}
    assert (book.spent_usd, book.calls, book.dearest_usd) == (Decimal("0.25"), 1, {"answer": Decimal("0.25")})
    book.put("answer:b", Decimal(0), {})
    book.close()
    assert [json.loads(line).get("key") for line in path.read_text().splitlines() if line.endswith("}")] == [
        None, "answer:a", "answer:b",
    ]  # fmt: skip
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(("usd", "calls"), [("0.012", 5_000), ("1", 70)])
def test_a_search_ends_before_a_limit_is_passed_and_says_which(place, land, usd, calls):
    done = place.search(land.true_gain, land.own, usd=usd, calls=calls, rounds=400)
    ledger = place.landscape.ledger
    assert ledger.spent_usd <= Decimal(usd)
    assert ledger.calls <= calls
    assert done.ended.endswith(" calls" if usd == "1" else "$0.01")
    assert done.candidates[0].own


def test_a_batch_that_could_pass_the_limit_is_not_begun(tmp_path):
    book = SearchLedger(tmp_path / "ledger.jsonl")
    limits = Limits(usd=Decimal("1"), calls=10, ledger=book)
    book.put("answer:a", Decimal("0.3"), {})
    book.get("answer:a")
    limits.check("answer", 2)
    with pytest.raises(LimitReached, match=r"\$0\.3000 of \$1\.00"):
        limits.check("answer", 3)
    limits.check("rewrite", 9)  # no proposal has had a cost yet
    with pytest.raises(LimitReached, match="1 of 10 calls"):
        limits.check("rewrite", 10)
    book.close()


def test_a_model_that_cannot_be_reached_ends_the_search_with_its_own_error(place, land):
    from service.kit.frame.errors import UpstreamUnavailable

    class Dead:
        async def complete(self, call):
            raise UpstreamUnavailable("no server answers")

    with pytest.raises(UpstreamUnavailable, match="no server answers"):
        place.search(land.true_gain, land.own, gateway=Dead())


def test_a_call_without_an_answer_costs_one_proposal_and_not_the_search(place, land):
    from service.kit.frame.errors import DeadlineExceeded

    class Late(land.words_rules):
        async def complete(self, call):
            reply = await super().complete(call)
            if self.calls % 3:
                return reply
            raise DeadlineExceeded("too late")

    found = place.search(land.true_gain, land.own, gateway=Late())
    refused = [candidate for candidate in found.candidates if candidate.status == "refused"]
    assert {candidate.why for candidate in refused} == {"the model gave no answer: DEADLINE"}
    assert best(found).quality > 0.5
    again = place.search(land.true_gain, land.own, gateway=Late())
    assert again == found  # all of it is in the ledger


def test_an_answer_keeps_its_figures_on_the_way_through_the_ledger():
    answer = MeasuredAnswer(
        case_id="a", quality=0.5, notes=("x is 0.50",), scores={"x": 0.5}, cost_usd=Decimal("0.00021")
    )
    assert MeasuredAnswer.from_plain(json.loads(json.dumps(answer.plain()))) == answer
    assert replace(answer, quality=1.0) != answer


def test_models_and_temperatures_are_tried_in_turn_each_once_with_the_same_instructions(place, land):
    place.search(land.true_gain, land.own, rounds=1)
    rewriter = replace(
        place.rewriter,
        choices={"model": ("local.echo-v1", "amazon.nova-lite-v1:0"), "temperature": ("0", "0.4")},
        proposals=[],
    )
    start = place.wording.texts(choices=("model", "temperature"))
    tried = [rewriter(start, {}, ["model"])["model"] for _ in range(4)]
    assert tried == ["local.echo-v1", "amazon.nova-lite-v1:0", start["model"], start["model"]]
    assert [rewriter(start, {}, ["temperature"])["temperature"] for _ in range(2)] == ["0", start["temperature"]]
    other = start | {"main": start["main"] + " Be brief."}
    assert rewriter(other, {}, ["model"])["model"] == "local.echo-v1"
    assert [proposal.component for proposal in rewriter.proposals] == ["model", "model", "temperature", "model"]


def test_a_search_chooses_among_models_as_it_does_among_wordings(place, land):
    found = place.search(land.true_gain, land.own, choices={"model": ("local.echo-v1",)}, better={"local.echo-v1": 0.2})
    winner = best(found)
    assert winner.texts["model"] == "local.echo-v1"
    assert {candidate.component for candidate in found.candidates[1:]} == {"main", "model"}
