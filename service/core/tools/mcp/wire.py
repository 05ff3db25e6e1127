"""What both ends of an MCP connection agree on beyond the protocol, and what is known of a call that brought no result."""

from contextvars import ContextVar
from dataclasses import dataclass

# In the `_meta` of a call: its idempotency key.
KEY_META = "omni/idempotency-key"
# In the `_meta` of a result with an error: true if the tool did nothing, so that a call that writes may be repeated.
NOTHING_HAPPENED_META = "omni/nothing-happened"


@dataclass(slots=True)
class CallFate:
    """What the transport saw of a call.

    ``unsent``: no server took it. ``status`` is HTTP's. ``problem`` says why the answer was not read; "" if it was.
    """

    unsent: bool = False
    status: int | None = None
    problem: str = ""


# The SDK sends a call from a task that inherits its caller's context; without a fate the call counts as one of unknown effect.
call_fate: ContextVar[CallFate | None] = ContextVar("call_fate", default=None)
