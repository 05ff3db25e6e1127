"""A day of routing decided again: what changes, and the waits that follow, which agree with Erlang C where that holds."""

import json
import math
import random
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from eval.suites.route.replay import ReplayError, lines_of, replay
from eval.suites.route.waits import Arrival, Waits, handling_times, simulated_waits
from omni.app import build_app
from service.answers_kept.answer_record import KeptAnswer
from service.core.tasks.route import TASK
from service.core.tasks.route.policy import policy_of
from service.core.tasks.route.routing import decided
from service.core.tasks.route.situation import RouteInputs

POLICY = policy_of()
DAY = date(2026, 11, 24)
EXAMPLE = RouteInputs.model_config["json_schema_extra"]["examples"][0]


def erlang_c_wait(per_minute, handling, places):
    """Return the mean wait of Poisson arrivals, exponential handling times and ``places``, in minutes (Erlang's C formula)."""
    load = per_minute * handling
    full = load**places / math.factorial(places) * places / (places - load)
    queued = full / (sum(load**k / math.factorial(k) for k in range(places)) + full)
    return queued * handling / (places - load)


@pytest.mark.parametrize(("per_minute", "handling", "places"), [(0.7, 1.0, 1), (1.5, 5.0, 10), (4.0, 3.8, 20)])
def test_waits_agree_with_erlang_c(per_minute, handling, places):
    n = 60_000
    draws = random.Random(3)
    lasts = handling_times(n, handling, seed=4)
    at, arrivals = 0.0, []
    for lasting in lasts:
        at += draws.expovariate(per_minute)
        arrivals.append(Arrival(at=at, urgency=draws.randint(1, 12), handling=lasting))
    # The mean over all customers does not depend on who is taken first.
    expected = erlang_c_wait(per_minute, handling, places)
    assert Waits.of(simulated_waits(arrivals, places)).mean == pytest.approx(expected, rel=0.2)


def test_the_urgent_are_taken_first_and_nobody_is_interrupted():
    arrivals = [
        Arrival(at=0, urgency=5, handling=10),
        Arrival(at=1, urgency=5, handling=10),
        Arrival(at=2, urgency=9, handling=10),
        Arrival(at=25, urgency=5, handling=1),
        Arrival(at=60, urgency=5, handling=1),
    ]
    assert simulated_waits(arrivals, 1) == [0, 19, 8, 5, 0]
    assert simulated_waits(arrivals, 2) == [0, 0, 8, 0, 0]
    with pytest.raises(ValueError, match="no agent was on duty"):
        simulated_waits(arrivals, 0)


def kept(situation, *, at=None):
    inputs = TASK.without_ids(situation, lambda text: "id-abcdefgh")
    decision = decided(situation, POLICY)
    return KeptAnswer(
        task="route",
        request_id="req-1",
        client="desk",
        generated_at=(at or situation.at).isoformat(),
        inputs=inputs.model_dump(mode="json"),
        output=decision.model_dump_json(),
        model_used="routing-policy",
        answered_by="routing-policy",
        arm="primary",
        degraded=False,
        pair="policy",
        pair_digest="d",
        prompt_version="1.0.0",
        registry_version=1,
        rollout_arm="production",
        environment="local",
        latency_ms=2,
        cost_usd="0",
        schema_version=1,
    ).to_json()


def day(n=40):
    """Return a day of situations: every second one is an inquiry that automation answers."""
    start = datetime(2026, 11, 24, 9, tzinfo=UTC)
    found = []
    for number in range(n):
        message = EXAMPLE["message"] | {"text": "My boiler is off, this is urgent, put me through to a person"}
        if number % 2:
            message |= {"category": "inquiry", "sentiment": 0.0, "confidence": 0.95, "pattern": "hours", "text": "hi"}
        fields = {"message": message, "at": start + timedelta(minutes=3 * number), "customer": {"tier": "medium"}}
        found.append(RouteInputs.model_validate(EXAMPLE | fields))
    return found


@pytest.mark.acceptance("route-10")
def test_a_candidate_s_changes_are_counted_and_its_waits_estimated():
    lines = [kept(one) for one in day()]
    assert "boiler" not in "".join(lines)
    same = replay(lines, DAY, "policy", POLICY)
    assert not same.moves
    assert same.waits[0] == same.waits[1]
    careful = POLICY.model_copy(update={"automation": POLICY.automation.model_copy(update={"above": 1.0})})
    found = replay([*lines, "{}"], DAY, "careful", careful)
    assert dict(found.moves) == {("automation", "agent"): 20}
    assert (found.unreadable, found.places, len(found.messages)) == (1, 10, 40)
    was, now = found.waits
    assert (was.others.n, now.others.n, was.urgent.n) == (0, 20, 20)


def test_a_day_without_decisions_is_said():
    with pytest.raises(
        ReplayError, match=r"no decision of 2026-11-24 is kept; 1 records could not be read: give a day"
    ):
        replay(["{}"], DAY, "policy", POLICY)
    with pytest.raises(ReplayError, match=r"nowhere.jsonl: cannot be read"):
        list(lines_of(Path("nowhere.jsonl")))


def test_the_command_says_what_changes_and_why(tmp_path):
    file = tmp_path / "day.jsonl"
    file.write_text("\n".join(kept(one) for one in day()), encoding="utf-8")
    arguments = ["route", "replay", "--policy", "policy", "--day", "2026-11-24", "--from", str(file)]
    told = CliRunner().invoke(build_app(), arguments)
    assert told.exit_code == 0, told.output
    assert "0 of 40 messages would go elsewhere by policy" in told.output
    assert "simulated with 10 conversations at a time" in told.output
    machine = CliRunner().invoke(build_app(), [*arguments, "--json"])
    assert json.loads(machine.stdout)["waits"]["was"]["urgent"]["n"] == 20
