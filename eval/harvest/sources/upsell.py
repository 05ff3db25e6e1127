"""Messages that went wrong become cases: the customer as the service kept it, without notes; a person says what was right."""

from pydantic import BaseModel

from eval.harvest.kept import KeptSource
from eval.spine.case_rules import CaseRules
from eval.spine.cases import Case, Expectations
from eval.suites.upsell.labels import UpsellExpectations
from service.core.tasks.upsell.customer import UpsellInputs


class MessageSource(KeptSource):
    """Drafts that a message was right, and demands what suits; a person may say instead why nothing is to be sold."""

    output = "message"

    def expectations(self, correction: str | None, inputs: BaseModel, rules: CaseRules) -> Expectations:
        """See ``CaseSource.expectations``; a correction is a reference."""
        return UpsellExpectations(decision="send", references=(correction,) if correction else ())

    def missing(self, case: Case) -> list[str]:
        """Demand the offers that suit, or reasons: a case with neither passes any message."""
        expected = case.expectations
        assert isinstance(expected, UpsellExpectations)
        if expected.offers or expected.reasons:
            return []
        return [
            "says neither what suits nor why nothing is to be sold: write offers, or decision suppressed with reasons"
        ]


SOURCE = MessageSource(UpsellInputs)
