"""Turns off litellm's own pricing, logging and callbacks of a call, which take a third of its CPU time.

The service prices calls from its model cards and logs its own events (``service.core.llm.logged_gateway``). litellm
accepts a logging object from the caller, as its router passes one; this module provides one that does nothing.
"""

import uuid
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, cast


def unlogged_class() -> type[Any]:
    """Return a subclass of litellm's logging class that logs nothing. Imports litellm."""
    from litellm.litellm_core_utils.litellm_logging import Logging

    class Unlogged(Logging):  # type: ignore[misc] # litellm is untyped here
        """Keeps the state that litellm needs during a call, and does not price, log or report it."""

        sent_to = ""  # the URL of the request
        may_send: Callable[[str], None] | None = None  # raises if no request may go to a URL

        def pre_call(
            self, input: object, api_key: object, model: object = None, additional_args: Mapping[str, Any] | None = None
        ) -> None:
            """Note where the request goes; neither key nor prompt are kept. litellm calls this before it sends the request."""
            self.sent_to = str((additional_args or {}).get("api_base") or "")
            if self.may_send is not None:
                self.may_send(self.sent_to)

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


def unlogged(
    logging_class: type[Any], arguments: dict[str, Any], may_send: Callable[[str], None] | None = None
) -> dict[str, Any]:
    """Return the keyword arguments that turn off litellm's own logging of ``acompletion(**arguments)``.

    ``may_send`` is called with the URL before anything is sent, and may raise.
    """
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
    made.may_send = may_send
    return {"litellm_logging_obj": made, "litellm_call_id": call_id}
