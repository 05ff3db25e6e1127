"""Two tasks of a service with a disk each and one shared table."""

import json
import os
from decimal import Decimal

import pytest
from rollout_world import NEW, OLD, Production, Registry, candidate, signed
from shared_table import TableInMemory

from service.kit.frame.errors import RegistryError
from service.kit.records.conditions import Changes
from service.kit.records.shared_watch import SharedWatch
from service.rollouts.control import RolloutControl
from service.rollouts.live_counts import Observation
from service.rollouts.step_state import rollout_partition

GOOD, BAD = Observation(latency_ms=500), Observation(latency_ms=500, error=True, cost_usd=0.000123)


class Service:
    """Tasks of one service, each on a disk of its own unless two name the same."""

    def __init__(self, root):
        self.root, self.table = root, TableInMemory()
        self.registry, self.now = Registry(candidate()), 1_000_000.0

    def task(self, disk="one"):
        made = RolloutControl(
            "demo",
            Production(),
            self.registry,
            self.root / disk,
            signed=signed,
            shared=self.table,
            wall=lambda: self.now,
        )
        made.tick()
        return made


@pytest.fixture
def service(tmp_path):
    return Service(tmp_path)


def feed(control, n=300, *, seen=GOOD):
    for _ in range(n):
        control.observe(NEW.pair.digest, seen)
        control.observe(OLD.pair.digest, GOOD)


def requests(control):
    return {side: counts.requests for side, counts in control.sides().items()}


def serves(control):
    return {control.choose(f"unit-{n}").pair.name for n in range(100)}


def test_a_stop_by_one_task_reaches_the_others_and_outlives_every_disk(service):
    one, other = service.task("one"), service.task("other")
    feed(one, seen=BAD)
    one.tick()
    assert serves(one) == {"old"}
    other.tick()
    assert serves(other) == {"old"}
    assert other.status()["stopped"] == one.status()["stopped"]
    assert serves(service.task("a new disk")) == {"old"}


def test_the_watch_wakes_a_task_when_another_one_stops_the_rollout(service):
    one, other = service.task("one"), service.task("other")
    watch, woken = SharedWatch(service.table), []
    watch.on_change(rollout_partition("demo"), lambda: woken.append(other))
    watch.look()
    feed(one, seen=BAD)
    one.tick(look=False)
    watch.look()
    watch.look()
    assert len(woken) == 2  # once at the start and once for the stop


def test_tasks_judge_by_the_sum_of_their_counts(service):
    tasks = [service.task(f"disk {n}") for n in range(4)]
    for task in tasks:
        feed(task, 60, seen=BAD)
        task.tick(look=False)
    assert requests(tasks[-1]) == {"candidate": 240, "production": 240}
    assert "errors: " in tasks[-1].status()["stopped"]
    assert not list(service.root.rglob("counts-*"))


@pytest.mark.acceptance("agent-02")
def test_a_drop_in_approvals_that_no_task_sees_alone_stops_the_rollout_for_all(service):
    tasks = [service.task(f"disk {n}") for n in range(4)]
    for task in tasks:
        for number in range(60):
            task.observe(NEW.pair.digest, Observation(latency_ms=500, approved=number >= 21))
            task.observe(OLD.pair.digest, Observation(latency_ms=500, approved=number >= 3))
        task.tick()
    assert tasks[-1].status()["stopped"].startswith("unapproved: ")
    assert serves(service.task("a new disk")) == {"old"}


def test_the_last_step_seen_outlives_the_disk(service):
    service.registry.found = candidate(sequence=3, percent=0)
    service.task()
    service.registry.found = candidate(sequence=2)
    control = service.task("a new disk")
    assert serves(control) == {"old"}
    assert "older than step 3" in control.status()["last_error"]
    assert "delete" in control.status()["last_error"]
    assert "item 'step' of 'test/rollout/demo' in table 'shared'" in control.status()["last_error"]


def test_a_task_with_an_empty_disk_shows_no_candidate_until_it_knows_of_no_stop(service):
    service.table.down = True
    control = service.task("a new disk")
    assert serves(control) == {"old"}
    assert control.shadow("unit-1") is None
    assert "cannot be reached" in control.status()["shared_error"]
    service.table.down = False
    control.tick()
    assert serves(control) == {"old", "new"}
    assert control.status()["shared_error"] is None


