"""Writes docs/capacity.md: what 1, 10 and 100 times the required traffic needs, and what gives way first."""

from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from omni.capacity.model import DEADLINE_S, CapacityModel, CapacityNeed, SimulatedLoad
from service.kit.frame.display.inert import visible

TIMES = (1, 10, 100)
_TEMPLATE = Path(__file__).with_name("page.md.jinja")


def capacity_page(model: CapacityModel) -> str:
    """Return the page as Markdown."""
    # It writes Markdown, in which nothing is escaped as in HTML.
    pages = Environment(  # noqa: S701
        loader=FileSystemLoader(_TEMPLATE.parent), undefined=StrictUndefined, keep_trailing_newline=True
    )
    pages.filters["n"] = "{:,.0f}".format
    needs = [model.need(times) for times in TIMES]
    size = model.size
    page = pages.get_template(_TEMPLATE.name).render(
        of={name: figure.value for name, figure in model.figures.items()},
        figures=model.figures,
        needs=needs,
        rows=_rows(model, needs),
        size=size,
        deadline_s=DEADLINE_S,
        first_over=next((need for need in needs if need.tasks is None or need.tasks > size.most), None),
        least_in_time=model.burst(needs[0].peak_a_s, size.least - 1, 0).within(DEADLINE_S),
    )
    return visible(page)


def needed_tasks(model: CapacityModel) -> str:
    """Return as YAML how many tasks the required traffic needs (null: no number up to 64); the readiness checklist reads it."""
    tasks = model.need(1).tasks
    said = "# How many tasks the required traffic needs. The capacity model writes this file."
    return f"{said}\ntasks_needed: {'null' if tasks is None else tasks}\n"


def _rows(model: CapacityModel, needs: Sequence[CapacityNeed]) -> list[tuple[str, list[str]]]:
    day = model.figures["summaries_a_day"].value

    def row(name: str, text: str) -> tuple[str, list[str]]:
        return name, [text.format(need=need, day=need.times * day) for need in needs]

    return [
        row("summaries a day", "{day:,.0f}"),
        row("answers a second in the busiest minute", "{need.peak_a_s:.1f}"),
        (
            f"tasks of {model.size.vcpu:g} vCPU and {model.size.memory_gb:g} GB, one of them spare",
            ["more than 64" if need.tasks is None else str(need.tasks) for need in needs],
        ),
        ("CPU in use at the peak, one task lost", [f"{need.steady.busy:.0%}" for need in needs]),
        ("answer at the peak, one task lost: p50, p95", [_times(need.steady) for need in needs]),
        ("answer in the burst, one task lost: p50, p95", [_times(need.burst) for need in needs]),
        row("DynamoDB write units a second", "{need.write_units_s:,.0f}"),
        row("DynamoDB read units a second", "{need.read_units_s:,.0f}"),
        row("model: requests a minute", "{need.requests_a_minute:,.0f}"),
        row("model: tokens a minute, as Bedrock reserves them", "{need.tokens_a_minute:,.0f}"),
        row("workers that score the day's calls within eight hours", "{need.call_workers}"),
    ]


def _times(load: SimulatedLoad) -> str:
    return f"{load.percentile(50):.1f} s, {load.percentile(95):.1f} s"
