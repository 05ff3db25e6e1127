"""What `omni bench service` demands, mostly as ratios to a bare gateway that was measured in turns with the service."""

import statistics
from dataclasses import dataclass

from tally import quantile

# A bare gateway neither looks anything up nor checks, guards, signs or records anything; all of that may cost this much.
RATE_SHARE_TARGET = 1 / 12  # of its requests a second
ADDED_P50_TARGET, ADDED_P99_TARGET = 10.0, 6.0  # times what it adds to the model's time
FIRST_TEXT_TARGET_MS, READY_TARGET_S, RSS_TARGET_MB = 200, 3.0, 350


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One turn at a model of 0 ms: requests a second of each, measured one right after the other."""

    service: float
    bare: float


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One run's figures; lists of milliseconds are ascending, ``service_added`` is without the store's time."""

    turns: list[Turn]
    service_added: list[float]
    bare_added: list[float]
    first_texts: list[float]
    ready_s: list[float]
    rss_mb: list[float]


@dataclass(frozen=True, kw_only=True)
class Row:
    """A figure, what it is to the bare gateway's, and what is demanded of it; nothing is where ``target`` is empty."""

    what: str
    value: str
    ratio: str = ""
    target: str = ""
    met: bool = True


def judged(measured):
    """Return the rows of the table that have a target, and the bare gateway's own figures above them."""
    share = statistics.median(turn.service / turn.bare for turn in measured.turns)
    rates = [statistics.median(getattr(turn, who) for turn in measured.turns) for who in ("service", "bare")]
    ours, bare = measured.service_added, measured.bare_added
    p50, bare_p50 = statistics.median(ours), statistics.median(bare)
    p99, bare_p99 = quantile(ours, 0.99), quantile(bare, 0.99)
    first, ready, rss = statistics.median(measured.first_texts), max(measured.ready_s), max(measured.rss_mb)
    return [
        Row(what="bare FastAPI gateway: requests/s, model 0 ms", value=f"{rates[1]:.0f}", ratio="1"),
        Row(what="  added to the model's time, p50 / p99", value=f"{bare_p50:.1f} / {bare_p99:.1f} ms", ratio="1"),
        Row(
            what="service: requests/s of one process, model 0 ms",
            value=f"{rates[0]:.0f}",
            ratio=f"1/{1 / share:.1f}",
            target=f">= 1/{1 / RATE_SHARE_TARGET:.0f}",
            met=share >= RATE_SHARE_TARGET,
        ),
        _times("  added to the model's and store's time, p50", p50, bare_p50, ADDED_P50_TARGET),
        _times("  added to the model's and store's time, p99", p99, bare_p99, ADDED_P99_TARGET),
        _below(
            f"first text of a stream beyond the model's, p50 of {len(measured.first_texts)}",
            first,
            FIRST_TEXT_TARGET_MS,
            "ms",
        ),
        _below("cold start to ready, silent registry", ready, READY_TARGET_S, "s"),
        _below("memory of one worker, warm", rss, RSS_TARGET_MB, "MB"),
    ]


def exit_code(rows):
    """Return 0 when every target is met, else 1."""
    return 0 if all(row.met for row in rows) else 1


def _times(what, ours, bare, target):
    ratio = ours / bare
    return Row(what=what, value=f"{ours:.1f} ms", ratio=f"{ratio:.1f}", target=f"<= {target:g}", met=ratio <= target)


def _below(what, value, bound, unit):
    shown = f"{value:.2f} {unit}" if bound < 10 else f"{value:.0f} {unit}"
    return Row(what=what, value=shown, target=f"< {bound:g} {unit}", met=value < bound)
