"""The ground truth of the simulated weeks: which slice got worse, when, by how much; for tests, never read by the report."""

import json
import random
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval.instruments.traffic.plan import CHANNEL, Contact, TrafficOptions, TrafficPlan
from eval.instruments.traffic.releases import FIRST, RULE, SECOND
from eval.instruments.traffic.stories import Episode
from service.local.digest_model import Skip, digest

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


# A slice whose true rate changes by less counts as unchanged.
UNTOUCHED_BELOW = 0.005
_SKIPS = (Skip(channel=CHANNEL, rule=RULE),)


def summary_of(episode: Episode, pair: str) -> str:
    """Return the summary that the stand-in writes for ``pair`` about this episode, with the episode's own dates."""
    return digest(episode.visible, RULE if pair == FIRST else "", _SKIPS)


def slices_of(contact: Contact, episode: Episode) -> Mapping[str, str]:
    """Return the contact's slices as a report defines them: newest channel, intent, number of interactions, client."""
    return {
        "last_channel": episode.channel,
        "ivr_intent": episode.family,
        "interactions": _length(len(episode.visible)),
        "client": contact.client,
    }


def truth_of(plan: TrafficPlan) -> dict[str, Any]:
    """Return the expected unhelpful rates before and after the second release, overall and by slice, and the planted weakness."""
    rates = [
        tuple(
            unhelpful_rate(episode.coverage(summary_of(episode, pair)), plan.options.noise) for pair in (FIRST, SECOND)
        )
        for episode in plan.episodes
    ]
    groups: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for contact in plan.contacts:
        groups["all", "all"].append(contact.episode)
        for item in slices_of(contact, plan.episodes[contact.episode]).items():
            groups[item].append(contact.episode)
    rows = []
    for (name, value), members in sorted(groups.items()):
        before, after = (sum(rates[number][side] for number in members) / len(members) for side in (0, 1))
        rows.append(
            {
                "slice": name,
                "value": value,
                "contacts": len(members),
                "unhelpful_before": round(before, 4),
                "unhelpful_after": round(after, 4),
                "effect": round(after - before, 4),
                "untouched": abs(after - before) < UNTOUCHED_BELOW,
            }
        )
    return {
        "planted": {"slice": "last_channel", "value": CHANNEL, "pair": SECOND, "lost_rule": RULE},
        "seed": plan.options.seed,
        "released_at": plan.options.released_at.isoformat(),
        "slices": rows,
    }


def write_truth(plan: TrafficPlan, path: Path) -> dict[str, Any]:
    """Write ``truth_of(plan)`` to ``path`` and return it."""
    found = truth_of(plan)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=1), encoding="utf-8")
    return found


def _length(count: int) -> str:
    return next((name for name, most in (("0-1", 1), ("2-3", 3), ("4-10", 10), ("11-50", 50)) if count <= most), "51+")
