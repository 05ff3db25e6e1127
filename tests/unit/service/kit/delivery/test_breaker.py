import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from service.kit.delivery.breaker import BreakerPolicy, Breakers, BreakerState, CircuitBreaker
from service.kit.frame.retries import RetryPlan

PAUSES = RetryPlan(first_s=15, longest_s=40)
POLICY = BreakerPolicy(failures_in_a_row=3, failed_share=0.5, least_calls=10, window_s=30, pauses=PAUSES)
OPEN_S = 15


class Time:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def time():
    return Time()


@pytest.fixture
def breaker(time):
    return CircuitBreaker("m", POLICY, time)


def call(breaker, ok):
    permit = breaker.admit()
    assert permit is not None
    (permit.succeeded if ok else permit.failed)()


def open_it(breaker):
    for _ in range(POLICY.failures_in_a_row):
        call(breaker, False)
    assert breaker.state is BreakerState.OPEN


def test_the_breaker_opens_at_the_limit_of_failures_in_a_row(breaker):
    call(breaker, False)
    call(breaker, False)
    call(breaker, True)
    call(breaker, False)
    call(breaker, False)
    assert breaker.state is BreakerState.CLOSED
    call(breaker, False)
    assert breaker.state is BreakerState.OPEN
    assert breaker.admit() is None


def test_the_breaker_opens_at_the_share_of_failures_once_there_are_enough_calls(breaker):
    for number in range(9):
        call(breaker, number % 2 == 1)
    assert breaker.state is BreakerState.CLOSED  # 5 of 9, but fewer than ten calls
    call(breaker, True)
    call(breaker, False)
    assert breaker.state is BreakerState.OPEN  # 6 of 11


def test_a_third_of_throttled_calls_does_not_open_the_breaker(breaker):
    for number in range(300):
        call(breaker, number % 3 != 0)
    assert breaker.state is BreakerState.CLOSED


def test_failures_older_than_the_window_are_not_counted(breaker, time):
    for ok in (False, False, True) * 4:
        if breaker.state is BreakerState.CLOSED:
            call(breaker, ok)
            time.now += 10
    assert breaker.state is BreakerState.CLOSED  # never ten calls within 30 s


@pytest.mark.acceptance("event.BREAKER_OPENED", "event.BREAKER_CLOSED")
def test_after_open_s_a_successful_probe_closes_the_breaker(breaker, time):
    with capture_logs() as logs:
        open_it(breaker)
        time.now += OPEN_S
        assert breaker.state is BreakerState.HALF_OPEN
        probe = breaker.admit()
        assert probe is not None
        assert breaker.admit() is None  # one at a time
        probe.succeeded()
    assert [(entry["event"], entry["model"]) for entry in logs] == [("BREAKER_OPENED", "m"), ("BREAKER_CLOSED", "m")]
    assert breaker.state is BreakerState.CLOSED
    assert breaker.admit() is not None


def test_each_failed_probe_opens_the_breaker_for_longer_until_it_was_closed(breaker, time):
    open_it(breaker)
    for open_s in (OPEN_S, 30, 40, 40):
        time.now += open_s - 0.1
        assert breaker.admit() is None
        time.now += 0.1
        breaker.admit().failed()
    breaker.insist().succeeded()
    open_it(breaker)
    time.now += OPEN_S
    assert breaker.admit() is not None


def test_who_insists_is_the_next_probe_whatever_the_state(breaker, time):
    breaker.insist().succeeded()
    open_it(breaker)
    insists = breaker.insist()
    time.now += OPEN_S
    assert breaker.admit() is None
    insists.succeeded()
    assert breaker.state is BreakerState.CLOSED


def test_a_probe_that_is_given_back_frees_the_slot_for_the_next_probe(breaker, time):
    open_it(breaker)
    time.now += OPEN_S
    breaker.admit().give_back()
    assert breaker.admit() is not None


def test_only_the_first_reported_outcome_of_a_call_counts(breaker):
    for _ in range(5):
        permit = breaker.admit()
        permit.succeeded()
        permit.failed()
    assert breaker.state is BreakerState.CLOSED


def test_calls_started_before_the_breaker_opened_do_not_keep_it_open(breaker, time):
    late = [breaker.admit() for _ in range(3)]
    open_it(breaker)
    time.now += OPEN_S - 1
    for permit in late:
        permit.failed()
    time.now += 1
    assert breaker.state is BreakerState.HALF_OPEN


def test_each_model_has_its_own_breaker(time):
    breakers = Breakers(time, POLICY)
    open_it(breakers.of("a"))
    assert breakers.of("b").admit() is not None
    assert breakers.states() == {"a": BreakerState.OPEN, "b": BreakerState.CLOSED}


def test_failures_before_the_breakers_are_armed_open_no_breaker(time):
    breakers = Breakers(time, POLICY, armed=False)
    for _ in range(50):
        permit = breakers.admit("m")
        assert permit is not None
        permit.failed()
    assert breakers.of("m").state is BreakerState.CLOSED
    early = breakers.admit("m")
    breakers.armed = True
    early.failed()  # it left before
    for _ in range(POLICY.failures_in_a_row - 1):
        breakers.admit("m").failed()
    assert breakers.of("m").state is BreakerState.CLOSED
    breakers.admit("m").failed()
    assert breakers.admit("m") is None


@given(st.lists(st.tuples(st.sampled_from(["ok", "fail", "nothing", "hold"]), st.floats(0, 20)), max_size=120))
def test_there_is_at_most_one_probe_and_every_open_breaker_can_close_again(steps):
    time = Time()
    breaker = CircuitBreaker("m", POLICY, time)
    held = []
    for what, wait in steps:
        time.now += wait
        before = breaker.state
        permit = breaker.admit()
        assert (permit is None) or before is not BreakerState.OPEN
        if permit is None:
            continue
        if before is BreakerState.HALF_OPEN:
            assert breaker.admit() is None
        match what:
            case "ok":
                permit.succeeded()
            case "fail":
                permit.failed()
            case "nothing":
                permit.give_back()
            case "hold":
                held.append(permit)
    for permit in held:
        permit.give_back()
    time.now += 40.001
    permit = breaker.admit()
    assert permit is not None
    permit.succeeded()
    assert breaker.state is BreakerState.CLOSED
