"""Releases and deployments of code exclude each other, by the lock in the shared table (``service.rollouts.change_lock``)."""

import getpass
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from eval.release.releaser import Releaser
from eval.release.services import services_table
from eval.spine.errors import Refused
from figures.command_line import omni
from service.kit.frame.display.terminal import say
from service.kit.frame.errors import StoreError
from service.kit.settings import Settings
from service.rollouts.change_lock import ChangeHeld, ChangeLock

_LONGEST_S, _PATIENCE_S = 300.0, 30.0


@contextmanager
def no_deployment(doing: str, settings: Settings, by: Releaser | None) -> Iterator[None]:
    """Keep deployments out while ``doing`` is done, and other releases waiting. Without a running stack there are none.

    Raises:
        Refused: a deployment runs, or another release does not end.
    """
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
