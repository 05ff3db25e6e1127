"""Checks one case: its facts, references, forbidden claims, open items and slices must fit its inputs."""

import re
from collections.abc import Iterable, Iterator

from eval.casecheck.files import CaseLine, CaseProblem
from eval.spine.case_rules import FileRules, is_declared
from eval.spine.cases import Fact, Forbidden
from service.core.statements.grounding.text import fold, form_occurs

# A served account has 9 digits or more, a card 13 to 19; amounts, dates, tickets, meter readings and 7-digit call-back
# numbers are shorter. Digits may stand in groups.
_FULL_NUMBER = re.compile(r"(?<![\w$.])\d(?:[ -]?\d){8,}(?!\w)|(?<!\d)\d{3}-\d{2}-\d{4}(?!\d)")
_SHOWN = 60


def case_problems(line: CaseLine, own_answer: str | None) -> list[CaseProblem]:
    """Return what is wrong inside one case.

    Args:
        line: the case with its file and line.
        own_answer: the task's answer to these inputs without a model, None if it needs one; must be the only reference.
    """
    texts = [
        *_form_texts(line),
        *_passage_texts(line),
        *_fact_texts(line),
        *_claim_texts(line),
        *_slice_texts(line, line.rules.files.get(line.file)),
        *line.rules.labels(line.case, line.inputs),
    ]
    if own_answer is None:
        texts += [*_reference_texts(line), *_open_item_texts(line)]
    else:
        texts += _answered_texts(line, own_answer)
    return [line.problem(text) for text in texts]


def full_numbers(text: str) -> list[str]:
    """Return the texts that look like a full account, card or social security number: nine digits or more, also grouped."""
    return _FULL_NUMBER.findall(text)


def carried_by(form_list: Iterable[str], text: str) -> str | None:
    """Return the first surface form that occurs in ``text``, or None; forms that cannot be parsed are skipped."""
    for form in form_list:
        try:
            if form_occurs(form, text):
                return form
        except ValueError:
            continue  # `_form_texts` reports it
    return None


