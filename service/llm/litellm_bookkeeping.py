"""litellm's bookkeeping of a call without what nobody reads here: its price, its log payload, its callbacks.

We price calls from our model cards and log them as our own events (``service.llm.logged_gateway``); litellm's own takes a third
of what a call costs it. It accepts a logging object in its place, as its router does.
"""

import uuid
from datetime import datetime
from typing import Any, cast


def unlogged_class() -> type[Any]:
    """Return litellm's logging class with its ends cut off. Imports litellm."""
    from litellm.litellm_core_utils.litellm_logging import Logging

    class Unlogged(Logging):  # type: ignore[misc] # litellm is not looked into
        """Keeps what litellm itself needs in the course of a call, and tells nobody."""

        def response_cost_calculator(self, *args: object, **kwargs: object) -> None:
            """No price."""

        def success_handler(self, *args: object, **kwargs: object) -> None:
            """No log."""

        def failure_handler(self, *args: object, **kwargs: object) -> None:
            """No log: the error is raised to us."""

        async def async_success_handler(self, *args: object, **kwargs: object) -> None:
            """No log."""

        async def async_failure_handler(self, *args: object, **kwargs: object) -> None:
            """No log: the error is raised to us."""

        def claim_async_success_log(self) -> bool:
            """Leave nothing to be logged later."""
            return False

        def handle_sync_success_callbacks_for_async_calls(self, *args: object, **kwargs: object) -> None:
            """No callbacks."""

    return cast(type[Any], Unlogged)


def unlogged(logging_class: type[Any], arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the keyword arguments that make ``acompletion(**arguments)`` keep no log of its own."""
    call_id = str(uuid.uuid4())
    made = logging_class(
        model=arguments["model"],
        messages=arguments["messages"],
        stream=bool(arguments.get("stream")),
        call_type="acompletion",
        start_time=datetime.now(),
        litellm_call_id=call_id,
        function_id="",
        kwargs=arguments,
        supports_correlation_logging=False,
    )
    made.update_environment_variables(
        model=arguments["model"],
        user="",
        optional_params={},
        litellm_params={"api_base": ""},
        stream_options=arguments.get("stream_options"),
    )
    return {"litellm_logging_obj": made, "litellm_call_id": call_id}
