"""A production pair, a candidate, and a registry that says what a test wants, for tests of a rollout's control."""

from builders import make_pair

from service.core.release.rollout import Rollout, RolloutCandidate
from service.core.release.served import ServedPair


def served(name):
    pair = make_pair(name=name, asked=f"{name} <text>{{{{text}}}}</text>")
    return ServedPair(pair=pair, registry_version=1, sequence=1, released_at="", released_by="me", source="registry")


OLD, NEW = served("old"), served("new")


class Production:
    def __init__(self, pair=OLD):
        self.pair = pair

    def current(self):
        return self.pair


class Registry:
    """What the alias ``candidate`` points at; an exception is raised."""

    def __init__(self, found):
        self.found = found

    def __call__(self):
        if isinstance(self.found, Exception):
            raise self.found
        return self.found


def candidate(sequence=1, percent=50, **changes):
    fields = {
        "task": "demo",
        "sequence": sequence,
        "registry_version": 2,
        "pair_name": "new",
        "pair_digest": NEW.pair.digest,
        "production_digest": OLD.pair.digest,
        "percent": percent,
        "shadow_percent": 0,
        "steps": (50, 100),
        "gate_run_id": "r",
        "attestation": "a",
        "who": "me",
        "why": "w",
        "at": "2026-11-21T00:00:00+00:00",
        "environment": "local",
    }
    return RolloutCandidate(served=NEW, rollout=Rollout(**fields | changes), envelope=f"signed {sequence}")


def signed(text):
    """Return the number in a candidate's envelope; 0 for what nobody signed."""
    return int(text.removeprefix("signed ")) if text.startswith("signed ") else 0
