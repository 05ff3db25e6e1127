"""Words a code gate's outcome for the terminal, the pull request's comment and CI."""

from collections.abc import Sequence

from eval.codegate.judging import CodeFigure, PartResult
from eval.codegate.run import CodeOutcome
from eval.spine.results import Verdict
from figures.formatting import plural
from service.kit.frame.display.inert import markdown

_TABLE = "| part | compared | differ | figure | base | branch | difference | may lose | |"
_SHOWN = 5  # figures that the scorers moved
_WORDS = {Verdict.PASS: "no worse", Verdict.FAIL: "worse", Verdict.INCONCLUSIVE: "cannot be told"}


def headline(outcome: CodeOutcome) -> str:
    """Return the outcome in one sentence that names what got worse."""
    about = f"{outcome.task}: {outcome.pair} on this code"
    if outcome.judgement is None:
        return f"{about}: FAIL, {outcome.problem}"
    if outcome.verdict is Verdict.PASS:
        compared = sum(part.compared for part in outcome.judgement.parts)
        different = sum(part.different for part in outcome.judgement.parts)
        if not different:
            return f"{about}: PASS, all answers are the same as on {outcome.base[:12]}"
        unread = sum(part.unread for part in outcome.judgement.parts)
        look = f"; {unread} differ in words that no figure reads: look at them" if unread else ""
        rests_on = (
            f" for form and figures, {plural(len(outcome.judgement.unseen), 'kind')} unseen"
            if outcome.judgement.needs_person
            else ""
        )
        return (
            f"{about}: PASS{rests_on}, {different} of {compared} answers differ, no figure is worse{look}, as on "
            f"{outcome.base[:12]}"
        )
    empty = [part.part for part in outcome.judgement.parts if not part.compared]
    if empty or not outcome.judgement.parts:
        of = f" of {', '.join(empty)}" if empty else ""
        return f"{about}: FAIL, no case{of} could be compared with {outcome.base[:12]}"
    worst = _worst(outcome)
    said = "; ".join(f"{figure.metric} of {figure.part} {_values(figure)}" for figure in worst)
    word = "worse than" if outcome.verdict is Verdict.FAIL else "perhaps worse than"
    return f"{about}: {outcome.verdict.value.upper()}, {word} on {outcome.base[:12]}: {said}"


def lines(outcome: CodeOutcome) -> list[str]:
    """Return the outcome as lines for the terminal: the headline, each part, each figure that is not plainly as good."""
    found = [headline(outcome)]
    for part in outcome.judgement.parts if outcome.judgement is not None else ():
        found.append(f"  {_part(part)}")
        found += [f"    {_figure(figure)}" for figure in part.figures if figure.verdict is not Verdict.PASS]
    return [*found, *(f"  {line}" for line in _remarks(outcome))]


def comment(outcome: CodeOutcome) -> str:
    """Return the outcome as Markdown for a pull request."""
    found = [f"# Code change: {markdown(headline(outcome))}", ""]
    if outcome.judgement is not None:
        found += [_TABLE, "|---" * 9 + "|"]
        for part in outcome.judgement.parts:
            start = f"| {part.part} | {part.compared} | {part.different} |"
            found += [f"{start} {_row(figure)}" for figure in part.figures] or [f"{start} | | | | | the same |"]
        for part in outcome.judgement.parts:
            found += _side_by_side(part)
    found += ["", f"Asked: {markdown(outcome.pair)}, {markdown(outcome.chosen)}. The base's scorers judged both sides."]
    return "\n".join([*found, *(f"\n{markdown(line)}" for line in _remarks(outcome))]) + "\n"


def _side_by_side(part: PartResult) -> list[str]:
    """Return answers of ``part`` in the words of both sides, for a person to read."""
    if not part.changed:
        return []
    unread = f", {part.unread} of them in words that no figure reads" if part.unread else ""
    return [
        "",
        f"{part.part}: {part.different} of {part.compared} answers differ{unread}.",
        "",
        "| case | base | this change |",
        "|---|---|---|",
        *(f"| {markdown(item.case_id)} | {markdown(item.base)} | {markdown(item.branch)} |" for item in part.changed),
    ]


def _part(part: PartResult) -> str:
    differ = f"{part.different} differ" if part.different else "none differs"
    examples = f" (such as {', '.join(part.examples)})" if part.examples else ""
    unread = f", {part.unread} in words that no figure reads" if part.unread else ""
    return f"{part.part}: {plural(part.compared, 'case')}, {differ}{examples}{unread}"


def _remarks(outcome: CodeOutcome) -> list[str]:
    found = []
    if outcome.judgement is not None and outcome.judgement.needs_person:
        found.append(
            f"Answers say something else, and no judge looked at them for {', '.join(outcome.judgement.unseen)}. A person reads "
            "them before this is merged."
        )
    if outcome.judgement is not None and outcome.judgement.left_out:
        found.append(
            f"{plural(outcome.judgement.left_out, 'case')} left out: only one side asks them, or their inputs differ."
        )
    if outcome.moved:
        shown = "; ".join(
            f"{item.metric} of {item.part} {_number(item.before)} → {_number(item.after)}"
            for item in outcome.moved[:_SHOWN]
        )
        more = f" and {len(outcome.moved) - _SHOWN} more" if len(outcome.moved) > _SHOWN else ""
        found.append(
            f"The scorers changed: of the base's own answers this code says {shown}{more}. A person decides about that."
        )
    return found


def _worst(outcome: CodeOutcome) -> Sequence[CodeFigure]:
    if outcome.judgement is None:
        return []
    figures = [figure for part in outcome.judgement.parts for figure in part.figures]
    return [figure for figure in figures if figure.verdict is outcome.verdict and figure.verdict is not Verdict.PASS]


def _figure(figure: CodeFigure) -> str:
    return f"{_WORDS[figure.verdict]}: {figure.metric} {_values(figure)}, may lose {_change(figure, figure.margin)}, n={figure.n}"


def _values(figure: CodeFigure) -> str:
    return f"{_number(figure.before)} → {_number(figure.after)} ({_range(figure)})"


def _range(figure: CodeFigure) -> str:
    return f"{_change(figure, figure.change)} [{_change(figure, figure.low)}, {_change(figure, figure.high)}]"


def _row(figure: CodeFigure) -> str:
    return (
        f"{figure.metric} | {_number(figure.before)} | {_number(figure.after)} | {_range(figure)} | "
        f"{_change(figure, figure.margin)} | {_WORDS[figure.verdict]} |"
    )


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.3g}"


def _change(figure: CodeFigure, value: float) -> str:
    return f"{value:.0%}" if figure.relative else f"{value:.3g}"
