"""Gives simulated weeks their own state folder, registry and ports, because they release pairs and invent customers."""

from collections.abc import MutableMapping
from pathlib import Path

from figures.command_line import SIMULATED

TRACES = ("begun.json", "truth.json")  # what `omni traffic` leaves in its folder of the state


def mark_simulated(environment: MutableMapping[str, str]) -> None:
    """Set the marker where the state folder in ``environment`` holds simulated weeks, although nobody typed --traffic."""
    state = environment.get("OMNI_STATE_DIR")
    if state and any((Path(state) / "traffic" / name).exists() for name in TRACES):
        environment[SIMULATED] = "1"


def use_simulated_store(environment: MutableMapping[str, str]) -> None:
    """Set the variables in ``environment`` that the settings read; variables that are already set stay.

    A marker is set too, by which the commands that messages suggest are for the simulated weeks.
    """
    from service.kit.settings import REPO_ROOT

    environment[SIMULATED] = "1"
    state = environment.setdefault("OMNI_STATE_DIR", str(REPO_ROOT / ".omni" / "traffic"))
    environment.setdefault("OMNI_REGISTRY_URI", f"sqlite:///{state}/mlflow.db")
    environment.setdefault("OMNI_LOCAL_AWS_PORT", "4577")
    environment.setdefault("OMNI_LOCAL_BEDROCK_PORT", "4578")
