"""The redacted transcript of a call as it is stored."""

from pydantic import BaseModel, ConfigDict

from service.calls.hear.transcriber import Facts, Heard
from service.calls.redact.transcript import RedactedTranscript
from service.tasks.scorecard.transcript import Turn


class KeptTranscript(BaseModel):
    """A redacted transcript as it is stored; calls are scored from it, also later with other forms."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tenant_id: str
    call_id: str
    turns: tuple[Turn, ...]
    by: str
    job: str | None
    claimed: dict[str, int] | None
    redactor: str
    found: dict[str, int]
    agent_id: str | None
    queue: str | None
    form: str | None
    # Transcripts that were stored before calls were observed have neither.
    languages: dict[str, int] = {}
    left: dict[str, int] = {}

    def heard(self) -> Heard:
        """Return the transcript, redacted."""
        facts = Facts(agent_id=self.agent_id, queue=self.queue, form=self.form)
        return Heard(turns=self.turns, by=self.by, facts=facts, job=self.job, claimed=self.claimed)

    def redaction(self) -> RedactedTranscript:
        """Return the redactor's result."""
        return RedactedTranscript(
            turns=self.turns, by=self.redactor, found=self.found, languages=self.languages, left=self.left
        )
