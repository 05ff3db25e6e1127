import asyncio
import json
import threading
from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from service.core.run.guard import AnswerGuard, check_answer, kinds_of, repair_messages
from service.core.statements.answers.finding import Finding
from service.core.statements.answers.reading import AnswerSource
from service.core.tasks.summarize import TASK, SummarizeInputs
from service.core.unit.interaction import Interaction
from service.core.unit.pair import PromptMessage
from service.kit.frame.errors import AnswerRefused, DeadlineExceeded
from service.kit.settings import REPO_ROOT
from service.kit.telemetry import log, metrics
from service.kit.telemetry.event_metrics import record

NOW = datetime(2025, 12, 8, 14, 30, tzinfo=UTC)


def note(text, days_ago=3, number=1):
    return Interaction(
        interaction_id=f"i-{number}",
        timestamp=NOW - timedelta(days=days_ago),
        channel="agent",
        intent="billing",
        text=text,
    )


def guard(*texts):
    return AnswerGuard([note(text, number=number) for number, text in enumerate(texts)], as_of=NOW)


HISTORY = "Customer Dana Reyes disputes a $60.00 trip charge, ticket VM-5518. PIN is 4471."


@pytest.mark.parametrize(
    ("answer", "kinds"),
    [
        ("Disputes the $60.00 trip charge, ticket VM-5518.", ()),
        ("Disputes the $85.00 trip charge.", ("amount",)),
        ("Ticket VM-5519 is open.", ("id",)),
        ("Promised for Jan 22.", ("date",)),
        ("Spoke with Mrs. Abernathy about the charge.", ("name",)),
        ("The PIN is 4471.", ("secret",)),
        ("Account 445566778899 is disputed.", ("id", "account number")),
        ("You must waive the charge.", ("order", "address")),
        ("Disputes the €60.00 trip charge.", ("amount",)),
        ("Write to desk@example.net about it.", ("contact detail",)),
        ("assistant: disputes the charge.", ("role",)),
    ],
)
@pytest.mark.acceptance("promise-04")
def test_unsupported_details_and_secrets_are_findings(answer, kinds):
    assert set(kinds_of(guard(HISTORY)(answer))) >= set(kinds)
    assert bool(guard(HISTORY)(answer)) is bool(kinds)


@pytest.mark.parametrize(
    ("history", "answer"),
    [
        ("Call my daughter, five five five, oh one six six.", "Her daughter is at 555-0166."),
        ("Backfeed, generator in the dryer outlet.", "The crew met a dangerous backfeed."),
        ("Call me before noon, I am out later.", "Ring him in the morning only."),
        ("Your sister may sign electronically; we sent the link.", "She can sign online."),
        ("E-bill went to a.b@example.net, a typo.", "The e-mail address was mistyped."),
        ("Send it to 6 Lantern Court.", "The check goes to 6 Lantern Ct."),
        ("Moved to Windsor, Ontario.", "He lives in Windsor, ON."),
        ("Posted on FB about it.", "The complaint was posted on Facebook."),
    ],
)
def test_other_words_for_what_the_notes_state_are_no_findings(history, answer):
    assert guard(history)(answer) == ()


@pytest.mark.parametrize(
    ("history", "answer", "kind"),
    [
        ("Call my daughter, five five five, oh one six six.", "Her daughter is at 555-0168.", "contact detail"),
        ("Generator in the dryer outlet.", "It follows a dangerous backfeed.", "dangerous advice"),
        ("He asks about the bill.", "Ring him in the morning only.", "order"),
        ("Send it to 6 Lantern Court.", "The check goes to 6 Lantern Ave.", "name"),
    ],
)
def test_other_words_for_what_no_note_states_are_findings(history, answer, kind):
    assert kind in kinds_of(guard(history)(answer))


def test_a_secret_of_the_notes_is_found_without_its_label():
    assert kinds_of(guard("Password is hunter42x.")("He used hunter42x again.")) == ("secret",)


def test_a_finding_never_carries_a_secret():
    assert all(item.value == "" for item in guard(HISTORY)("The PIN is 4471.") if item.kind == "secret")


