"""Approvals as lines of text: per pair what was approved and what it cost, and for what messages were refused."""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

from figures.formatting import plural
from figures.stats import rate_interval
from reports.compare.approvals import WEEK
from reports.read.approvals import ApprovalDays


def approval_lines(data: ApprovalDays) -> Iterator[str]:
    """Yield one line per pair of the last seven full days, and one on the reasons of refusals."""
    since = data.today - timedelta(days=WEEK)
    week = data.days[data.days["day"] >= since]
    until = data.today - timedelta(days=1)
    yield f"{data.task}, {since:%-d %b} to {until:%-d %b %Y}: {plural(int(week['answers'].sum()), 'answer')}"
    for digest, rows in week.groupby("pair_digest"):
        judged, approved = int(rows["judged"].sum()), int(rows["approved"].sum())
        share = "nothing was up for approval"
        if judged:
            rate = rate_interval(approved, judged)
            share = f"{approved:,} of {judged:,} approved, {rate.value:.2f} [{rate.low:.2f}, {rate.high:.2f}]"
        rated = int(rows["rated"].sum())
        people = f"; people confirmed {int(rows['confirmed'].sum()):,} of {rated:,}" if rated else ""
        yield f"  {rows['pair'].iloc[0]} ({str(digest)[:12]}): {share}{people}; ${float(rows['cost_usd'].sum()):.2f}"
    kinds = Counter[str]()
    for (day, kind), n in data.kinds.items():
        kinds[kind] += n if day >= since else 0
    said = ", ".join(f"{kind} {n:,}" for kind, n in kinds.most_common() if n)
    if said:
        yield f"  refused for: {said}"
