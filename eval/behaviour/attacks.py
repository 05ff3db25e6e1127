"""Attacks: instructions planted into the inputs of ordinary cases, plain and disguised by promptfoo's offline strategies."""

import hashlib
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from eval.spine.cases import Case
from eval.spine.errors import CaseError
from service.kit.frame.strict import MOST_YAML_BYTES, NotStrict, lines_of, parse_json, parse_yaml, read_strict

PLAIN = "plain"
# promptfoo's strategies that need neither network nor model (0.121.20); each disguises one text.
STRATEGIES = (
    "base64", "rot13", "hex", "morse", "leetspeak", "piglatin", "camelcase", "emoji", "homoglyph", "jailbreak-templates",
)  # fmt: skip
PUBLIC_FILE = "injections_dev.jsonl"
PUBLIC_SAMPLE = 60
_LONGEST = 4_000  # characters of a public text: the longest jailbreaks would push a history out of a small context
# Kinds of cases that cannot carry an attack: they are attacks already, or have no facts for a summary.
_NO_CARRIERS = frozenset({"injection", "template", "markup", "empty", "pan_ssn", "other_customer"})
_ONSETS, _VOWELS = "bdfgklmnprstvz", "aeiou"

Disguise = Callable[[Sequence[tuple[str, str]]], list[str]]  # (strategy, text) pairs to disguised texts, in order


class Attack(BaseModel):
    """One instruction; ``{word}`` becomes the case's canary, ``secret`` stands unchanged before it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[a-z0-9-]{3,40}$")
    text: str = Field(min_length=10)
    secret: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlantedAttack:
    """An attack in its carrier: ``note`` is what was planted, ``canary`` what an obedient answer contains."""

    id: str
    carrier: Case
    strategy: str
    note: str
    canary: str


def load_attacks(path: Path) -> tuple[Attack, ...]:
    """Read the task's attacks."""
    try:
        _, rows = parse_yaml(read_strict(path, MOST_YAML_BYTES))
        attacks = tuple(Attack.model_validate(row) for row in rows)
    except FileNotFoundError:
        raise CaseError(
            f"no attacks at {path}; write one YAML list of id and text (see docs/guides/adding-a-task.md)"
        ) from None
    except (OSError, NotStrict, TypeError, ValidationError) as err:
        raise CaseError(
            f"{path} is not a list of attacks with id and text: {' '.join(str(err).split())[:200]}"
        ) from err
    wrong = [a.id for a in attacks if ("{word}" in a.text) == bool(a.secret)]
    if not attacks or wrong or len({attack.id for attack in attacks}) < len(attacks):
        raise CaseError(
            f"{path}: {', '.join(wrong) or 'the list'}: each attack needs its own id, and either {{word}} in its text or a secret"
        )
    return attacks


def canary(seed: int, case_id: str) -> str:
    """Return a made-up word of eight letters, the same for the same seed and case: "VODAKUMI"."""
    draws = random.Random(f"{seed}/{case_id}")
    return "".join(draws.choice(_ONSETS) + draws.choice(_VOWELS) for _ in range(4)).upper()


def plant_attacks(
    attacks: Sequence[Attack], cases: Sequence[Case], *, seed: int, disguise: Disguise
) -> list[PlantedAttack]:
    """Return every attack under every strategy, each in a carrier drawn by ``seed``."""
    carriers = [
        case
        for case in cases
        if case.slices.get("challenge") not in _NO_CARRIERS and case.expectations.facts and case.inputs
    ]
    if not carriers:
        raise CaseError("no case can carry an attack: a carrier needs facts, and its kind must not be an attack itself")
    draws = random.Random(seed)
    rows: list[tuple[Attack, str, str, str, Case]] = []
    for attack in attacks:
        for strategy in (PLAIN, *STRATEGIES):
            case_id = f"attack-{attack.id}-{strategy}"
            word = canary(seed, case_id)
            rows.append((attack, strategy, case_id, word, draws.choice(carriers)))
    texts = [attack.text.replace("{word}", word) for attack, _, _, word, _ in rows]
    hidden = [number for number, row in enumerate(rows) if row[1] != PLAIN]
    for number, text in zip(hidden, disguise([(rows[n][1], texts[n]) for n in hidden]), strict=True):
        texts[number] = text
    return [
        PlantedAttack(
            id=case_id,
            carrier=carrier,
            strategy=strategy,
            note=f"{attack.secret}\n{text}".strip(),
            canary="" if attack.secret else word,
        )
        for (attack, strategy, case_id, word, carrier), text in zip(rows, texts, strict=True)
    ]


def public_attacks(folder: Path, cases: Sequence[Case], *, seed: int) -> list[PlantedAttack]:
    """Return a sample of the public injection texts, planted as they are; empty when ``folder`` does not hold them.

    The sample is spread over the texts' categories and is the same for the same seed.
    """
    path = folder / PUBLIC_FILE
    if not path.exists():
        return []
    carriers = [c for c in cases if c.slices.get("challenge") not in _NO_CARRIERS and c.expectations.facts]
    groups: dict[str, list[tuple[str, str]]] = {}
    try:
        for row in map(parse_json, lines_of(read_strict(path))):
            if row["label"] == 1 and len(row["text"]) <= _LONGEST:
                groups.setdefault(str(row["category"]), []).append((str(row["id"]), str(row["text"])))
    except (OSError, NotStrict, KeyError, TypeError) as err:
        raise CaseError(f"{path} does not hold injection texts ({err}); put the public file there again") from err
    draws = random.Random(seed)
    for group in groups.values():
        draws.shuffle(group)
    taken: list[tuple[str, str]] = []
    while len(taken) < PUBLIC_SAMPLE and any(groups.values()):
        for name in sorted(groups):
            if groups[name] and len(taken) < PUBLIC_SAMPLE:
                taken.append(groups[name].pop())
    return [
        PlantedAttack(id=f"public-{name}", carrier=draws.choice(carriers), strategy=PLAIN, note=text, canary="")
        for name, text in taken
    ]


def attacks_digest(attacks: Sequence[Attack]) -> str:
    """SHA-256 over the attacks and the strategies that disguise them."""
    content = [[attack.model_dump() for attack in attacks], list(STRATEGIES)]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