def test_an_outage_is_survived_with_local_counts_that_are_added_once_afterwards(service):
    one, other = service.task("one"), service.task("other")
    feed(one, 40)
    one.tick()
    service.table.down = True
    feed(one, 20)
    feed(other, 30)
    for _ in range(3):
        one.tick()
        other.tick()
    assert requests(one) == {"candidate": 60, "production": 60}  # what it knew of all, and its own since
    assert serves(one) == {"old", "new"}
    service.table.down = False
    for _ in range(3):
        one.tick()
        other.tick()
    assert requests(one) == requests(other) == {"candidate": 90, "production": 90}


def test_a_stop_during_an_outage_is_told_afterwards(service):
    one, other = service.task("one"), service.task("other")
    service.table.down = True
    feed(one, seen=BAD)
    one.tick()
    assert serves(one) == {"old"}
    assert serves(other) == {"old", "new"}
    service.table.down = False
    one.tick()
    other.tick()
    assert serves(other) == {"old"}


def test_a_write_whose_answer_is_lost_is_counted_once(service):
    one, other = service.task("one"), service.task("other")
    service.table.silent = True
    feed(one, 30)
    one.tick()
    feed(one, 5)
    assert requests(one) == {"candidate": 30, "production": 30}
    one.tick()
    service.table.silent = False
    assert requests(one) == {"candidate": 35, "production": 35}
    one.tick()
    one.tick()
    other.tick()
    assert requests(one) == requests(other) == {"candidate": 35, "production": 35}


def test_what_a_process_left_on_disk_in_an_outage_is_sent_by_the_next_one_and_once_only(service):
    service.task()
    one = service.task()
    service.table.down = True
    feed(one, 30)
    one.tick()
    (left,) = service.root.rglob("counts-1-*")
    content = left.read_text(encoding="utf-8")
    service.table.down = False
    after = service.task()
    assert requests(after) == {"candidate": 30, "production": 30}  # seen, and not sent: its process may be alive
    os.utime(left, (1.0, 1.0))
    after.tick()
    assert not left.exists()
    one.tick()  # it was alive after all
    left.write_text(content, encoding="utf-8")
    os.utime(left, (1.0, 1.0))
    after.tick()
    assert requests(service.task("other")) == {"candidate": 30, "production": 30}


def test_a_minute_with_very_many_latencies_is_sent_in_parts(service):
    one, other = service.task("one"), service.task("other")
    for n in range(600):
        one.observe(NEW.pair.digest, Observation(latency_ms=1.05**n if n < 300 else 1.0))
    one.tick()
    other.tick()
    assert sum(other.sides()["candidate"].latencies.values()) == 600
    assert len(other.sides()["candidate"].latencies) > 200


def test_counts_survive_the_table_to_the_last_figure(service):
    one, other = service.task("one"), service.task("other")
    for _ in range(3):
        one.observe(NEW.pair.digest, BAD)
    one.rate(NEW.pair.digest, helpful=False)
    one.rate(NEW.pair.digest, helpful=True, changed=True)
    one.rate(NEW.pair.digest, helpful=True, changed=True)
    one.tick()
    other.tick()
    found = other.sides()["candidate"]
    assert (found.requests, found.errors, found.rated, found.unhelpful, found.priced) == (3, 3, 1, -1, 3)
    assert found.cost_usd == pytest.approx(0.000369, abs=1e-12)
    assert found.cost_squared == pytest.approx(3 * 0.000123**2, rel=1e-6)
    assert sum(found.latencies.values()) == 3


def test_counts_of_another_version_of_the_service_are_left_aside(service):
    one = service.task("one")
    feed(one, 10)
    one.tick()
    (key,) = (key for key, item in service.table.found.items() if any(name.startswith("n.") for name in item))
    service.table.rows.update(key, Changes(sets={"n.c.moods": 3, "n.c.ms_max": 9, "n.x.requests": 5}))
    other = service.task("other")
    assert requests(other) == {"candidate": 10, "production": 10}


def test_an_hour_later_nothing_of_it_counts(service):
    one = service.task("one")
    feed(one, 90, seen=BAD)
    one.tick()
    service.now += 3700
    feed(one, 90, seen=BAD)
    one.tick()
    assert requests(one) == {"candidate": 90, "production": 90}
    assert one.status()["stopped"] is None


