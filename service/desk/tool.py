"""Makes a task's tool ``request_callback`` keep what it promises: what it returns is written down for the worker."""

import inspect
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial, wraps
from typing import Any

import anyio.to_thread

from service.core.tools.functions import ToolFunction
from service.core.tools.port import ToolError
from service.desk.callback import CallbackBook
from service.kit.frame.errors import StoreError

TOOL = "request_callback"
_PROMISE = frozenset({"callback_id", "phone", "start", "due"})


@dataclass(frozen=True, slots=True)
class PromiseKeeper:
    """Writes down the answers of a tool with ``callback_id``, ``phone``, ``start`` and ``due`` (ISO with a zone).

    A later answer with the same ``callback_id`` moves the callback, if it is still open.
    """

    book: CallbackBook
    _kept: dict[str, str] = field(default_factory=dict)

    def keep(self, answer: dict[str, Any], key: str | None) -> None:
        """Write one answer down, once for each ``key``. Blocking.

        Raises:
            ToolError: a worker rings the customer at this moment, so the time cannot be changed.
        """
        promised = datetime.fromisoformat(answer["start"]), datetime.fromisoformat(answer["due"])
        known = self._kept.get(answer["callback_id"])
        moved = None if known is None else self.book.move(known, promised)
        if moved is not None:
            if moved.due_at != promised[1]:
                raise ToolError("the customer is being rung at this moment; promise no other time")
            return
        callback_id = key or uuid.uuid4().hex
        self.book.request(callback_id, answer["phone"], contact_id=callback_id, promised=promised)
        self._kept[answer["callback_id"]] = callback_id


def with_kept_callbacks(functions: Sequence[ToolFunction], book: CallbackBook) -> tuple[ToolFunction, ...]:
    """Return a task's functions; the one named ``request_callback``, if there is one, also writes into ``book``."""
    keeper = PromiseKeeper(book)
    return tuple(_keeping(one, keeper) if one.name == TOOL else one for one in functions)


def _keeping(function: ToolFunction, keeper: PromiseKeeper) -> ToolFunction:
    @wraps(function.call)
    async def call(*arguments: Any, **named: Any) -> Any:
        answer = function.call(*arguments, **named)
        if inspect.isawaitable(answer):
            answer = await answer
        if not (isinstance(answer, dict) and answer.keys() >= _PROMISE):
            return answer
        try:
            await anyio.to_thread.run_sync(partial(keeper.keep, answer, named.get("key")))
        except StoreError as err:
            raise ToolError("the callback could not be written down; promise none") from err
        return answer

    return replace(function, call=call)
