"""``omni <command>``: every command, grouped by station of the loop.

Exit codes: 0 pass, 1 the gate rejects (or something is down or missing, where a command's help says so), 2 could not run,
130 after Ctrl-C.
"""

import os
import sys
from typing import Annotated

import typer

from eval.commands.backfill import backfill
from eval.commands.behave import behave
from eval.commands.calibrate import calibrate
from eval.commands.card import card
from eval.commands.cases import check_cases
from eval.commands.evaluate import evaluate_pairs, gate
from eval.commands.harvest import harvest
from eval.commands.knowledge import measure_knowledge
from eval.commands.optimize import optimize
from eval.commands.promote import promote, register, rollback
from eval.commands.pull_request import changed, code_gate, pr_gate
from eval.commands.release import agents, history, releases, verify
from eval.commands.results import results, ui
from eval.commands.rollout import rollout, rollout_end
from eval.commands.route import route
from eval.commands.selftest import selftest
from eval.commands.shadow import shadow
from eval.commands.sweep import sweep
from eval.commands.traffic import traffic
from eval.spine.errors import HarnessError
from omni.bench import bench, simulate
from omni.capacity.command import capacity
from omni.deploying.command import deploy
from omni.deploying.rehearse import rehearse
from omni.scheduling import schedule
from omni.simulated import mark_simulated, use_simulated_store
from omni.training import intents, pin_artifacts
from reports.commands import report, report_power
from reports.errors import ReportError
from service.commands.knowledge import knowledge
from service.commands.register import CALLS, KNOWLEDGE, SERVE, WAREHOUSE, Commands
from service.commands.register import COMMANDS as SERVICE_COMMANDS
from service.commands.register import add_commands as add_service_commands
from service.commands.running import Debug, new_app, run_app
from service.kit.frame.display.terminal import know_commands
from service.kit.frame.errors import ServiceError

# No heavy import at the top: `--help` must not wait for pandas, mlflow or litellm.

EVALUATE, RELEASE, MEASURE = "Evaluate", "Release", "Measure"
STATIONS = (EVALUATE, RELEASE, SERVE, WAREHOUSE, MEASURE, CALLS, KNOWLEDGE)
_EVALUATE: Commands = {
    "eval": evaluate_pairs,
    "gate": gate,
    "behave": behave,
    "sweep": sweep,
    "optimize": optimize,
    "cases": check_cases,
    "card": card,
    "pin": pin_artifacts,
    "results": results,
    "ui": ui,
}
_RELEASE: Commands = {
    "register": register,
    "promote": promote,
    "rollback": rollback,
    "rollout": rollout,
    "rollout-end": rollout_end,
    "history": history,
    "agents": agents,
    "verify": verify,
    "changed": changed,
    "pr-gate": pr_gate,
    "code-gate": code_gate,
}
_WAREHOUSE: Commands = {"releases": releases, "report": report, "backfill": backfill, "traffic": traffic}
_MEASURE: Commands = {
    "selftest": selftest,
    "calibrate": calibrate,
    "simulate": simulate,
    "report-power": report_power,
    "capacity": capacity,
}


def build_app() -> typer.Typer:
    """Return the command line with all commands, in the order of the help."""
    app = new_app(
        "Evaluate prompt and model pairs, release what passes, serve it, report on it.\n\n"
        "Exit codes: 0 pass, 1 the gate rejects, 2 could not run.",
        completion=True,
    )

    @app.callback()
    def options(
        context: typer.Context,
        debug: Debug = False,
        simulated: Annotated[
            bool,
            typer.Option("--traffic", help="Use the simulated weeks of `omni traffic`: own state, registry, ports."),
        ] = False,
    ) -> None:
        # No docstring: typer would show it in place of the app's help. `run_app` reads --debug itself.
        del debug
        if simulated or context.invoked_subcommand == "traffic":
            use_simulated_store(os.environ)
        else:
            mark_simulated(os.environ)

    for station, commands in ((EVALUATE, _EVALUATE), (RELEASE, _RELEASE)):
        for name, command in commands.items():
            app.command(name, rich_help_panel=station)(command)
    app.add_typer(shadow, name="shadow", rich_help_panel=RELEASE)
    app.add_typer(route, name="route", rich_help_panel=RELEASE)
    app.add_typer(deploy, name="deploy", rich_help_panel=RELEASE)
    app.add_typer(rehearse, name="rehearse", rich_help_panel=RELEASE)
    add_service_commands(app)
    knowledge.command("measure")(measure_knowledge)
    for station, commands in ((WAREHOUSE, _WAREHOUSE), (MEASURE, _MEASURE)):
        for name, command in commands.items():
            app.command(name, rich_help_panel=station)(command)
    app.add_typer(harvest, name="harvest", rich_help_panel=WAREHOUSE)
    app.add_typer(schedule, name="schedule", rich_help_panel=WAREHOUSE)
    app.add_typer(bench, name="bench", rich_help_panel=MEASURE)
    app.add_typer(intents, name="intents", rich_help_panel=MEASURE)
    know_commands(command.name for command in app.registered_commands if command.name)
    know_commands(group.name for group in app.registered_groups if group.name)
    return app


def run() -> int:
    """Run the command line that was typed and return its exit code."""
    return run_app(build_app(), name="omni", expected=(ServiceError, HarnessError, ReportError))


def may_skip_shutdown() -> bool:
    """Return True if the command that was typed has no threads that may still be writing: it is none of the service's."""
    typed = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
    return typed not in SERVICE_COMMANDS