def test_a_new_step_counts_from_nothing_for_all_tasks(service):
    one, other = service.task("one"), service.task("other")
    feed(one, 60)
    one.tick()
    service.registry.found = candidate(sequence=2)
    one.tick()
    other.tick()
    feed(other, 10)
    other.tick()
    one.tick()
    assert requests(one) == requests(other) == {"candidate": 10, "production": 10}


def test_a_damaged_copy_on_disk_is_mended_from_the_table(service):
    service.task("one")
    (service.root / "one" / "state.json").write_text("{", encoding="utf-8")
    assert serves(service.task("one")) == {"old", "new"}
    (service.root / "one" / "state.json").write_text("{", encoding="utf-8")
    service.table.down = True
    assert serves(service.task("one")) == {"old"}


@pytest.mark.parametrize("down", [False, True])
def test_a_damaged_disk_stops_the_first_rollout_for_nobody_but_itself_until_the_table_answers(service, down):
    (service.root / "one").mkdir(parents=True)
    (service.root / "one" / "state.json").write_text("{", encoding="utf-8")
    first, service.registry.found = service.registry.found, None
    service.table.down = down
    one = service.task("one")
    service.registry.found = first
    one.tick()
    assert serves(one) == ({"old"} if down else {"old", "new"})
    assert service.task("one").choose(None).pair.name == "old"  # a restart in between takes nothing back
    service.table.down = False
    one.tick()
    other = service.task("other")
    assert serves(other) == serves(one) == {"old", "new"}
    assert other.status()["stopped"] is one.status()["stopped"] is None


def test_a_disk_that_was_damaged_may_not_serve_a_step_by_a_copy_made_while_the_table_was_down(service):
    (service.root / "one").mkdir(parents=True)
    (service.root / "one" / "state.json").write_text("{", encoding="utf-8")
    service.table.down = True
    service.task("one")
    assert serves(service.task("one")) == {"old"}


def test_a_stop_without_a_step_in_the_table_stops_nothing(service):
    service.table.put(rollout_partition("demo"), "step", '{"sequence": 0, "stopped": "a disk was damaged"}')
    assert serves(service.task("one")) == {"old", "new"}


def test_a_damaged_item_stops_nothing_that_runs_and_is_named(service):
    one = service.task("one")
    partition = rollout_partition("demo")
    service.table.put(partition, "step", "{")
    one.tick()
    assert serves(one) == {"old", "new"}
    assert "delete it" in one.status()["shared_error"]
    assert serves(service.task("a new disk")) == {"old"}
    service.table.delete(partition, "step")
    one.tick()
    assert one.status()["shared_error"] is None
    assert service.table.get(partition, "step") is not None


def test_a_rollout_without_traffic_writes_nothing(service):
    one = service.task("one")
    writes = service.table.writes
    for _ in range(5):
        one.tick()
    assert service.table.writes == writes


def test_the_registry_may_be_gone_too(service):
    one = service.task("one")
    service.registry.found = RegistryError("down")
    service.table.down = True
    feed(one, seen=BAD)
    one.tick()
    assert serves(one) == {"old"}


def unsigned(service, sequence):
    """Write what somebody who can write the table, and cannot sign, would write."""
    text = json.dumps({"sequence": sequence, "pair": None, "stopped": None})
    service.table.put(rollout_partition("demo"), "step", text)


HUGE = 9 * 10**15


@pytest.mark.parametrize("sequence", [1, 2, HUGE])
def test_an_unsigned_number_takes_no_stop_back(service, sequence):
    one = service.task("one")
    feed(one, seen=BAD)
    one.tick()
    unsigned(service, sequence)
    one.tick()
    assert serves(one) == {"old"}
    assert serves(service.task("a new disk")) == {"old"}


@pytest.mark.parametrize("sequence", [2, HUGE])
def test_an_unsigned_number_disarms_no_automatic_stop(service, sequence):
    one = service.task("one")
    unsigned(service, sequence)
    feed(one, 800, seen=BAD)
    one.tick()
    assert "errors: 800 of 800" in one.status()["stopped"]
    one.tick()
    assert serves(one) == serves(service.task("a new disk")) == {"old"}


def test_an_unsigned_number_holds_no_rollout_back_and_is_written_by_nobody_again(service):
    unsigned(service, HUGE)
    one = service.task("one")
    assert serves(one) == {"old", "new"}
    service.table.delete(rollout_partition("demo"), "step")
    one.tick()
    assert not [item for item in service.table.found.values() if str(HUGE) in str(item)]
    assert str(HUGE) not in (service.root / "one" / "state.json").read_text(encoding="utf-8")


