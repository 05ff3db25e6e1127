import json
from dataclasses import replace

import pytest
from rollout_world import NEW, OLD, Production, Registry, candidate, served, signed
from structlog.testing import capture_logs

from service.kit.frame.errors import RegistryError, ToolsDiffer
from service.rollouts.control import RolloutControl, fitting
from service.rollouts.live_counts import Observation

UNITS = [f"{number:010d}" for number in range(400)]
BAD, GOOD = Observation(latency_ms=1000, error=True), Observation(latency_ms=1000)


class World:
    def __init__(self, folder, found=None):
        self.folder, self.registry, self.production = folder, Registry(found), Production()
        self.now = 1_000_000.0

    def worker(self):
        made = RolloutControl("demo", self.production, self.registry, self.folder, signed=signed, wall=lambda: self.now)
        made.tick()
        return made


@pytest.fixture
def world(tmp_path):
    return World(tmp_path / "rollout", candidate())


def names(control):
    return {control.choose(unit).pair.name for unit in UNITS}


def feed(control, n=300, *, candidate=GOOD, production=GOOD):
    for _ in range(n):
        control.observe(NEW.pair.digest, candidate)
        control.observe(OLD.pair.digest, production)


def test_a_share_of_the_customers_gets_the_candidate_and_keeps_it(world):
    control = world.worker()
    chosen = {unit: control.choose(unit).pair.name for unit in UNITS}
    assert 150 < sum(name == "new" for name in chosen.values()) < 250
    assert chosen == {unit: world.worker().choose(unit).pair.name for unit in UNITS}
    assert control.choose(None).pair.name == "old"


def test_without_a_candidate_production_answers_all(world):
    world.registry.found = None
    control = world.worker()
    control.observe(OLD.pair.digest, GOOD)
    assert names(control) == {"old"}
    assert control.status()["rollout"] is None


@pytest.mark.acceptance("event.ROLLOUT_STOPPED", "promise-14")
def test_a_bad_candidate_is_stopped_for_every_worker_and_after_a_restart(world):
    one, other = world.worker(), world.worker()
    feed(one, candidate=BAD)
    with capture_logs() as logs:
        one.tick()
    assert [(entry["event"], entry["pair"], entry["step"]) for entry in logs] == [("ROLLOUT_STOPPED", "new", 1)]
    assert names(one) == {"old"}
    other.tick()
    assert names(other) == {"old"}
    assert names(world.worker()) == {"old"}
    assert "errors: 300 of 300" in one.status()["stopped"]


def test_workers_stop_on_the_sum_of_their_counts(world):
    workers = [world.worker() for _ in range(4)]
    for worker in workers:
        feed(worker, 60, candidate=BAD)
        worker.tick()
    assert names(workers[-1]) == {"old"}


@pytest.mark.acceptance("promise-14")
def test_a_good_candidate_is_never_advanced_automatically(world):
    control = world.worker()
    feed(control, 2000)
    control.tick()
    assert names(control) == {"old", "new"}
    assert control.status()["percent"] == 50


def test_a_new_step_begins_again_after_a_stop(world):
    control = world.worker()
    feed(control, candidate=BAD)
    control.tick()
    world.registry.found = candidate(sequence=2, percent=100)
    control.tick()
    assert names(control) == {"new"}
    assert not list(world.folder.glob("counts-1-*"))


def test_an_older_step_is_never_run_again(world):
    world.registry.found = candidate(sequence=3, percent=0)
    control = world.worker()
    world.registry.found = candidate(sequence=2)
    control.tick()
    assert names(control) == {"old"}
    assert "older than step 3" in control.status()["last_error"]
    assert names(world.worker()) == {"old"}  # a restart remembers


def test_the_registry_may_be_gone_while_a_rollout_runs(world):
    control = world.worker()
    world.registry.found = RegistryError("down")
    control.tick()
    assert names(control) == {"old", "new"}
    assert control.status()["last_error"] == "down"
    feed(control, candidate=BAD)
    control.tick()
    assert names(control) == {"old"}  # and is stopped all the same


def test_another_production_pair_ends_it_at_once(world):
    control = world.worker()
    world.production.pair = served("third")
    assert names(control) == {"third"}
    assert control.shadow(UNITS[0]) is None


def test_an_old_hour_is_forgotten(world):
    control = world.worker()
    feed(control, 99, candidate=BAD)
    world.now += 3600
    feed(control, 99, candidate=BAD)
    control.tick()
    assert names(control) == {"old", "new"}  # 99 each hour, never 100


