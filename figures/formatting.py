"""Formats figures by their unit for console, HTML and Markdown."""

from figures.metric import Metric, Unit

MISSING = "–"
NOTE_MARK = "†"

_DECIMALS = {Unit.RATE: 2, Unit.SCORE: 1, Unit.WORDS: 1, Unit.COUNT: 1}
_MOST_DECIMALS = 6


def format_number(value: float, unit: Unit, *, apart_from: float | None = None) -> str:
    """Return ``value`` with its unit: 0.93, 41.2, "412 ms", "1.9 s", "$0.000214", "-25%", "2.0%" of events.

    A rate below 1 is never printed as 1.00, nor one above 0 as 0.00. ``apart_from`` (a bound) adds decimals until both
    are printed differently, because "0.85 misses the bound 0.85" would explain nothing.
    """
    sign = "-" if value < 0 else ""
    size = abs(value)
    if unit is Unit.MS:
        text = _milliseconds(size)
        if apart_from is not None and value != apart_from and text == _milliseconds(abs(apart_from)):
            text = f"{size:,.1f} ms"
        return f"{sign}{text}"
    if unit is Unit.USD:
        return f"{sign}{_dollars(size)}"
    if unit is Unit.CHANGE:
        return _fixed(value, "%", 0, apart_from)
    if unit is Unit.EVENTS:
        return _fixed(value, "%", 1, apart_from)
    decimals = _DECIMALS[unit]
    # A rate between 0 and 1 must not be printed as 0 or 1.
    edges = [edge for edge in (0.0, 1.0) if unit is Unit.RATE and edge != size]
    others = edges + ([abs(apart_from)] if apart_from is not None and apart_from != value else [])
    while decimals < _MOST_DECIMALS and any(f"{size:.{decimals}f}" == f"{other:.{decimals}f}" for other in others):
        decimals += 1
    text = f"{size:.{decimals}f}"
    return text if float(text) == 0 else f"{sign}{text}"


def _fixed(value: float, form: str, decimals: int, apart_from: float | None) -> str:
    """Return ``value`` with ``decimals``, and more until it differs from ``apart_from``; a zero has no sign."""
    while apart_from is not None and value != apart_from and decimals < _MOST_DECIMALS:
        if f"{value:.{decimals}{form}}" != f"{apart_from:.{decimals}{form}}":
            break
        decimals += 1
    text = f"{value:.{decimals}{form}}"
    return text.lstrip("-") if float(text.rstrip("%")) == 0 else text


def _milliseconds(size: float) -> str:
    if size >= 99_950:
        return f"{size / 1000:,.0f} s"
    if size >= 999.5:
        return f"{size / 1000:.1f} s"
    if size >= 9.95 or size == 0:
        return f"{size:.0f} ms"
    return f"{size:.1f} ms" if size >= 0.95 else f"{size:.2g} ms"


def _dollars(size: float) -> str:
    if size == 0:
        return "$0"
    if size >= 999.995:
        return f"${size:,.0f}"
    if size >= 0.995:
        return f"${size:.2f}"
    # Three significant digits without an exponent: a summary costs a few ten-thousandths of a dollar.
    places = 2
    while places < 12 and size < 10.0 ** (2 - places):
        places += 1
    return f"${size:.{places}f}"


def format_interval(low: float | None, high: float | None, unit: Unit, *, apart_from: float | None = None) -> str:
    """Return "[low, high]", with a shared unit written once behind it; "" when there is no interval.

    Of events only the upper end is of interest: "at most 2.0%".

    ``apart_from``: as in ``format_number``.
    """
    if low is None or high is None:
        return ""
    first, last = (format_number(end, unit, apart_from=apart_from) for end in (low, high))
    if unit is Unit.EVENTS:
        return f"at most {last}"
    if unit is Unit.MS and first.split()[-1] == last.split()[-1]:
        return f"[{first.split()[0]}, {last.split()[0]}] {last.split()[-1]}"
    return f"[{first}, {last}]"


def format_metric(metric: Metric, case_count: int | None = None) -> str:
    """Return the metric in one line: value, mark for a note, interval, and n where it differs from ``case_count``."""
    value, *rest = metric_lines(metric, case_count)
    return " ".join([value, *rest])


def metric_lines(metric: Metric, case_count: int | None = None) -> list[str]:
    """Return the parts that ``format_metric`` joins: value with mark, interval, ``n=``."""
    if metric.value is None:
        return [MISSING, "n=0"]
    mark = f" {NOTE_MARK}" if metric.note else ""
    if metric.unit is Unit.EVENTS:
        return [f"{events_in(metric)}{mark}:", format_interval(metric.low, metric.high, metric.unit)]
    lines = [format_number(metric.value, metric.unit) + mark]
    if metric.between_repeat_sd is not None:
        lines.append(f"±{format_number(metric.between_repeat_sd, metric.unit)} sd between repeats")
    interval = format_interval(metric.low, metric.high, metric.unit)
    if interval:
        lines.append(interval)
    if case_count is not None and metric.n != case_count:
        lines.append(f"n={metric.n}")
    return lines


def events_in(metric: Metric) -> str:
    """Return in how many cases an event happened: "0 of 149"."""
    return f"{round((metric.value or 0.0) * metric.n):,} of {metric.n:,}"


def format_signed(value: float, unit: Unit, *, apart_from: float | None = None) -> str:
    """Return a difference with its sign, "+0.03" or "-1.2"; 0 has none."""
    # Unlike a rate, a difference of 0.001 may be printed as "0.00".
    if unit is Unit.RATE:
        text = _fixed(value, "f", _DECIMALS[unit], apart_from)
    else:
        text = format_number(value, unit, apart_from=apart_from)
    return f"+{text}" if value > 0 and any(digit in text for digit in "123456789") else text


def format_difference(metric: Metric) -> str:
    """Return a paired difference with its interval, both signed: "+0.03 [-0.01, +0.07]"."""
    if metric.value is None:
        return f"{MISSING} n=0"
    value = format_signed(metric.value, metric.unit)
    if metric.low is None or metric.high is None:
        return value
    return f"{value} [{format_signed(metric.low, metric.unit)}, {format_signed(metric.high, metric.unit)}]"


def format_p(metric: Metric) -> str:
    """Return the p-value of a difference in words, "p=0.03", "p<0.001"; "" when it was not tested."""
    if metric.p_value is None:
        return ""
    return "p<0.001" if metric.p_value < 0.001 else f"p={metric.p_value:.2g}"


def format_mde(metric: Metric) -> str:
    """Return the smallest true drop that the cases show, "sees 0.04"; "" where nothing was measured."""
    return "" if metric.mde is None else f"sees {format_number(metric.mde, metric.unit)}"


def plural(count: int, noun: str) -> str:
    """Return "1 case" or "40 cases"."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