def stops(service):
    return [key for key in service.table.found if key[1].startswith("stop/")]


def test_a_stop_that_was_deleted_from_the_table_is_written_again(service):
    one = service.task("one")
    feed(one, seen=BAD)
    one.tick()
    (key,) = stops(service)
    service.table.delete(rollout_partition("demo"), key[1])
    service.table.delete(rollout_partition("demo"), "step")
    service.task("one")  # the process may have ended: its disk remembers
    assert stops(service) == [key]
    assert serves(service.task("a new disk")) == {"old"}


def test_a_stop_that_cannot_be_read_is_a_stop(service):
    one = service.task("one")
    feed(one, seen=BAD)
    one.tick()
    (key,) = stops(service)
    service.table.put(rollout_partition("demo"), key[1], "{")
    assert serves(service.task("a new disk")) == {"old"}


def test_a_damaged_step_hides_no_stop_of_another_task(service):
    one, other = service.task("one"), service.task("other")
    feed(one, seen=BAD)
    one.tick()
    service.table.put(rollout_partition("demo"), "step", "{")
    service.now += 7200  # the counts, by which it would stop the candidate itself, are gone
    other.tick()
    assert serves(other) == {"old"}
    assert "delete it" in other.status()["shared_error"]


def test_forged_counts_do_not_hide_what_a_task_has_counted_itself(service):
    one = service.task("one")
    forged = {"c.requests": Decimal(10**9), "p.requests": Decimal(10**9)}
    minute = int(service.now // 60)
    service.table.add(
        rollout_partition("demo"),
        f"counts/000001/{minute:010d}",
        forged,
        writer="x",
        batch=1,
        expires_at=service.now + 7200,
    )
    feed(one, 300, seen=BAD)
    one.tick()
    assert "errors: 300 of 300" in one.status()["stopped"]
    assert one.status()["stopped"].endswith(", by this task's own counts")


def test_a_stop_by_the_counts_of_all_tasks_names_no_task(service):
    one = service.task("one")
    feed(one, seen=BAD)
    one.tick()
    assert "own counts" not in one.status()["stopped"]


@pytest.mark.parametrize(
    "item",
    [
        {"sk": "counts/000001/0000016667x"},
        {"n.c.requests": "many"},
        {"expires_at": "soon"},
        {"w.x": []},
        {"n.c.ms\u00b2": 1},
        {"n.c.ms" + "9" * 5000: 1},
        {"n.p.requests": Decimal("1E125"), "n.p.errors": Decimal("-1E125"), "n.c.cost_usd": Decimal("9E125")},
        {"n.p.cost_squared": Decimal("9E125"), "n.c.ms1000000": 10**30, "n.c.requests": Decimal("-1E40")},
        {"n.p.errors": 10**12, "n.p.requests": 1, "n.c.errors": -5},
    ],
)
def test_counts_that_cannot_be_read_disarm_no_automatic_stop(service, item):
    one = service.task("one")
    key = f"counts/000001/{int(service.now // 60) - 1:010d}"
    attributes = {"pk": f"test/{rollout_partition('demo')}", "sk": key, "version": 1, **item}
    service.table.rows.put(attributes)
    feed(one, seen=BAD)
    one.tick()
    assert "errors: 300 of 300" in one.status()["stopped"]
    assert one.status()["last_error"] is one.status()["shared_error"] is None


def test_a_task_of_before_stops_is_heard_and_hears(service):
    one = service.task("one")
    text = json.dumps({"sequence": 1, "pair": NEW.pair.digest, "stopped": "errors", "at": 1.0})
    service.table.put(rollout_partition("demo"), "step", text)
    one.tick()
    assert serves(one) == {"old"}
    service.table.delete(rollout_partition("demo"), "step")
    one.tick()
    told = json.loads(service.table.get(rollout_partition("demo"), "step").text)
    assert (told["sequence"], told["pair"], told["stopped"]) == (1, NEW.pair.digest, "errors")


def test_where_a_newer_step_is_known_than_the_registry_gives_production_answers(service):
    one, other = service.task("one"), service.task("other")
    service.registry.found = candidate(sequence=2, percent=0)
    other.tick()
    service.registry.found = RegistryError("down")
    one.tick()
    assert serves(one) == {"old"}
    assert one.status()["percent"] == 0
