"""Makes the templates of every environment, and checks them: ``python infra/cdk/app.py --out FOLDER [--write]``.

``--stage`` makes those of one environment for the CDK's command line, which ``tools/cdk.py`` calls.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import aws_cdk as cdk
from cdk_nag import AwsSolutionsChecks
from changes import changes
from environments import Environment, EnvironmentName, read_environments
from findings import Finding, findings, problems, read_accepted
from stacks.api import ApiStack
from stacks.assistant import AssistantStack
from stacks.bootstrap import BootstrapStack, templates_bucket
from stacks.data import DataStack
from stacks.network import NetworkStack
from stacks.observability import ObservabilityStack
from stacks.quicksight import NOBODY, QuickSightStack
from stacks.registry import RegistryStack
from stacks.runner import RunnerStack
from stacks.service import ServiceStack
from stacks.warehouse import WarehouseStack
from tags import tag_all

from service.dashboards.readers import CallReader, read_readers
from service.kit.frame.errors import ConfigurationError

TemplateTexts = dict[EnvironmentName, dict[str, str]]
KEPT = Path(__file__).with_name("templates")


def empty_app(context: Environment, folder: Path) -> cdk.App:
    """Return an app without a stack, which tags what is made in it."""
    app = cdk.App(
        outdir=str(folder),
        analytics_reporting=False,
        tree_metadata=False,
        context={"@aws-cdk/aws-iam:minimizePolicies": True},  # IAM limits a role's policies by their size
    )
    tag_all(app, context.stage)
    return app


def make_app(context: Environment, folder: Path, readers: Sequence[CallReader] = NOBODY) -> cdk.App:
    """Return the app with the stacks of one environment, which ``synth`` checks and writes into ``folder``.

    ``readers`` are who may see whose calls in QuickSight.
    """
    app = empty_app(context, folder)

    def props(what: str) -> dict[str, Any]:
        return {
            # Templates travel through our bucket, with the rights of whoever deploys: the CDK's own bootstrap is not needed.
            "synthesizer": cdk.CliCredentialsStackSynthesizer(file_assets_bucket_name=templates_bucket(context.stage)),
            "description": f"Omni Insights, {context.stage}: {what}",
            "termination_protection": context.keep_data,
        }

    bootstrap = BootstrapStack(
        app, "omni-bootstrap", context, **props("who may deploy and release, images, signing key")
    )
    data = DataStack(app, "omni-data", context, **props("tables, buckets, queues, keys"))
    network = NetworkStack(app, "omni-network", context, data, **props("network and endpoints"))
    registry = RegistryStack(app, "omni-registry", context, data=data, network=network, **props("MLflow"))
    RunnerStack(
        app,
        "omni-runner",
        context,
        bootstrap=bootstrap,
        data=data,
        network=network,
        **props("runner of workflows in the network"),
    )
    warehouse = WarehouseStack(app, "omni-warehouse", context, data=data, network=network, **props("Redshift"))
    QuickSightStack(
        app,
        "omni-quicksight",
        context,
        network=network,
        warehouse=warehouse,
        readers=readers,
        **props("dashboards in QuickSight"),
    )
    watched = ObservabilityStack(
        app, "omni-observability", context, data=data, registry=registry, **props("dashboard and alarms")
    )
    service = ServiceStack(
        app,
        "omni-service",
        context,
        data=data,
        network=network,
        registry=registry,
        warehouse=warehouse,
        watched=watched,
        **props("service and workers"),
    )
    AssistantStack(
        app,
        "omni-assistant",
        context,
        data=data,
        network=network,
        service=service,
        **props("Lex bot, Amazon Connect and their functions"),
    )
    ApiStack(
        app,
        "omni-api",
        context,
        data=data,
        network=network,
        service=service,
        watched=watched,
        **props("API, usage plans, firewall"),
    )
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    return app


def kept_stacks(stage: EnvironmentName, names: list[str]) -> list[str]:
    """Return which of an environment's templates are committed: those that something here reads.

    They are dev's stores, which the local AWS gets, and what the rehearsal brings up of prod. The API's is mostly
    ``openapi.json``, which is committed already.
    """
    kept = {"prod": set(names) - {"omni-api", "omni-quicksight"}, "dev": {"omni-data"}}
    return [name for name in names if name in kept.get(stage, set())]


def synthesize(context: Environment, folder: Path, readers: Sequence[CallReader] = NOBODY) -> list[Finding]:
    """Write the templates of one environment into ``folder``; return what cdk-nag finds in them."""
    try:
        make_app(context, folder, readers).synth()
    except RuntimeError as err:  # findings end the synthesis after the templates are written
        if "ValidationFailed" not in str(err):
            raise
    return findings(folder)


def made_templates(folder: Path, readers: Sequence[CallReader] = NOBODY) -> tuple[TemplateTexts, list[Finding]]:
    """Write every environment's templates into ``folder``; return their texts by environment and stack, and all findings."""
    templates: TemplateTexts = {}
    found: list[Finding] = []
    for stage, context in read_environments().items():
        found += synthesize(context, folder / stage, readers)
        files = sorted((folder / stage).glob("*.template.json"))
        templates[stage] = {
            file.name.removesuffix(".template.json"): file.read_text(encoding="utf-8") + "\n" for file in files
        }
    return templates, found


def _changed(stage: EnvironmentName, stacks: dict[str, str]) -> Iterator[str]:
    """Yield what differs from the kept templates, a line for each resource."""
    for name in kept_stacks(stage, list(stacks)):
        file = KEPT / stage / f"{name}.json"
        if file.exists() and (text := file.read_text(encoding="utf-8")) != stacks[name]:
            yield from (f"{stage} {name}: {line}" for line in changes(json.loads(text), json.loads(stacks[name])))


def main() -> int:
    """Write the templates; return 1 if a finding of the checks has no reason, or a reason no finding."""
    parser = argparse.ArgumentParser(description=__doc__)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--out", type=Path, help="the templates of each environment go here")
    where.add_argument("--stage", choices=list(read_environments()), help="one environment, where CDK_OUTDIR says")
    parser.add_argument("--write", action="store_true", help="keep them in infra/cdk/templates, too")
    parser.add_argument("--readers", type=Path, help="CSV file (user,tenant_id): who may see whose calls in QuickSight")
    given = parser.parse_args()
    if given.write and given.readers:
        parser.error("kept templates name no reader: leave out --write or --readers")
    try:
        readers = read_readers(given.readers) if given.readers else NOBODY
    except ConfigurationError as err:
        parser.error(str(err))
    if given.stage:
        make_app(read_environments()[given.stage], Path(os.environ["CDK_OUTDIR"]), readers).synth()
        return 0
    templates, found = made_templates(given.out.resolve(), readers)
    for stage, stacks in templates.items():
        sys.stdout.writelines(f"  {line}\n" for line in _changed(stage, stacks))
        sizes = ", ".join(f"{name} {len(json.loads(text)['Resources'])}" for name, text in stacks.items())
        sys.stdout.write(f"{stage}: {sizes} resources\n")
        for name in kept_stacks(stage, list(stacks)) if given.write else []:
            (KEPT / stage).mkdir(parents=True, exist_ok=True)
            (KEPT / stage / f"{name}.json").write_text(stacks[name], encoding="utf-8")
    open_points = problems(found, read_accepted())
    sys.stdout.writelines(f"{line}\n" for line in open_points)
    return 1 if open_points else 0


if __name__ == "__main__":
    raise SystemExit(main())
