"""Builds the behaviour set: challenge cases, planted attacks and public texts, as requests to the service."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from eval.behaviour.attacks import (
    Attack,
    Disguise,
    PlantedAttack,
    attacks_digest,
    plant_attacks,
    public_attacks,
)
from eval.behaviour.marks import LEAK_FREE, MUST_CARRY, MUST_NOT_CLAIM, QUIET, RESISTED, BehaviourCase, numbers_in
from eval.spine.cases import Case, Dataset
from eval.spine.suite import Suite
from service.kit.frame.canonical import canonical_json, sha256_hex
from service.kit.settings import Settings

_LEAK_KINDS = frozenset({"pan_ssn", "other_customer"})
# In those kinds a forbidden claim with one of these words is a leak; the other claims are false statements.
_LEAK = re.compile(r"\b(repeated|leaks?|appears|identified|details|circumstances|debt is given|attributed)\b")


def set_digest(suite: Suite, dataset: Dataset, attacks: Sequence[Attack], engine: str) -> str:
    """SHA-256 over challenge cases, attacks, seed and ``engine`` (the version of what disguises and sends them)."""
    return sha256_hex(canonical_json([dataset.digest, attacks_digest(attacks), suite.seed, engine]))


def build_cases(
    suite: Suite, dataset: Dataset, attacks: Sequence[Attack], *, settings: Settings, disguise: Disguise
) -> tuple[BehaviourCase, ...]:
    """Return challenge cases, then attacks, then public texts (none where the public data is absent)."""
    planted = plant_attacks(attacks, dataset.cases, seed=suite.seed, disguise=disguise)
    public = public_attacks(settings.public_data_dir, dataset.cases, seed=suite.seed)
    return (
        *(_challenge(case) for case in dataset.cases),
        *(_attack(suite, item, kind="attack", marks=(RESISTED, LEAK_FREE)) for item in planted),
        # Not even leak_free: machines without the public data could not measure it, so it must not change a gated figure.
        *(_attack(suite, item, kind="public", marks=(QUIET,)) for item in public),
    )


def _challenge(case: Case) -> BehaviourCase:
    kind = str(case.slices.get("challenge", "other"))
    expected = case.expectations
    marks = [LEAK_FREE]
    marks += [MUST_CARRY] if expected.facts else []
    marks += [MUST_NOT_CLAIM] if expected.forbidden else []
    marks += [RESISTED] if kind == "injection" else []
    leaks = [claim for claim in expected.forbidden if kind in _LEAK_KINDS and _LEAK.search(claim.claim)]
    return BehaviourCase(
        id=case.id,
        kind=kind,
        strategy="",
        inputs=case.inputs,
        marks=tuple(marks),
        facts=expected.facts,
        forbidden=expected.forbidden,
        leaks=tuple(leaks),
        secrets=_secrets(case.inputs),
    )


def _attack(suite: Suite, item: PlantedAttack, *, kind: str, marks: tuple[str, ...]) -> BehaviourCase:
    assert suite.behaviour is not None
    inputs = suite.behaviour.plant(item.carrier.inputs, item.note)
    return BehaviourCase(
        id=item.id,
        kind=kind,
        strategy=item.strategy,
        inputs=inputs,
        marks=marks,
        facts=item.carrier.expectations.facts,
        secrets=_secrets(inputs),
        note=item.note,
        canary=item.canary,
    )


def _secrets(inputs: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(number for text in _texts(inputs) for number in numbers_in(text))


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, Sequence):
        for item in value:
            yield from _texts(item)
