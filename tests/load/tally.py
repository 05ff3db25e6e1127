"""What became of each request: the clients' records and the service's own log, held against each other."""

import json
import statistics
from collections import Counter
from dataclasses import dataclass, field

DEADLINE_MS = 5000  # what the whole request may take
GRACE_S = 3.0  # how long the service may take to find that a store is back


@dataclass(frozen=True, kw_only=True)
class Row:
    """One scenario's outcome; every request sent is in exactly one of in_time, late, degraded, failed, lost.

    Where a fault ends before the scenario does, ``answered_during`` counts the requests with an answer among those that were
    over before that; ``sent_after`` and ``failed_after`` count the requests sent ``GRACE_S`` or more later.
    """

    name: str
    sent: int = 0
    in_time: int = 0
    late: int = 0
    degraded: int = 0
    failed: int = 0
    lost: int = 0
    double: int = 0
    wrong: int = 0
    mixed: int = 0
    unfinished: int = 0
    per_second: float = 0.0
    p50: float = 0.0
    p95: float = 0.0
    p99: float = 0.0
    further: float = 0.0
    reused: float | None = None
    answered_during: int = 0
    sent_after: int = 0
    failed_after: int = 0
    codes: dict = field(default_factory=dict)
    models: dict = field(default_factory=dict)
    note: str = ""
    served: float = 1.0  # of the time in which the stand-ins had work, the share with a processor
    broken: tuple[str, ...] = ()
    open: tuple[str, ...] = ()


def tally(name, records, log, note="", fault_until=None):
    """Return the row of one scenario from the clients' ``records`` and the service's ``log``, both lists of dictionaries.

    ``fault_until`` is the time (epoch, s) at which the scenario's fault ended, None for one that lasts.

    ``double`` counts requests that the service completed more than once, ``wrong`` answers that belong to somebody else's
    request, ``unfinished`` requests that the service took and never ended.
    """
    sent = {row["sent"]: row for row in records if "sent" in row}
    answered = {row["answered"]: row for row in records if "answered" in row}
    kinds = Counter(_kind(answered.get(correlation)) for correlation in sent)
    taken = Counter(row["correlation_id"] for row in log if row.get("event") == "REQUEST RECEIVED")
    ended = Counter(row["correlation_id"] for row in log if row.get("event") in ("REQUEST_COMPLETED", "REQUEST_FAILED"))
    done = [row for row in answered.values() if row["status"]]
    times = sorted(row["ms"] for row in done) or [0.0]
    transfers = [
        answered[key] for key, row in sent.items() if row["transfer"] and answered.get(key, {}).get("status") == 200
    ]
    moments = [row["at"] for row in sent.values()]
    return Row(
        name=name,
        sent=len(sent),
        **{kind: kinds.get(kind, 0) for kind in ("in_time", "late", "degraded", "failed", "lost")},
        double=sum(1 for times_ended in ended.values() if times_ended > 1),
        wrong=sum(1 for row in done if not row.get("mine", True)),
        unfinished=len(set(taken) - set(ended)),
        per_second=len(done) / max(max(moments, default=0) - min(moments, default=0), 1.0),
        p50=statistics.median(times),
        p95=quantile(times, 0.95),
        p99=quantile(times, 0.99),
        **_around(fault_until, sent, answered),
        further=_further(log, answered),
        reused=sum(row["cache_hit"] for row in transfers) / len(transfers) if transfers else None,
        codes=dict(Counter(row["code"] for row in done if row.get("code"))),
        models=dict(Counter(row["model"] for row in done if row.get("model"))),
        note=note,
    )


def _further(log, answered):
    """Return the share of calls to models beyond the first of each request; 0 where no model was asked."""
    calls = Counter(row["correlation_id"] for row in log if row.get("event") == "BEDROCK_INVOKE_START")
    asked = [count for correlation, count in calls.items() if correlation in answered]
    return sum(asked) / len(asked) - 1 if asked else 0.0


def _around(until, sent, answered):
    if until is None:
        return {}
    good = {name for name, row in answered.items() if row["status"] == 200}
    during = [name for name in good if sent[name]["at"] + answered[name]["ms"] / 1000 < until]
    after = [name for name, row in sent.items() if row["at"] >= until + GRACE_S]
    return {
        "answered_during": len(during),
        "sent_after": len(after),
        "failed_after": sum(name not in good for name in after),
    }


def _kind(row):
    if row is None or not row["status"]:
        return "lost"
    if row["status"] != 200:
        return "failed"
    if row["degraded"]:
        return "degraded"
    return "in_time" if row["ms"] <= DEADLINE_MS else "late"


def quantile(ordered, share):
    """Return the value below which ``share`` of the ascending values lie; ``ordered`` is not empty."""
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def read_lines(path):
    """Return the JSON objects of ``path``; other lines, such as a half-written last one, are left out."""
    rows = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            rows.append(row)
    return rows


HEADINGS = (
    "scenario",
    "sent",
    "in time",
    "late",
    "degraded",
    "failed",
    "lost",
    "double",
    "req/s",
    "p50 ms",
    "p95",
    "p99",
)


def markdown(rows, heading):
    """Return the rows as one Markdown table with notes below."""
    lines = [f"# {heading}", "", f"| {' | '.join(HEADINGS)} |", f"|---|{'---:|' * (len(HEADINGS) - 1)}"]
    for row in rows:
        if not row.sent:
            lines.append(f"| {row.name} | {row.note} |{' |' * (len(HEADINGS) - 2)}")
            continue
        figures = (row.sent, row.in_time, row.late, row.degraded, row.failed, row.lost, row.double)
        times = (f"{row.per_second:.0f}", f"{row.p50:.0f}", f"{row.p95:.0f}", f"{row.p99:.0f}")
        lines.append(f"| {row.name} | {' | '.join(map(str, (*figures, *times)))} |")
    lines.append("")
    for row in rows:
        extra = [f"{code}: {count}" for code, count in row.codes.items()]
        extra += [f"transfers answered from a stored summary: {row.reused:.0%}"] if row.reused is not None else []
        extra += [f"{row.failed_after} of {row.sent_after} failed after the fault"] if row.sent_after else []
        extra += [f"taken and never ended: {row.unfinished}"] if row.unfinished else []
        extra += [f"answers to another request: {row.wrong}"] if row.wrong else []
        extra += [f"answers that are a mixture: {row.mixed}"] if row.mixed else []
        answers = sum(row.models.values())
        extra += [f"{model}: {count / answers:.1%} of the answers" for model, count in sorted(row.models.items())]
        extra += [f"{row.further:.1%} further calls to models"] if row.further else []
        extra += [row.note] if row.note and row.sent else []
        if extra:
            lines.append(f"- {row.name}: {'; '.join(extra)}")
        lines += [f"- {row.name}: **broken promise**: {problem}" for problem in row.broken]
        starved = f"cannot judge, model and stores had a processor in {row.served:.0%} of the time that they needed one"
        lines += [f"- {row.name}: {starved}: {problem}" for problem in row.open]
    return "\n".join(lines) + "\n"
