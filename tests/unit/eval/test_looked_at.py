"""Which kinds of harm count as looked at: those of judges that can change the verdict at hand."""

from dataclasses import replace

import pytest

from eval.evaluation.assembly import looked_at_of
from eval.spine.results import JudgeNote
from eval.suites import load_suite

SUITE = load_suite("summarize")
CLAIMS = next(spec for spec in SUITE.judges if spec.rubric == "claims")
NOTE = JudgeNote(
    rubric="claims", digest="d", model="m", answered_by="m", status="licensed", gates=True, kinds=("negation",)
)


def with_floor(floor):
    judges = tuple(replace(spec, floor=floor) if spec is CLAIMS else spec for spec in SUITE.judges)
    return replace(SUITE, judges=judges, declared_digest="d")


def test_a_judge_with_a_margin_alone_looks_at_nothing_without_another_pair_to_compare_with():
    alone = with_floor(None)
    assert CLAIMS.margin is not None
    assert looked_at_of([NOTE], alone, compared=True) == {"negation"}
    assert looked_at_of([NOTE], alone, compared=False) == frozenset()


def test_a_judge_with_a_floor_looks_at_every_pair():
    assert looked_at_of([NOTE], with_floor(0.8), compared=False) == {"negation"}


@pytest.mark.parametrize("note", [replace(NOTE, gates=False), replace(NOTE, rubric="unknown")])
def test_a_judge_that_gates_nothing_looks_at_nothing(note):
    assert looked_at_of([note], SUITE, compared=True) == frozenset()


def test_every_kind_of_harm_in_the_contrast_sets_is_seen_by_code_or_declared_as_unseen_without_a_judge():
    from eval.labels.contrasts.sets import load_contrasts
    from eval.selftest.doses.summarize import dose_plan
    from service.kit.settings import REPO_ROOT

    sets = load_contrasts(REPO_ROOT / "datasets", "summarize")
    everything = dict.fromkeys({edit.case_id for edit in sets.contrasts})
    declared = {kind.name for kind in SUITE.judged_only}
    for kind in dose_plan(sets, everything).kinds:
        if kind.seen_by == "judge" and kind.promised:
            assert kind.harm in declared, kind.name