def test_the_source_is_built_once(monkeypatch):
    built = []

    class Counted(AnswerSource):
        def __init__(self, *args, **kwargs):
            built.append(1)
            super().__init__(*args, **kwargs)

    monkeypatch.setattr("service.core.run.guard.AnswerSource", Counted)
    asked = guard(HISTORY)
    threads = [threading.Thread(target=asked.prepare) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    asked("x")
    assert built == [1]


def test_only_the_newest_interactions_of_a_huge_history_are_used():
    filler = "word " * 3900
    texts = ["Owes $77.13."] + [filler] * 6 + ["Owes $60.00."]
    asked = guard(*texts)
    assert asked.heavy
    assert not asked("Owes $60.00.")
    assert kinds_of(asked("Owes $77.13.")) == ("amount",)


async def test_a_heavy_guard_runs_in_a_thread_and_within_the_budget():
    released = threading.Event()

    class Slow:
        heavy = True

        def __call__(self, text):
            released.wait(5)
            return ()

    with pytest.raises(DeadlineExceeded):
        await check_answer(Slow(), "x", 0.01)
    released.set()
    assert await check_answer(Slow(), "x", 5) == ()


@pytest.mark.acceptance("event.VALIDATION_TIMEOUT", "figure.omni_validation_timeouts")
async def test_a_guard_that_is_late_is_logged():
    class Late:
        heavy = True

        def __call__(self, text):
            raise TimeoutError

    before = metrics.total(metrics.VALIDATION_TIMEOUTS)
    log.add_listener(record)
    with capture_logs() as lines, pytest.raises(DeadlineExceeded):
        await check_answer(Late(), "customer text", 0.25)
    assert lines == [{"event": "VALIDATION_TIMEOUT", "log_level": "warning", "timeout_ms": 250}]
    assert metrics.total(metrics.VALIDATION_TIMEOUTS) == before + 1


async def test_preparing_can_be_cancelled():
    asked = guard(HISTORY)
    asked.prepare_soon().cancel()
    await asyncio.sleep(0.06)
    assert asked._prepared is None
    asked.prepare_soon()
    await asyncio.sleep(0.08)
    assert asked._prepared is not None


@pytest.mark.acceptance("validation-17")
async def test_an_answer_is_refused_when_the_guard_fails():
    class Broken:
        heavy = False

        def __call__(self, text):
            raise RuntimeError("customer text")

    with pytest.raises(AnswerRefused, match=r"RuntimeError") as refused:
        await check_answer(Broken(), "x", 5)
    assert "customer text" not in str(refused.value)


def test_a_repair_request_names_the_findings_on_one_line_without_tags():
    found = [Finding(kind="name", value="<history>\nZoe " + "z" * 100), Finding(kind="secret", value="")]
    messages = repair_messages([PromptMessage(role="user", content="q")], "a", found)
    assert [(m.role, m.content) for m in messages[:2]] == [("user", "q"), ("assistant", "a")]
    asked = messages[2].content
    assert "\n" not in asked
    assert "<history" not in asked
    assert len(asked) < 500
    assert "must not be repeated (secret)" in asked


def test_a_repair_request_says_what_is_wrong_with_each_kind():
    found = [Finding(kind="order", value="Waive it now"), Finding(kind="picture", value="★")]
    asked = repair_messages([], "a", found)[-1].content
    assert 'no interaction states; report who asked or promised what instead: "Waive it now".' in asked
    assert 'emoji or decoration; leave out: "★".' in asked
    assert "stand in none of the interactions" not in asked


def test_summaries_are_guarded_and_good_ones_pass():
    lines = (REPO_ROOT / "datasets" / "summarize" / "dev.jsonl").read_text(encoding="utf-8").splitlines()
    refused = []
    for line in lines:
        case = json.loads(line)
        asked = TASK.guard(SummarizeInputs.model_validate(case["inputs"]))
        refused += [
            (case["id"], kinds_of(found)) for text in case["expectations"]["references"] if (found := asked(text))
        ]
    assert refused == []
