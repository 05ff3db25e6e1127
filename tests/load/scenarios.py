"""What is tried: load shapes and faults, each with the promise that must hold; what needs a part not built yet says so."""

import importlib.util
from dataclasses import dataclass, field, replace

from rig import PRIMARY


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One run of locust against one service.

    ``model_faults`` are rules of the Bedrock stand-in, ``store_faults`` of the store proxy. ``cold`` sends requests as soon as
    the service says that it is ready. ``event`` is something that the driver does in the middle. ``serving`` replaces fields of
    the pair's serving policy. ``most_failed``, ``most_late`` and ``most_degraded`` are shares of the requests sent, ``most_lost``
    is their number, ``least_primary`` the primary's share of them, ``most_p50_ms`` and the like are of all answers, degraded and
    failed ones too; None promises nothing. ``most_further`` is the share of calls to models beyond the first of each request:
    hedges, repeats and repairs.
    ``least_reused`` is the share of transfers that a stored summary answers. Where a fault leaves nothing to answer with,
    ``only_code`` is the one code that each failure must have, and ``none_answered`` says that an answer would be invented;
    ``most_failed_after`` is the share that may still fail once the fault has ended (event ``store_back``).
    """

    name: str
    users: int = 20
    pacing_s: float = 2.0
    seconds: int = 12
    spread: bool = True
    transfer: bool = False
    cold: bool = False
    steps: tuple[tuple[int, int], ...] = ()
    model_faults: tuple[dict, ...] = ()
    store_faults: dict = field(default_factory=dict)
    event: str | None = None
    environment: dict = field(default_factory=dict)
    serving: dict | None = None
    needs: str | None = None
    most_failed: float = 0.005
    most_late: float | None = 0.01
    most_lost: int = 0
    most_degraded: float | None = None
    most_further: float | None = None
    least_primary: float | None = None
    most_p50_ms: float | None = None
    most_p95_ms: float | None = 5300  # the deadline and what it takes to answer when it strikes
    most_p99_ms: float | None = None
    least_reused: float | None = None
    only_code: str | None = None
    none_answered: bool = False
    most_failed_after: float | None = None


TENTH_HANGS = ({"kind": "hang", "model": PRIMARY, "rate": 0.1},)

LOAD = (
    Scenario(name="50 agents", users=50, pacing_s=2.0, seconds=15),
    # A burst may cost the last ones a digest, and none of them its answer: R-LATENCY holds for all 500.
    Scenario(
        name="500 at once, every 10 s",
        users=500,
        pacing_s=10.0,
        seconds=21,
        spread=False,
        most_late=None,
        most_p95_ms=5000,
        most_p99_ms=8000,
        most_degraded=0.10,
    ),
    Scenario(
        name="500 agents, 10 s between calls",
        users=500,
        pacing_s=10.0,
        seconds=30,
        most_degraded=0.01,
        most_failed=0.0,
    ),
    # A deployment: the process has just started, and its share of the load is there at once.
    Scenario(
        name="500 agents upon a process that has just started",
        users=500,
        pacing_s=10.0,
        seconds=30,
        cold=True,
        most_failed=0.0,
    ),
    # What R-LATENCY and R-FAILOVER promise: p95 below 5 s, p99 below 8 s, no 5xx.
    Scenario(
        name="500 agents, 10% of primary calls hang",
        users=500,
        pacing_s=10.0,
        seconds=30,
        model_faults=TENTH_HANGS,
        most_failed=0.0,
        most_p95_ms=5000,
        most_p99_ms=8000,
    ),
    Scenario(
        name="500 at once, 10% of primary calls hang",
        users=500,
        pacing_s=10.0,
        seconds=21,
        spread=False,
        model_faults=TENTH_HANGS,
        most_late=None,
        most_failed=0.0,
        most_p95_ms=5000,
        most_p99_ms=8000,
    ),
    # The plan to the letter (R-MODELS): 5 s for the primary, then the backup. It shows why not: a tenth comes too late. Its own
    # promise is only that a hanging call fails nothing and ends within its deadline of 12 s.
    Scenario(
        name="5 s for the primary, then the backup; 10% of primary calls hang",
        users=500,
        pacing_s=10.0,
        seconds=30,
        model_faults=TENTH_HANGS,
        serving={"deadline_ms": 12000, "hedge_delay_ms": 5000},
        most_late=None,
        most_failed=0.0,
        most_p95_ms=12_300,
    ),
    Scenario(
        name="100 to 1,000 agents, one question in 10 s each",
        pacing_s=10.0,
        steps=((100, 10), (250, 10), (500, 10), (1000, 12)),
        most_late=None,
        # Twice what it is built for: the digest answers for the model then, and in time (R-LATENCY, R-LOAD).
        most_p95_ms=5000,
        most_p99_ms=8000,
    ),
    # R-REUSE asks for more than 70% in real life. Here nothing happens to a customer between the two agents, so only a digest
    # is not reused: 93% on a machine with five times the load that it has cores for.
    Scenario(name="agent transfer within 5 min", users=60, pacing_s=8.0, seconds=24, transfer=True, least_reused=0.85),
)

CHAOS = (
    Scenario(name="no fault"),
    Scenario(
        name="primary throttled, 30%",
        model_faults=({"kind": "throttle", "model": PRIMARY, "rate": 0.3},),
        least_primary=0.6,
        most_p95_ms=5000,
    ),
    Scenario(
        name="10% of primary calls hang",
        users=100,
        pacing_s=5.0,
        seconds=30,
        model_faults=TENTH_HANGS,
        most_degraded=0.02,
        most_further=0.12,
        most_p95_ms=4500,
    ),
    Scenario(name="primary hung", model_faults=({"kind": "hang", "model": PRIMARY, "rate": 1.0},)),
    Scenario(name="both models down", model_faults=({"kind": "unavailable", "model": "*", "rate": 1.0},)),
    # The first answers wait for their deadline; after a few, the digest comes at once.
    Scenario(
        name="both models hung",
        seconds=24,
        model_faults=({"kind": "hang", "model": "*", "rate": 1.0},),
        most_late=0.05,
        most_p50_ms=1000,
    ),
    # botocore tries twice: 30% throttled calls are 9% failed reads where nothing waits longer.
    Scenario(name="DynamoDB throttled, 30%", store_faults={"dynamodb": ("throttle", 0.3)}, most_failed=0.15),
    # No history, no summary: each request fails, in time and as what it is. A 200 would be a summary of a history that nobody
    # read. When DynamoDB is back, so are the answers.
    Scenario(
        name="DynamoDB down",
        store_faults={"dynamodb": ("down", 1.0)},
        seconds=26,
        event="store_back",
        most_failed=0.7,
        only_code="UPSTREAM_UNAVAILABLE",
        none_answered=True,
        most_failed_after=0.05,
    ),
    # Histories are read and nothing can be kept: each question has its answer, which says so.
    Scenario(name="DynamoDB takes no writes", store_faults={"writes": ("down", 1.0)}, most_failed=0.0),
    Scenario(name="S3 down", store_faults={"s3": ("down", 1.0)}, needs="service.answers_kept.archive"),
    Scenario(name="registry down", event="registry_down"),
    Scenario(name="registry hangs, cold start", event="registry_hangs"),
    Scenario(
        name="MLflow killed",
        seconds=18,
        event="mlflow_killed",
        environment={"OMNI_REGISTRY_REFRESH_S": "0.5"},
        most_failed=0.0,
    ),
    Scenario(
        name="alias moved, promote and rollback in turn",
        users=40,
        seconds=24,
        event="alias_moved",
        environment={"OMNI_REGISTRY_REFRESH_S": "0.2"},
        most_failed=0.0,
    ),
    Scenario(
        name="disk full for the spool, S3 down", store_faults={"s3": ("down", 1.0)}, seconds=18, event="disk_full"
    ),
    # An agent who was being answered gets no answer, and again none while it starts; then every question has one.
    Scenario(name="killed and restarted", event="kill", most_lost=60),
    Scenario(name="clock 1 h ahead", environment={"LOAD_CLOCK_SKEW_S": "3600"}, event="clock"),
    Scenario(name="clock 1 h behind", environment={"LOAD_CLOCK_SKEW_S": "-3600"}, event="clock"),
)


def missing(scenario):
    """Return what ``scenario`` needs and this build does not have, None when it can run."""
    if scenario.needs is None:
        return None
    try:
        found = importlib.util.find_spec(scenario.needs)
    except ModuleNotFoundError:
        found = None
    return None if found else scenario.needs


# Of the time in which the stand-ins of model and stores had something to do they must have had a processor for this share. What
# they answer late would count as the service's fault.
LEAST_SERVED = 0.4


def judged(scenario, row):
    """Return ``row`` with the promises that it breaks, and those that a machine without processor time leaves open."""
    problems = broken(scenario, row)
    if row.served >= LEAST_SERVED or not row.sent:
        return replace(row, broken=problems)
    plain = _never_excused(row)
    return replace(row, broken=plain, open=problems[len(plain) :])


def broken(scenario, row):
    """Return the promises that ``row`` breaks."""
    return (*_never_excused(row), *_by_share_or_time(scenario, row)) if row.sent else ("no request was sent",)


def _never_excused(row):
    problems = []
    if row.double:
        problems.append(f"{row.double} requests were completed twice")
    if row.wrong:
        problems.append(f"{row.wrong} answers belonged to another request")
    if row.mixed:
        problems.append(f"{row.mixed} answers were a mixture of two releases")
    return tuple(problems)


def _by_share_or_time(scenario, row):
    problems = []
    if scenario.most_degraded is not None and row.degraded / row.sent > scenario.most_degraded:
        problems.append(f"{row.degraded / row.sent:.1%} degraded, promised at most {scenario.most_degraded:.1%}")
    if scenario.most_further is not None and row.further > scenario.most_further:
        problems.append(f"{row.further:.1%} further calls to models, promised at most {scenario.most_further:.0%}")
    if scenario.least_primary is not None and row.models.get("nova-lite", 0) < scenario.least_primary * row.sent:
        problems.append(
            f"{row.models.get('nova-lite', 0) / row.sent:.1%} answered by the primary, promised {scenario.least_primary:.0%}"
        )
    if scenario.most_p99_ms is not None and row.p99 > scenario.most_p99_ms:
        problems.append(f"99% of the answers took up to {row.p99:.0f} ms, promised {scenario.most_p99_ms:.0f} ms")
    problems += _reuse_and_outage(scenario, row)
    if row.lost > scenario.most_lost:
        problems.append(f"{row.lost} requests got no answer at all, promised at most {scenario.most_lost}")
    if row.unfinished > scenario.most_lost:
        problems.append(f"{row.unfinished} requests were taken and never ended")
    if row.failed / row.sent > scenario.most_failed:
        problems.append(f"{row.failed / row.sent:.1%} failed, promised at most {scenario.most_failed:.1%}")
    if scenario.most_late is not None and row.late / row.sent > scenario.most_late:
        problems.append(f"{row.late / row.sent:.1%} came after 5 s, promised at most {scenario.most_late:.1%}")
    if scenario.most_p50_ms is not None and row.p50 > scenario.most_p50_ms:
        problems.append(f"half of the answers took up to {row.p50:.0f} ms, promised {scenario.most_p50_ms:.0f} ms")
    if scenario.most_p95_ms is not None and row.p95 > scenario.most_p95_ms:
        problems.append(f"95% of the answers took up to {row.p95:.0f} ms, promised {scenario.most_p95_ms:.0f} ms")
    return tuple(problems)


def _reuse_and_outage(scenario, row):
    """Return the broken promises about transfers and about a store that is down for a while."""
    problems = []
    if scenario.least_reused is not None and (row.reused is None or row.reused < scenario.least_reused):
        measured = (
            "no transfer was answered" if row.reused is None else f"{row.reused:.0%} of the transfers were reused"
        )
        problems.append(f"{measured}, promised at least {scenario.least_reused:.0%}")
    others = {code: count for code, count in row.codes.items() if code != scenario.only_code}
    if scenario.only_code is not None and others:
        problems.append(f"failures were also named {', '.join(sorted(others))}, promised only {scenario.only_code}")
    if scenario.none_answered and row.answered_during:
        problems.append(f"{row.answered_during} answers while there was nothing to answer from")
    if scenario.most_failed_after is not None:
        if not row.sent_after:
            problems.append("nothing was sent after the fault had ended")
        elif row.failed_after / row.sent_after > scenario.most_failed_after:
            share = row.failed_after / row.sent_after
            problems.append(f"{share:.1%} failed after the fault, promised at most {scenario.most_failed_after:.1%}")
    return problems
