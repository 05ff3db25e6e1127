"""Classes: values equal scikit-learn's on random answers, a hand-worked case, and the table for the report."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pool_answers import answers, cases_labelled, label_of, predicted
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, recall_score

from eval.verdict.pooled import pooled, pooled_interval
from eval.verdict.pools import ClassAccuracy, ClassRecall, MacroF1

READERS = {"label": label_of, "predicted": predicted}
CLASSES = ("bill", "outage", "move")
PAIRS = st.lists(st.tuples(st.sampled_from(CLASSES), st.sampled_from((*CLASSES, "fraud", None))), min_size=1)


def value(pool, labels, said):
    side = pooled(pool, answers([[text] for text in said]), cases_labelled(labels))
    return float(side.figures(np.ones((1, len(labels))))[0])


@given(PAIRS)
def test_figures_equal_scikit_learns(pairs):
    labels = [label for label, _ in pairs]
    said = [text or "abstained" for _, text in pairs]
    given_ = [text for _, text in pairs]
    own = sorted(set(labels))
    assert value(ClassAccuracy(**READERS), labels, given_) == pytest.approx(accuracy_score(labels, said))
    expected = f1_score(labels, said, labels=own, average="macro", zero_division=0)
    assert value(MacroF1(**READERS), labels, given_) == pytest.approx(expected)
    recall = value(ClassRecall(of="bill", **READERS), labels, given_)
    if "bill" in labels:
        (expected,) = recall_score(labels, said, labels=["bill"], average=None, zero_division=0)
        assert recall == pytest.approx(expected)
    else:
        assert math.isnan(recall)


@given(PAIRS)
def test_the_table_is_scikit_learns_confusion_matrix(pairs):
    labels, said = [label for label, _ in pairs], [text or "abstained" for _, text in pairs]
    side = pooled(ClassAccuracy(**READERS), answers([[text] for _, text in pairs]), cases_labelled(labels))
    table = side.pool.table(side.names, side.counts.sum(axis=0))
    # One class more, because scikit-learn warns of a matrix of one cell.
    matrix = confusion_matrix(labels, said, labels=[*table.columns[1:], "none"])[:, :-1]
    assert [row[0] for row in table.rows] == sorted(set(labels))
    assert [[float(cell) for cell in row[1:]] for row in table.rows] == matrix[: len(table.rows)].tolist()


def test_repeats_weigh_as_one_case():
    cases = cases_labelled(["bill", "move"])
    side = pooled(ClassAccuracy(**READERS), answers([["bill", "bill", "move", "bill"], ["move"] * 4]), cases)
    assert pooled_interval(side, seed=1).value == pytest.approx((0.75 + 1) / 2)
    assert pooled_interval(side, seed=1).n == 2


def test_an_unlabelled_case_counts_nowhere():
    side = pooled(ClassAccuracy(**READERS), answers([["bill"], ["bill"]]), cases_labelled(["bill", None]))
    assert side.case_ids == ("case-0",)


def test_an_answered_class_may_hold_anything():
    said = ["bill", "bill\tmove"]
    assert value(ClassAccuracy(**READERS), ["bill", "bill"], said) == 0.5
