"""Where a pair comes from that a search made: in its file, in its digest, and refused where it cannot be right."""

from dataclasses import replace

import pytest

from service.core.unit.cards import ModelCards
from service.core.unit.pair import Lineage, Pair
from service.core.unit.pair_file import pair_of_text
from service.kit.frame.errors import PairError
from service.kit.settings import REPO_ROOT

CARDS = ModelCards.load(REPO_ROOT / "prompts" / "models.yaml")
PATH = REPO_ROOT / "prompts" / "summarize" / "smollm2-short.prompty"
TEXT = PATH.read_text()
HEADER = f"""lineage:
  run: "20261125T221500-1a2b"
  number: 7
  parent: "{"ab" * 32}"
  tried: 12
  looks: 1
  writers: ["openai/gpt-4o-mini"]
"""
FOUND = Lineage(
    run="20261125T221500-1a2b", number=7, parent="ab" * 32, tried=12, looks=1, writers=("openai/gpt-4o-mini",)
)


def read(header: str = "") -> Pair:
    return pair_of_text(
        PATH, TEXT.replace("role: demo\n", header), cards=CARDS, task_variables=("history",), part_variables={}
    )


def test_a_pair_that_a_person_wrote_has_the_digest_that_it_always_had():
    assert read().lineage is None
    assert "lineage" not in read().content()


def test_the_lineage_is_signed_with_the_pair():
    pair = read(HEADER)
    assert pair.lineage == FOUND
    stored = Pair.from_content(pair.content())
    assert (stored.lineage, stored.digest) == (FOUND, pair.digest)
    fewer = replace(pair, lineage=replace(FOUND, tried=2))
    assert len({pair.digest, fewer.digest, read().digest}) == 3


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("tried: 12", "tried: 0", "above zero"),
        ("tried: 12", "tried: many", "must be a whole number"),
        ("looks: 1", "looks: 1\n  luck: 3", "unknown key 'luck' in 'lineage'"),
        ("ab" * 32, "ab", "parent must be the digest of a pair"),
        ('"20261125T221500-1a2b"', '"../../x"', "run must be the id of a search"),
        ("  number: 7\n", "", "must be a whole number"),
    ],
)
def test_a_lineage_that_cannot_be_right_is_refused_with_its_line(old, new, words):
    with pytest.raises(PairError, match=rf"smollm2-short\.prompty:\d+: .*{words}"):
        read(HEADER.replace(old, new))


@pytest.mark.parametrize(
    "changes", [{"tried": True}, {"looks": 0}, {"writers": [""]}, {"parent": 5}, {"run": "a b"}, {"more": 1}]
)
def test_a_stored_lineage_is_checked_as_well(changes):
    content = read(HEADER).content()
    content["lineage"] |= changes
    with pytest.raises(PairError, match="stored pair has missing or unknown fields"):
        Pair.from_content(content)
