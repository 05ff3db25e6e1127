"""Tells the running services of a release or rollout step, and asks what they know of a rollout, through their shared table."""

from eval.release.announce import bucket_settings
from service.core.release.rollout import Rollout
from service.kit.frame.errors import StoreError
from service.kit.records.shared_state import SharedState, open_shared_state
from service.kit.settings import Settings
from service.rollouts.step_state import StepState, read_shared_step


def tell_services(partition: str, settings: Settings) -> str | None:
    """Let the services look at the registry within a second; return a warning if the table does not answer.

    Without a running stack there is nobody to tell. A service that was not told looks every few seconds by itself.
    """
    try:
        shared = services_table(settings)
        if shared is not None:
            shared.announce(partition)
    except StoreError as err:
        return f"the services were not told, and look by themselves a few seconds later: {err}"
    return None


def step_of_services(task: str, settings: Settings, rollout: Rollout | None = None) -> StepState:
    """Return the newest rollout step that any service has seen, and the stop of ``rollout``, if any.

    Raises:
        StoreError: the table does not answer.
    """
    shared = services_table(settings)
    return StepState() if shared is None else read_shared_step(task, shared, rollout)


def services_table(settings: Settings) -> SharedState | None:
    """Return the table that the services of this stage share; None without a running stack."""
    target = bucket_settings(settings)
    return None if target is None else open_shared_state(target)
