"""The service's commands by name and help panel, for ``python -m service`` and for ``omni``."""

from collections.abc import Callable, Mapping

import typer

from service.commands.access import client, clients, token, token_keys
from service.commands.audit import audit
from service.commands.callbacks import callbacks
from service.commands.calls.pipeline import calls
from service.commands.calls.rescoring import rescore_calls
from service.commands.calls.validation import validate_calls
from service.commands.customer import customer
from service.commands.dashboards import dashboards
from service.commands.doctor import doctor
from service.commands.features import features
from service.commands.knowledge import knowledge
from service.commands.load import load_events
from service.commands.load_customers import load_customers
from service.commands.local import down, status, up
from service.commands.models import models
from service.commands.quality.files import compact_results, export_week
from service.commands.quality.watching import check_agreement, check_stuck
from service.commands.reconcile import reconcile
from service.commands.serve import serve
from service.commands.tenants.commands import tenant
from service.commands.tools import tools
from service.commands.voicemails import voicemails
from service.commands.warehouse import sql

calls.command("export")(export_week)
calls.command("compact")(compact_results)
calls.command("check-stuck")(check_stuck)
calls.command("check-agreement")(check_agreement)
SERVE, WAREHOUSE, CALLS, KNOWLEDGE = "Serve", "Warehouse and report", "Calls", "Documents"


Commands = Mapping[str, Callable[..., None]]
_SERVE: Commands = {
    "serve": serve,
    "up": up,
    "down": down,
    "status": status,
    "doctor": doctor,
    "token": token,
    "client": client,
    "clients": clients,
    "token-keys": token_keys,
}
_WAREHOUSE: Commands = {
    "load-events": load_events,
    "load-customers": load_customers,
    "sql": sql,
    "reconcile": reconcile,
    "dashboards": dashboards,
}
COMMANDS = frozenset(
    (
        *_SERVE,
        *_WAREHOUSE,
        "audit",
        "callbacks",
        "calls",
        "customer",
        "features",
        "knowledge",
        "models",
        "tenant",
        "tools",
        "voicemails",
    )
)


def add_commands(app: typer.Typer) -> None:
    """Add the service's commands to ``app``, in the order in which its help lists them."""
    calls.command("validate")(validate_calls)
    calls.command("rescore")(rescore_calls)
    for panel, commands in ((SERVE, _SERVE), (WAREHOUSE, _WAREHOUSE)):
        for name, command in commands.items():
            app.command(name, rich_help_panel=panel)(command)
    app.add_typer(audit, name="audit", rich_help_panel=WAREHOUSE)
    app.add_typer(features, name="features", rich_help_panel=WAREHOUSE)
    app.add_typer(models, name="models", rich_help_panel=SERVE)
    app.add_typer(tools, name="tools", rich_help_panel=SERVE)
    app.add_typer(callbacks, name="callbacks", rich_help_panel=SERVE)
    app.add_typer(voicemails, name="voicemails", rich_help_panel=SERVE)
    app.add_typer(customer, name="customer", rich_help_panel=SERVE)
    app.add_typer(calls, name="calls", rich_help_panel=CALLS)
    app.add_typer(tenant, name="tenant", rich_help_panel=CALLS)
    app.add_typer(knowledge, name="knowledge", rich_help_panel=KNOWLEDGE)
