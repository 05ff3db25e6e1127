"""Three invented customers for local use, dated relative to today, so that a 90-day window always includes them."""

from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from service.core.unit.channel import RecordedChannel
from service.core.unit.interaction import Interaction

SAMPLES_FILE = Path(__file__).with_name("sample_interactions.jsonl")
SAMPLE_CUSTOMERS = {
    "1234567890": "a disputed estimated bill, six contacts, one of them older than 90 days",
    "2000000001": "a long and messy history: payment plan, shut-off notice, outage, wrong refund",
    "3000000003": "a new customer without any contact",
}


class SampleInteraction(BaseModel):
    """One line of the file: an interaction dated relative to today, ``time`` in UTC."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    account_number: str
    interaction_id: str
    days_ago: int = Field(ge=1)  # not 0: early in the day, a time of today could be in the future
    time: time
    channel: RecordedChannel
    intent: str
    text: str
    outcome: str | None = None


def sample_histories(today: date, path: Path = SAMPLES_FILE) -> dict[str, list[Interaction]]:
    """Return each sample customer's interactions by account number, oldest first; the timestamps depend only on ``today``."""
    histories: dict[str, list[Interaction]] = {account: [] for account in SAMPLE_CUSTOMERS}
    for line in path.read_text(encoding="utf-8").splitlines():
        sample = SampleInteraction.model_validate_json(line)
        moment = datetime.combine(today - timedelta(days=sample.days_ago), sample.time, tzinfo=UTC)
        histories[sample.account_number].append(
            Interaction(
                interaction_id=sample.interaction_id,
                channel=sample.channel,
                timestamp=moment,
                intent=sample.intent,
                text=sample.text,
                outcome=sample.outcome,
            )
        )
    return {account: sorted(items, key=lambda item: item.timestamp) for account, items in histories.items()}
