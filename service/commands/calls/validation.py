"""``calls validate``: eight steps from an upload to quiet alarms, on the installation that the settings name."""

import asyncio
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

import typer

from service.commands.calls.pipeline import PairName, located, with_model
from service.kit.frame.display.terminal import say

if TYPE_CHECKING:
    from service.calls.worker.validation import CallValidation
    from service.kit.settings import Settings

_TENANT, _OTHER = "validation", "validation-other"


def validate_calls(
    pair: PairName = None,
    most_usd: Annotated[float, typer.Option(help="Bound of the cost of a call of ten minutes, in USD.")] = 0.25,
    most_s: Annotated[float, typer.Option(help="How long a call may take to its result, in seconds.")] = 900.0,
) -> None:
    """Upload two calls of a tenant of their own and follow them to the dashboards. Exit code 1: a step failed.

    The tenants validation and validation-other are made at the first time, and stay.
    """
    from service.access.control import account_key
    from service.calls.worker.build import build_worker
    from service.calls.worker.validation import CallValidation, StepFailed
    from service.kit.settings import Settings
    from service.kit.telemetry.fields import set_account_key
    from service.kit.telemetry.log import configure_logging
    from service.local import voices

    settings = located(Settings(), start=True)
    set_account_key(account_key(settings))  # erased calls are noted by hashes with it
    settings = with_model(settings, pair)
    configure_logging("ERROR")
    worker = build_worker(settings, pair=pair)
    asyncio.run(_prepare(settings))
    speaks = voices.is_installed() and worker.transcriber is not None
    with ExitStack() as stack:
        validation = CallValidation(
            worker=worker,
            tenant=_TENANT,
            other=_OTHER,
            alarms=_alarms(settings, stack),
            most_usd=most_usd,
            sound=voices.spoken if speaks else None,
            most_s=most_s,
        )
        try:
            asyncio.run(_run(validation))
        except StepFailed as err:
            say(f"FAILED {err}", file=sys.stderr)
            raise typer.Exit(1) from None
    say(f"valid: eight of eight steps, tenant {_TENANT}")


async def _run(validation: "CallValidation") -> None:
    async for step in validation.run():
        say(f"{step.number}. {step.name}: {step.saw}")


async def _prepare(settings: "Settings") -> None:
    """Make the two tenants with the form that every new tenant begins with, unless they exist."""
    from datetime import UTC, datetime

    from service.calls.store.form_store import DEFAULT_FORM, build_forms, default_form
    from service.calls.tenants.store import ConfiguredTenant, build_tenants
    from service.kit.aws.clients import client

    dynamodb = client("dynamodb", settings)
    tenants = build_tenants(settings, dynamodb=dynamodb)
    forms = build_forms(settings, dynamodb=dynamodb, now=lambda: datetime.now(UTC))
    for name in (_TENANT, _OTHER):
        tenants.add(ConfiguredTenant(tenant=name, name=name))
        head = await forms.head(name, DEFAULT_FORM)
        if head.active is None:
            saved = await forms.save_draft(default_form(name), edit=head.edit, who="omni calls validate")
            await forms.activate(name, DEFAULT_FORM, edit=saved.edit, who="omni calls validate")


def _alarms(settings: "Settings", stack: ExitStack) -> Callable[[], list[str]]:
    """Return what names the alarms that rang: CloudWatch's, or where it evaluates none, ours over this run's own figures."""
    if settings.environment == "aws":
        from service.kit.aws.clients import client

        pages = client("cloudwatch", settings).get_paginator("describe_alarms")
        return lambda: [
            str(alarm["AlarmName"])
            for page in pages.paginate(AlarmNamePrefix=f"omni-{settings.stage}-", StateValue="ALARM")
            for alarm in page["MetricAlarms"]
        ]
    import yaml

    from service.kit.telemetry import log, metrics
    from service.kit.telemetry.alarm_state import Datapoints, rung
    from service.kit.telemetry.emf import EmfSink
    from service.kit.telemetry.event_metrics import record

    lines: list[str] = []
    sink, begun = EmfSink(lines.append, environment=settings.environment), time.time()
    log.add_listener(record)
    metrics.add_sink(sink)
    stack.callback(metrics.remove_sink, sink)
    alarms = yaml.safe_load((settings.root / "infra" / "observability.yaml").read_text(encoding="utf-8"))["alarms"]

    def look() -> list[str]:
        sink.flush()
        data = Datapoints(environment=settings.environment)
        data.read(lines)
        return rung(alarms, data, begun, time.time())

    return look
