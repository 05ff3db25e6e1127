"""Simulates an agent's feedback: the fewer facts a summary carries, the likelier an unhelpful rating; some ratings are slips."""

import random
from dataclasses import dataclass
from typing import Any

from eval.instruments.traffic.plan import Contact, TrafficOptions
from eval.instruments.traffic.stories import Episode

# A summary with half of the facts or more is rated unhelpful by 3% of the agents, one without any by 75%.
_ALWAYS, _AT_MOST, _ENOUGH = 0.03, 0.75, 0.5
_COMMENT_SHARE, _EDIT_SHARE, _THANKS_SHARE, _CARELESS_SHARE = 0.5, 0.3, 0.04, 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """A rating with optional comment and edit, as ``POST /feedback`` accepts it."""

    helpful: bool
    comment: str | None = None
    edited_summary: str | None = None

    def body(self, request_id: str) -> dict[str, Any]:
        """Return the request's body."""
        given = {"comment": self.comment, "edited_summary": self.edited_summary}
        verdict = "helpful" if self.helpful else "not_helpful"
        return {"request_id": request_id, "feedback": verdict} | {name: text for name, text in given.items() if text}


def unhelpful_rate(coverage: float, noise: float = 0.0) -> float:
    """Return the probability of ``not_helpful``, 0 to 1, for a summary that carries the share ``coverage`` of the facts.

    ``noise`` is the share of agents who press the wrong button.
    """
    honest = _ALWAYS + (_AT_MOST - _ALWAYS) * max(0.0, 1 - coverage / _ENOUGH)
    return honest * (1 - noise) + (1 - honest) * noise


def opinion(contact: Contact, episode: Episode, summary: str, options: TrafficOptions) -> Opinion | None:
    """Return the feedback of ``contact``'s agent on ``summary``, or None if the agent gives none.

    The draw depends on seed and contact alone, not on the order of the answers.
    """
    draws = random.Random(f"opinion {options.seed} {contact.number}")
    asked, verdict, comment, edit, careless = (draws.random() for _ in range(5))
    if asked >= options.feedback_share:
        return None
    missing = [fact.statement for fact in episode.missing(summary)]
    if verdict >= unhelpful_rate(episode.coverage(summary), options.noise):
        return Opinion(helpful=True, comment="Thanks, that saved time." if comment < _THANKS_SHARE else None)
    words = None
    if comment < _COMMENT_SHARE:
        about = f": {missing[0]}" if missing else ""
        words = f"It leaves out what matters{about}." if missing else "Not what this call was about."
        if careless < _CARELESS_SHARE:  # agents paste numbers although they are told not to
            words += f" See acct {contact.account_number}."
    edited = f"{'. '.join(missing)}." if missing and edit < _EDIT_SHARE else None
    return Opinion(helpful=False, comment=words, edited_summary=edited)
