"""Shadow answers of a candidate beside production's, and the report on them."""

import datetime as dt

from eval.shadow.decide import judge_shadows
from eval.shadow.report import ShadowReport
from eval.shadow.stored import ComparedShadows, StoredShadows
from eval.suites import load_suite
from service.core.run.task import load_task
from service.core.unit.cards import ModelCards
from service.core.unit.pair_file import load_pair
from service.kit.settings import REPO_ROOT
from service.rollouts.shadow_record import ShadowRecord

TASK, SUITE = load_task("summarize"), load_suite("summarize")
CARDS = ModelCards.load(REPO_ROOT / "prompts" / "models.yaml")
PAIR = load_pair(REPO_ROOT / "prompts" / "summarize" / "nova-micro.prompty", cards=CARDS, task_variables=TASK.variables)
NOW = dt.datetime(2026, 11, 21, 9, tzinfo=dt.UTC)
GOOD = "The customer disputes the late fee of $284.60 and waits for an answer."


def record(number, *, customer=None, ours=None, theirs=None):
    answer = {
        "output": GOOD,
        "arm": "primary",
        "model": PAIR.model,
        "answered_by": "nova",
        # Spread as real times are, alike on both sides.
        "latency_ms": 800.0 + 7 * (number % 100),
        "cost_usd": "0.0001",
        "failure": None,
        "guarded": [],
        "repaired": False,
    }
    inputs = {
        "as_of": NOW.isoformat(),
        "account_number": f"pseudonym{number if customer is None else customer}",
        "contact_id": "c",
        "interactions": [
            {
                "interaction_id": f"i{number}",
                "timestamp": (NOW - dt.timedelta(days=2)).isoformat(),
                "channel": "agent",
                "intent": "billing",
                "text": "Customer disputes the late fee of $284.60 and waits for an answer.",
            }
        ],
    }
    return ShadowRecord.model_validate(
        {
            "id": f"{number:016x}",
            "at": NOW + dt.timedelta(minutes=number),
            "task": "summarize",
            "rollout": 5,
            "inputs": inputs,
            "shown": {"pair_digest": "p" * 64, **answer, **(theirs or {})},
            "unseen": {"pair_digest": PAIR.digest, **answer, **(ours or {})},
        }
    )


def judged(records):
    records = tuple(records)
    comparison = ComparedShadows(candidate=PAIR.digest, production="p" * 64, records=records, others=())
    return judge_shadows(comparison, task=TASK, suite=SUITE, cards=CARDS, pair=PAIR, today=NOW.date())


def report_of(result):
    stored = StoredShadows(records=result.comparison.records, unreadable=(), left_out=0, places=("here",))
    return ShadowReport(result=result, stored=stored, production="steady", made_at=NOW, environment="local")
