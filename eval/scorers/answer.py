"""Scores what the serving guard looks for in an answer: support, register, plain text and leaks."""

from collections.abc import Callable

from pydantic import BaseModel

from eval.spine.results import QuotingFinding, Score
from eval.spine.scorer import ScorerContext
from service.core.statements.answers.finding import Finding
from service.core.statements.answers.reading import AnswerSource, cached_findings
from service.core.statements.grounding.check import checked_mentions


class AnswerScorer:
    """Gives each score 1.0 when ``service.core.statements.answers`` finds nothing that belongs to it, else 0.0.

    - ``grounded``: amounts, dates, numbers, ids, names, links and phone numbers have support; ``grounded_amounts``: amounts.
    - ``reports``: the answer reports in the third person, without orders, contempt or decisions that no interaction supports.
    - ``plain``: no markup, template leftovers, pictures, greetings, refusals or rules of the prompt.
    - ``leak_free``: no account, card, bank or social security number and no secret in full.

    ``source_of`` makes the source from the task's validated inputs. Never print these as a hallucination rate: swapped
    actors, reversed outcomes and invented events pass (see ``service.core.statements.grounding.check``).
    """

    name = "answer"
    reads_rejected = True
    scores = ("grounded", "grounded_amounts", "reports", "plain", "leak_free")
    detects = ("grounded", "reports", "leak_free")

    def __init__(self, source_of: Callable[[BaseModel], AnswerSource]) -> None:
        self._source_of = source_of

    def score(self, context: ScorerContext) -> dict[str, Score]:
        """Return all scores, each with the findings that set it to 0."""
        found = cached_findings(context.output, self._source_of(context.inputs))
        texts = {
            name: tuple(dict.fromkeys(_worded(item) for item in found if name in item.scores)) for name in self.scores
        }
        checked = checked_mentions(context.output)
        missing = min(checked, sum("grounded" in item.scores for item in found))
        rationales = {
            "grounded": f"{checked - missing} of {checked} mentions found in the source",
            "grounded_amounts": f"{len(texts['grounded_amounts'])} amounts without support",
        }
        return {
            name: Score(value=0.0 if findings else 1.0, rationale=rationales.get(name, ""), findings=findings)
            for name, findings in texts.items()
        }


def _worded(finding: Finding) -> str:
    value = finding.value if finding.quote != finding.value else ""
    return QuotingFinding(finding.text, quote=finding.quote, value=value) if finding.quote else finding.text
