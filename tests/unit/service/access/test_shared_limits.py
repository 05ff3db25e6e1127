"""Tasks with a clock that a test moves, one table, and clients whose limits all tasks share."""

from contextlib import ExitStack
from types import SimpleNamespace

import pytest
from shared_table import TableInMemory

from service.access.shared_limits import BEAT_S, SharedLimits
from service.access.throttle import LimitExceeded, Throttle
from service.core.llm.reliability import Reliability

RATE, BURST = 10.0, 20


class Task:
    def __init__(self, service):
        self.throttle = Throttle(lambda: service.now)
        self.reliability = Reliability(lambda: service.now)
        self.limits = SharedLimits(
            service.table, self.throttle, self.reliability, clock=lambda: service.now, wall=lambda: service.now
        )


class Service:
    def __init__(self, n):
        self.now, self.table = 1000.0, TableInMemory()
        self.tasks = [Task(self) for _ in range(n)]
        self.beat()
        self.beat()

    def beat(self, *tasks):
        for task in tasks or self.tasks:
            task.limits.beat()


def caller(**changes):
    limits = {"rate_per_s": RATE, "burst": BURST, "concurrent": 100}
    return SimpleNamespace(client_id="widget", client=SimpleNamespace(**limits | changes))


def admitted(task, n=1, **changes):
    """Send ``n`` requests that end at once; return how many were admitted."""
    passed = 0
    for _ in range(n):
        try:
            with task.throttle.admit(caller(**changes)):
                passed += 1
        except LimitExceeded:
            pass
    return passed


def run(service, seconds, offered):
    """Offer ``offered(second)[i]`` requests a second to task i; return how many were admitted in each second."""
    found = []
    for second in range(seconds):
        found.append(0)
        for tenth in range(10):
            for task, each in zip(service.tasks, offered(second), strict=True):
                found[-1] += admitted(task, (each * (tenth + 1)) // 10 - (each * tenth) // 10)
            service.now += 0.1
        if second % BEAT_S == BEAT_S - 1:
            service.beat()
    return found


@pytest.mark.parametrize("n", [1, 2, 5])
def test_all_tasks_together_keep_to_one_rate_in_the_long_run(n):
    service = Service(n)
    found = sum(run(service, 200, lambda second: [30] * n))
    # Rate times time, the first burst, and what two beats let through before they are charged.
    assert RATE * 200 - BURST <= found <= RATE * 200 + n * (BURST + 2 * BEAT_S * RATE)


def test_a_client_whose_requests_all_reach_one_task_gets_its_whole_rate():
    service = Service(4)
    assert sum(run(service, 100, lambda second: [9, 0, 0, 0])) == 900


def test_a_client_below_its_rate_is_never_refused_however_its_requests_are_spread():
    service = Service(3)
    assert sum(run(service, 120, lambda second: [9, 0, 0] if second % 7 < 3 else [0, 4, 5])) == 9 * 120


def test_a_burst_at_every_task_is_paid_before_the_client_goes_on():
    service = Service(5)
    assert sum(admitted(task, 50) for task in service.tasks) == 5 * BURST
    service.beat()
    service.beat()
    with pytest.raises(LimitExceeded) as refused, service.tasks[0].throttle.admit(caller()):
        pass
    assert refused.value.retry_after_s == pytest.approx((1 + 4 * BURST) / RATE)
    service.now += 4 * BURST / RATE
    assert admitted(service.tasks[0], 1) == 0
    service.now += 1 / RATE
    assert admitted(service.tasks[0], 1) == 1


def test_a_client_that_is_new_to_a_task_was_seen_elsewhere():
    service = Service(2)
    assert admitted(service.tasks[0], 15) == 15
    service.beat(*service.tasks, service.tasks[1])
    assert admitted(service.tasks[1], 50) in (BURST - 15, BURST)


def test_what_is_in_flight_elsewhere_counts():
    service = Service(2)
    one, other = service.tasks
    with ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(one.throttle.admit(caller(concurrent=4)))
        service.beat()
        stack.enter_context(other.throttle.admit(caller(concurrent=4)))
        with pytest.raises(LimitExceeded, match="in flight"), other.throttle.admit(caller(concurrent=4)):
            pass
    service.beat()
    service.beat()
    assert admitted(other, 1, concurrent=1) == 1


def test_a_task_that_hears_nothing_keeps_to_its_part_and_owes_nothing_afterwards():
    service = Service(4)
    admitted(service.tasks[0], BURST)
    service.table.down = True
    run(service, 20, lambda second: [0] * 4)  # until the bucket is full, and the outage is noticed
    assert service.tasks[0].limits.tasks == 4
    found = sum(run(service, 100, lambda second: [30] * 4))
    assert found <= RATE * 100 + 4 * BURST
    service.table.down = False
    service.beat()
    assert sum(run(service, 20, lambda second: [30] * 4)) >= RATE * 20 - 4 * BURST


def test_a_short_outage_changes_nothing():
    service = Service(2)
    service.table.down = True
    service.beat()
    service.now += BEAT_S
    service.beat()
    assert sum(run(service, 1, lambda second: [9, 0])) == 9


def test_a_task_that_is_gone_is_forgotten_and_one_that_is_idle_is_not():
    service = Service(3)
    for _ in range(60):
        service.now += BEAT_S
        service.beat(*service.tasks[:2])
    assert [task.limits.tasks for task in service.tasks[:2]] == [2, 2]


def test_an_idle_task_writes_at_every_fifth_beat_only():
    service = Service(1)
    before = service.table.writes
    for _ in range(20):
        service.now += BEAT_S
        service.beat()
    assert service.table.writes - before == 4


def test_the_floor_of_the_hedges_is_shared_and_every_task_keeps_one():
    for n, each in ((1, 3), (2, 1), (3, 1), (6, 1)):
        service = Service(n)
        assert [sum(task.reliability.hedges.of("p").allow() for _ in range(9)) for task in service.tasks] == [each] * n


def test_a_note_of_another_version_of_the_service_is_a_task_without_requests():
    service = Service(1)
    service.table.put_quietly("tasks", "other", '{"n": 3, "clients": {"widget": "many"}}', expires_at=9e9)
    service.table.put_quietly("tasks", "third", "nonsense", expires_at=9e9)
    service.beat()
    assert service.tasks[0].limits.tasks == 3
    assert admitted(service.tasks[0], 1) == 1


@pytest.mark.parametrize(
    "uses",
    ['"widget": [0, -1000000]', '"widget": [1e999, 0]', f'"widget": [1{"0" * 400}, 0]', f'"x": {"[" * 100_000}'],
)
def test_no_note_gives_a_client_more_or_ends_in_an_error(uses):
    service = Service(1)
    task = service.tasks[0]
    for number in ("1e999", "2", "3"):
        service.table.put_quietly("tasks", "other", f'{{"n": {number}, "clients": {{{uses}}}}}', expires_at=9e9)
        service.beat()
        assert task.limits.tasks == 2
    with task.throttle.admit(caller(concurrent=2)), task.throttle.admit(caller(concurrent=2)):
        assert admitted(task, concurrent=2) == 0


def test_without_a_table_there_is_nothing_to_share():
    limits = SharedLimits(None, None, Reliability(lambda: 0.0))
    limits.start()
    limits.stop()
    assert limits.tasks == 1


def test_an_answer_that_is_none_of_the_tables_counts_as_none():
    service = Service(1)

    def items(*arguments, **more):
        raise KeyError("Items")

    service.table.items = items
    service.beat()
    assert admitted(service.tasks[0]) == 1
