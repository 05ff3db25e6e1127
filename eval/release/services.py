"""What releases have to do with running services, through their shared table: telling them, asking them, the lock.

Releases and deployments of code exclude each other by that lock (``service.rollouts.change_lock``).
"""

import getpass
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from eval.release.announce import bucket_settings
from eval.release.releaser import Releaser
from eval.spine.errors import Refused
from figures.command_line import omni
from service.core.release.rollout import Rollout
from service.kit.frame.display.terminal import say
from service.kit.frame.errors import StoreError
from service.kit.records.shared_state import SharedState, open_shared_state
from service.kit.settings import Settings
from service.rollouts.change_lock import ChangeHeld, ChangeLock
from service.rollouts.step_state import StepState, read_shared_step

_LONGEST_S, _PATIENCE_S = 300.0, 30.0  # of a release's lock against deployments


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


@contextmanager
def no_deployment(doing: str, settings: Settings, by: Releaser | None) -> Iterator[None]:
    """Keep deployments out while ``doing`` is done, and other releases waiting. Without a running stack there are none."""
    with ExitStack() as stack:
        try:
            shared = services_table(settings)
            if shared is not None:
                who = by.who if by is not None else getpass.getuser()
                lock = ChangeLock(shared)
                stack.enter_context(lock.held("release", who, doing, for_s=_LONGEST_S, patience_s=_PATIENCE_S))
        except ChangeHeld as err:
            raise Refused(
                f"{err}. A pair is released before or after a deployment, never during one: see `{omni('deploy', 'status')}`"
            ) from err
        except StoreError as err:  # a fault of the table must not keep a better pair out; no deployment begins then
            say(f"note: nobody can tell whether a deployment runs: {err}", file=sys.stderr)
        yield