def _short(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…")


def _form_texts(line: CaseLine) -> Iterator[str]:
    expected = line.case.expectations
    owners: list[Fact | Forbidden] = [*expected.facts, *expected.forbidden]
    for owner in owners:
        name = f"fact {owner.statement!r}" if isinstance(owner, Fact) else f"forbidden {owner.claim!r}"
        for form in owner.accepted:
            try:
                form_occurs(form, "")
            except ValueError as err:
                yield f"{name}: {err}; write at least one word without '!'"
    wrong = {form: claim.claim for claim in expected.forbidden for form in claim.accepted}
    for fact in expected.facts:
        for form in fact.accepted:
            if form in wrong:
                yield f"form {form!r} states fact {fact.statement!r} and forbidden {wrong[form]!r}; it can be only one"


def _passage_texts(line: CaseLine) -> Iterator[str]:
    seen: set[str] = set()
    now = line.rules.now(line.inputs)
    late_is_meant = is_declared(line.case.slices, line.rules.after_now)
    for passage in line.passages:
        if passage.id in seen:
            yield f"{passage.id} occurs twice in the inputs; give each its own id"
        seen.add(passage.id)
        if now is not None and passage.at is not None and passage.at > now and not late_is_meant:
            yield f"{passage.id} is dated {passage.at.isoformat()}, after the request ({now.isoformat()}); mend the date"


def _fact_texts(line: CaseLine) -> Iterator[str]:
    passages = {passage.id: passage for passage in line.passages}
    for fact in line.case.expectations.facts:
        passage = passages.get(fact.interaction_id)
        if passage is None:
            yield f"fact {fact.statement!r} names {fact.interaction_id!r}, which the case does not have; name one that it has"
        elif fact.span not in passage.text:
            yield (
                f"fact {fact.statement!r}: span {_short(fact.span)} does not occur in {passage.id}; copy it letter by letter"
            )
        elif not passage.visible:
            yield (
                f"fact {fact.statement!r} rests on {passage.id}, which lies outside the request's window; no model can "
                "know it: drop the fact or widen the window"
            )


def _claim_texts(line: CaseLine) -> Iterator[str]:
    """Yield a problem for each true text of the case that matches a forbidden claim, because a faithful output would fail.

    Statements, open items and references are always true. A source may state a forbidden claim only in a case whose slices
    declare it: a later contact corrects the claim, or the claim is the trap.
    """
    expected, declared = line.case.expectations, line.rules.contested
    contested = not declared or is_declared(line.case.slices, declared)
    for claim in expected.forbidden:
        true = [(f"reference {number}", text) for number, text in enumerate(expected.references, start=1)]
        true += [(f"the statement {fact.statement!r}", fact.statement) for fact in expected.facts]
        true += [(f"the open item {item!r}", item) for item in expected.open_items]
        if not contested:
            true += [(f"the text of {passage.id}", passage.text) for passage in line.passages if passage.visible]
        for owner, text in true:
            if (form := carried_by(claim.accepted, text)) is not None:
                remedy = "narrow the form or mend the text"
                if owner.startswith("the text of"):
                    remedy += ", or file the case under " + " or ".join(
                        f"{name}={value}" for name, value in declared if name in line.case.slices
                    )
                yield f"{owner} matches forbidden claim {claim.claim!r} by {_short(form)}; {remedy}"


def _reference_texts(line: CaseLine) -> Iterator[str]:
    expected, bounds = line.case.expectations, line.rules.reference_words
    for number, reference in enumerate(expected.references, start=1):
        words = len(reference.split())
        if bounds is not None and not bounds[0] <= words <= bounds[1]:
            yield f"reference {number} has {words} words; write {bounds[0]} to {bounds[1]}"
        for found in full_numbers(reference):
            yield (
                f"reference {number} prints a full number that ends in {found[-4:]}; mask it, e.g. 'account ending "
                f"{found[-4:]}'"
            )
        missing = [fact.statement for fact in expected.facts if carried_by(fact.accepted, reference) is None]
        if number == 1:
            for statement in missing:
                yield f"reference 1 does not carry fact {statement!r}; mend the reference or add its wording as a form"
        elif len(missing) > (1 - line.rules.second_reference_coverage) * len(expected.facts) + 1e-9:
            yield (
                f"reference {number} carries {len(expected.facts) - len(missing)} of {len(expected.facts)} facts; at least "
                f"{line.rules.second_reference_coverage:.0%} is required; missing: {'; '.join(missing)}"
            )


def _open_item_texts(line: CaseLine) -> Iterator[str]:
    if line.rules.open_slice is None:
        return
    name, values = line.rules.open_slice
    if line.case.slices.get(name) in values and not line.case.expectations.open_items:
        yield f"{name} is {line.case.slices[name]!r}, but no open item is named; name what is open"


def _answered_texts(line: CaseLine, own_answer: str) -> Iterator[str]:
    expected = line.case.expectations
    if [fold(reference) for reference in expected.references] != [fold(own_answer)]:
        yield f"the task answers these inputs with {own_answer!r} and no model; that must be the only reference"
    if expected.facts or expected.open_items:
        yield "the task answers these inputs without a model, so there can be no facts and no open items; drop them"


def _slice_texts(line: CaseLine, rules: FileRules | None) -> Iterator[str]:
    slices = line.case.slices
    if rules is not None:
        for name, values in rules.slices.items():
            if name not in slices:
                yield f"slice {name!r} is missing; one of {_listed(values)}"
            elif not any(slices[name] is value or slices[name] == value for value in values):
                yield f"slice {name!r} is {slices[name]!r}; one of {_listed(values)}"
        for name in slices.keys() - rules.slices.keys():
            yield f"slice {name!r} is not one of {line.file}'s: {', '.join(rules.slices)}"
    for name, value in line.rules.observed(line.inputs).items():
        if name in slices and slices[name] != value:
            yield f"slice {name!r} is {slices[name]!r}, but the inputs make it {value!r}"


def _listed(values: Iterable[object]) -> str:
    return ", ".join(str(value) for value in values)
