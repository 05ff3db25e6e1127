"""The page's section on scored calls: one table of agreement per version of a tenant's form."""

from figures.svg import whisker
from reports.compare.agreement import (
    AgreementWeek,
    CriterionAgreement,
    CriterionRatings,
    base_sentence,
    is_small,
    kappa_text,
)
from reports.compare.findings import figure
from reports.compare.outcomes import ComparisonResult
from reports.read.metrics import AGREEMENT
from reports.write.view import CallSection, CallTable, ReportCell, ReportRow, as_metric, badge

TITLES = ("agreement", "kappa", "overruled")
_MOST_MOVES = 3


def calls_section(found: AgreementWeek) -> CallSection | None:
    """Return the section; None in a week without scored calls and without verdicts by people."""
    if not found.calls and not found.reviewed and not found.unanswered:
        return None
    tables: dict[str, list[ReportRow]] = {}
    for item in found.criteria:
        tables.setdefault(f"{item.tenant}: {item.form_id}, version {item.version}", []).append(_row(item))
    return CallSection(
        base=base_sentence(found),
        tables=tuple(CallTable(title=title, rows=tuple(rows)) for title, rows in tables.items()),
        tested=(found.tested,),
    )


def _row(item: CriterionAgreement) -> ReportRow:
    cells = (_agreement(item), _kappa(item), _overruled(item.now))
    return ReportRow(name=item.criterion, remark=item.question, cells=cells)


def _agreement(item: CriterionAgreement) -> ReportCell:
    if item.now.n == 0:
        return ReportCell(remark="the model had no verdict")
    side = item.now.rate.interval()
    text = figure(AGREEMENT, side)
    result, look = _result(item)
    return ReportCell(
        text=text,
        drawing=whisker(
            as_metric(AGREEMENT, side), (0.0, 1.0), bound=None, label=f"{item.criterion}: {text}, n={side.n:,}"
        ),
        result=result,
        look=look,
        remark=f"n={side.n:,}{_past(item)}",
    )


def _result(item: CriterionAgreement) -> tuple[str, str]:
    if is_small(item):
        return f"… n={item.now.n}: too few to say", "few"
    if item.before is None or item.result is ComparisonResult.NONE:
        return "", ""
    if item.result is ComparisonResult.TOO_FEW:
        return f"… n={item.before.n} the week before: too few to compare", "few"
    return badge(item.result)


def _past(item: CriterionAgreement) -> str:
    if item.before is None or item.before.n == 0:
        return "; no verdicts the week before"
    version = "" if item.before_version == item.version else f" (version {item.before_version})"
    return f"; week before{version}: {item.before.rate.interval().value:.2f}, n={item.before.n:,}"


def _kappa(item: CriterionAgreement) -> ReportCell:
    remark = "" if item.before is None or item.before.n == 0 else f"week before: {kappa_text(item.before.kappa)}"
    if item.only_overruled:
        remark = "people confirmed no verdict"
    return ReportCell(text=kappa_text(item.now.kappa), remark=remark)


def _overruled(now: CriterionRatings) -> ReportCell:
    """Return how many verdicts people overruled, with the commonest changes first."""
    moves = sorted(
        ((n, move) for move, n in now.table.items() if move[0] != move[1]), key=lambda one: (-one[0], one[1])
    )
    parts = [f"{model} to {human}: {n:,}" for n, (model, human) in moves[:_MOST_MOVES]]
    if now.unanswered:
        parts.append(f"no verdict by the model: {now.unanswered:,}")
    return ReportCell(text=f"{now.n - now.confirmed:,} of {now.n:,}", remark="; ".join(parts))
