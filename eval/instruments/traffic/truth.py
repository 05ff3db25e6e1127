"""The ground truth of the simulated weeks: which slice got worse, when, by how much; for tests, never read by the report."""

import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eval.instruments.traffic.agents import unhelpful_rate
from eval.instruments.traffic.plan import CHANNEL, Contact, TrafficPlan
from eval.instruments.traffic.releases import FIRST, RULE, SECOND
from eval.instruments.traffic.stories import Episode
from service.local.digest_model import Skip, digest

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