def test_agents_ratings_count(world):
    control = world.worker()
    for _ in range(200):
        control.rate(NEW.pair.digest, helpful=False)
        control.rate(OLD.pair.digest, helpful=True)
    control.rate("somebody else", helpful=False)
    control.tick()
    assert control.status()["stopped"].startswith("unhelpful: 200 of 200")


@pytest.mark.acceptance("promise-14")
def test_a_verdict_counts_once_and_a_changed_one_as_changed(world):
    control = world.worker()
    for _ in range(200):
        control.rate(OLD.pair.digest, helpful=True)
        control.rate(NEW.pair.digest, helpful=False)
    world.now += 120  # the other word comes minutes later
    for _ in range(200):
        control.rate(NEW.pair.digest, helpful=True, changed=True)
    control.tick()
    assert control.status()["stopped"] is None
    assert {side: (counts["rated"], counts["unhelpful"]) for side, counts in control.status()["sides"].items()} == {
        "candidate": (200, 0),
        "production": (200, 0),
    }
    world.now += 3550  # the first words are over an hour old, the changes are not
    for _ in range(100):
        control.rate(OLD.pair.digest, helpful=True)
        control.rate(NEW.pair.digest, helpful=True)
    control.tick()
    assert control.status()["sides"]["candidate"]["unhelpful"] == -200
    assert control.status()["stopped"] is None


@pytest.mark.parametrize("text", ["{", "[]", "\x00"])
def test_a_damaged_state_stops_until_the_next_step(world, text):
    world.folder.mkdir(parents=True)
    (world.folder / "state.json").write_text(text, encoding="utf-8")
    control = world.worker()
    control.tick()
    assert names(control) == {"old"}
    assert "damaged" in control.status()["stopped"]
    world.registry.found = candidate(sequence=2)
    control.tick()
    assert names(control) == {"old", "new"}


def test_a_worker_with_a_damaged_file_is_missing_data(world):
    control = world.worker()
    (world.folder / "counts-1-9-x.json").write_text('{"16666": {"candidate": 3}}', encoding="utf-8")
    feed(control)
    control.tick()
    assert control.sides()["candidate"].requests == 300


def test_a_folder_that_cannot_be_written_is_reported_and_serving_continues(world, tmp_path):
    world.folder.parent.mkdir(exist_ok=True)
    world.folder.write_text("a file where the folder should be", encoding="utf-8")
    control = world.worker()
    feed(control)
    control.tick()
    assert "cannot be" in control.status()["last_error"] or "rollout" in control.status()["last_error"]
    assert "old" in names(control)


def test_shadows_are_others_than_those_served(world):
    world.registry.found = candidate(percent=50, shadow_percent=100)
    control = world.worker()
    for unit in UNITS:
        assert (control.shadow(unit) is None) is (control.choose(unit).pair.name == "new")


def test_counts_are_written_whole(world):
    control = world.worker()
    feed(control, 5)
    control.tick()
    (path,) = world.folder.glob("counts-*.json")
    assert json.loads(path.read_text(encoding="utf-8"))
    assert not list(world.folder.glob(".*tmp"))


def test_a_step_of_another_candidate_forgets_the_counts(world):
    control = world.worker()
    feed(control, 90, candidate=BAD)
    found = candidate(sequence=2)
    world.registry.found = replace(found, rollout=replace(found.rollout, percent=60))
    control.tick()
    feed(control, 90, candidate=BAD)
    control.tick()
    assert not control.status()["stopped"]


def test_a_rolled_back_candidate_does_not_come_back_by_its_old_rollout(world):
    control = world.worker()
    assert names(control) == {"old", "new"}
    # It was promoted, and then rolled back: the pair beside which the step was made is in production again.
    world.production.pair = replace(OLD, released_at="2026-11-21T00:00:01+00:00")
    assert names(control) == {"old"}
    assert names(world.worker()) == {"old"}
    world.registry.found = candidate(sequence=2, at="2026-11-21T00:00:01+00:00")
    control.tick()
    assert names(control) == {"old", "new"}


def test_a_candidate_with_other_tools_than_there_are_gets_no_customers(world):
    fault = []

    def fits(pair):
        assert pair == NEW.pair
        if fault:
            raise fault[0]

    control = RolloutControl("demo", world.production, fitting(world.registry, fits), world.folder, signed=signed)
    control.tick()
    assert names(control) == {"old", "new"}
    fault.append(RegistryError("the tools are down"))
    control.tick()
    assert names(control) == {"old", "new"}  # nobody can say that they differ
    fault[0] = ToolsDiffer("'find' is missing")
    control.tick()
    assert (names(control), control.status()["last_error"]) == ({"old"}, "'find' is missing")
    fault.clear()
    control.tick()
    assert names(control) == {"old", "new"}
