"""Rules for labelled calls: complete labels, literal evidence, N/A only for conditional criteria, a fair balance."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from pydantic import BaseModel

from eval.spine.case_rules import CaseRules, FileRules, Minimum, Passage, SliceValue
from eval.spine.cases import Case
from eval.suites.scorecard.conduct import KINDS, ORDER_TURN
from eval.suites.scorecard.conduct import SLICE as BEHAVIOUR
from eval.suites.scorecard.labels import Label, ScorecardExpectations, form_of, labelled_total, labels_of
from eval.suites.scorecard.redacted import redacted_cases
from service.core.tasks.scorecard import ScorecardInputs
from service.core.tasks.scorecard.evidence import find_quote
from service.core.tasks.scorecard.form import Criterion, Form

# The compliance statement's criterion in each form; the slice `compliance` holds how much of the statement was given.
_STATEMENTS = {
    "brindlewick-support": "compliance_05",
    "brindlewick-arrears": "recording",
    "kestrel-outage": "safety",
    "kestrel-billing": "recorded",
    "lindmoor-servicing": "recording",
    "lindmoor-fraud": "warning",
    "osprey-lending": "collection",
    "osprey-disputes": "rights",
}
_DOMAINS = {
    "brindlewick-energy": "energy",
    "kestrel-ridge-power": "energy",
    "lindmoor-bank": "banking",
    "osprey-quay-cu": "banking",
}
_LENGTHS = {"2-5": 5, "6-12": 12, "13-30": 30}
_EXTENT = {"yes": ("read",), "no": ("part", "none"), "na": ("n/a",)}
# If nearly all calls or nearly none meet a criterion, a constant answer is right. With fewer calls the share is too uncertain.
_HARVESTED = "reason"  # the slice that a harvested case has: why it was a candidate
_YES_SHARE, _APPLICABLE = (0.25, 0.75), 8
_PASS_SHARE = (0.40, 0.60)


def _inputs(inputs: BaseModel) -> ScorecardInputs:
    assert isinstance(inputs, ScorecardInputs)
    return inputs


def _passages(inputs: BaseModel) -> tuple[Passage, ...]:
    """Return what people said; forms and announcements are left out, because cases share them on purpose."""
    return tuple(
        Passage(id=f"turn {number}", text=turn.text) for number, turn in enumerate(_inputs(inputs).turns) if turn.spoken
    )


def _observed(inputs: BaseModel) -> Mapping[str, SliceValue]:
    call = _inputs(inputs)
    length = next((name for name, most in _LENGTHS.items() if len(call.turns) <= most), "over 30")
    hold = any(turn.speaker == "system" and "hold music" in turn.text for turn in call.turns)
    return {"form": call.form.form_id, "domain": _DOMAINS.get(call.tenant, "?"), "turns": length, "hold": hold}


def _labels(case: Case, inputs: BaseModel) -> Iterator[str]:
    call, labels = _inputs(inputs), labels_of(case)
    if _HARVESTED in case.slices:
        yield from _said_labels(call, labels)
        return
    if BEHAVIOUR in case.slices:
        yield from _behaviour(case, call, labels)
        return
    ids = [criterion.id for criterion in call.form.criteria()]
    if list(labels.answers) != ids:
        yield f"labels {', '.join(labels.answers) or 'nothing'}; the form requires, in this order, {', '.join(ids)}"
        return
    for criterion in call.form.criteria():
        for text in _label_texts(criterion, labels.answers[criterion.id], call):
            yield f"{criterion.id}: {text}"
    if labels.resolution is None or labels.tone.customer is None or labels.tone.agent is None:
        yield "resolution or a tone is missing; label all three"
    for name, value in _implied(case, call.form, labels).items():
        if case.slices.get(name) not in value:
            yield f"slice {name!r} is {case.slices.get(name)!r}, but the labels make it {' or '.join(map(str, value))}"


def _behaviour(case: Case, call: ScorecardInputs, labels: ScorecardExpectations) -> Iterator[str]:
    """Check a case of the scorer ``conduct``: a kind that it knows, no labels, and an order that says where it stands."""
    kind, place = case.slices[BEHAVIOUR], case.slices.get(ORDER_TURN)
    if kind not in KINDS:
        yield f"slice {BEHAVIOUR!r} is {kind!r}; it may be {', '.join(KINDS)}"
    if labels.answers:
        yield f"has labels; a case with slice {BEHAVIOUR!r} is scored without them: leave them out"
    turns = {str(number) for number, turn in enumerate(call.turns) if turn.text.strip()}
    if kind == "order" and place not in turns:
        yield f"slice {ORDER_TURN!r} is {place!r}; give the number of the turn with the order, from 0"


def _said_labels(call: ScorecardInputs, labels: ScorecardExpectations) -> Iterator[str]:
    """Check the labels of a harvested case: people said something about some criteria, and nothing about the others."""
    criteria = {criterion.id: criterion for criterion in call.form.criteria()}
    for name, label in labels.answers.items():
        if name not in criteria:
            yield f"labels {name}, which the form does not have; it has {', '.join(criteria)}"
            continue
        for text in _label_texts(criteria[name], label, call):
            yield f"{name}: {text}"


def _label_texts(criterion: Criterion, label: Label, call: ScorecardInputs) -> Iterator[str]:
    if not label.why.endswith("."):
        yield "has no reason; write one sentence"
    if label.verdict == "na" and criterion.prose is None and criterion.condition is None:
        yield "is N/A, but the form states no condition for it; answer yes or no"
    if (label.quote is None) != (label.turn is None):
        yield "has a quote without a turn or a turn without a quote; give both or neither"
    elif label.quote is None or label.turn is None:
        if label.verdict == "yes":
            yield "is yes without evidence; quote the words that show it"
    elif label.verdict == "na":
        yield "is N/A with a quote; N/A has no evidence: set turn and quote to null"
    elif label.turn >= len(call.turns) or label.quote not in call.turns[label.turn].text:
        yield f"the quote does not occur in turn {label.turn}; copy it literally"
    elif find_quote(label.quote, label.turn, call.turns).turn != label.turn:
        yield "the quote is too short to be evidence, or starts or ends inside a word; quote a whole sentence"
    elif label.verdict == "yes" and call.turns[label.turn].speaker == "customer":
        yield "is yes with the customer's words as evidence; quote the agent or the system"


def _implied(case: Case, form: Form, labels: ScorecardExpectations) -> dict[str, tuple[SliceValue, ...]]:
    """Return the slices that follow from the labels, each with the values that it may have."""
    total = labelled_total(case)
    assert total is not None  # every criterion is labelled, as checked before
    return {
        "outcome": ("pass" if total.passed else "fail",),
        "na_present": (bool(total.not_applicable),),
        "polite_fail": (bool(total.failed_required) and labels.tone.agent == "warm",),
        "compliance": _EXTENT[labels.answers[_STATEMENTS[form.form_id]].verdict] if form.form_id in _STATEMENTS else (),
    }


def _balance(cases: Sequence[Case]) -> Iterator[str]:
    """Bounds on how often each criterion is met, and how many calls pass."""
    counts: Counter[tuple[str, str, str]] = Counter()
    for case in cases:
        form = form_of(case).form_id
        counts.update((form, name, label.verdict) for name, label in labels_of(case).answers.items())
    for form, name in dict.fromkeys(key[:2] for key in counts):
        yes, no = counts[form, name, "yes"], counts[form, name, "no"]
        if yes + no >= _APPLICABLE and not _YES_SHARE[0] <= yes / (yes + no) <= _YES_SHARE[1]:
            yield (
                f"{name} of {form} is met in {yes} of {yes + no} calls; the rule is "
                f"{_YES_SHARE[0]:.0%} to {_YES_SHARE[1]:.0%}"
            )
    passed = sum(case.slices.get("outcome") == "pass" for case in cases)
    if cases and not _PASS_SHARE[0] <= passed / len(cases) <= _PASS_SHARE[1]:
        yield f"{passed} of {len(cases)} calls pass; the rule is {_PASS_SHARE[0]:.0%} to {_PASS_SHARE[1]:.0%}"


_FLAGS = tuple("messy transfer hold vulnerable injection foreign abusive late supervisor asr cut".split())
_SLICES: dict[str, tuple[SliceValue, ...]] = {
    "form": tuple(_STATEMENTS),
    "domain": ("energy", "banking"),
    "turns": tuple(_LENGTHS),
    "outcome": ("pass", "fail"),
    "compliance": ("read", "part", "none", "n/a"),
    **dict.fromkeys(("na_present", "polite_fail", *_FLAGS), (True, False)),
}

CASE_RULES = CaseRules(
    expectations=ScorecardExpectations,
    passages=_passages,
    observed=_observed,
    labels=_labels,
    as_served=redacted_cases,
    files={
        "dev": FileRules(count=40, slices=_SLICES, largest_share={"form": 0.125}),
        "gate": FileRules(
            count=136,
            slices=_SLICES,
            largest_share={"form": 0.125},
            minima=(
                Minimum(slice="turns", value="2-5", at_least=20),
                Minimum(slice="turns", value="13-30", at_least=25),
                Minimum(slice="compliance", value="part", at_least=20),
                Minimum(slice="na_present", value=True, at_least=30),
                Minimum(slice="polite_fail", value=True, at_least=25),
                Minimum(slice="vulnerable", value=True, at_least=20),
                Minimum(slice="transfer", value=True, at_least=10),
                Minimum(slice="injection", value=True, at_least=5),
                Minimum(slice="foreign", value=True, at_least=5),
                Minimum(slice="abusive", value=True, at_least=5),
                Minimum(slice="late", value=True, at_least=5),
            ),
            together=_balance,
        ),
    },
)
