"""The bank's tools: as a pair names them (``SPECS``), as the service offers them (``FUNCTIONS``), and as methods of the bank."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Annotated, Any, get_args

from pydantic import Field

from service.core.tasks.assistant.bank import Bank
from service.core.tasks.assistant.knowledge import (
    AccountType,
    BranchService,
    CallbackTime,
    CardType,
    TransferReason,
    bank_knowledge,
)
from service.core.tools.functions import ToolFunction
from service.core.unit.pair import ToolSpec
from service.kit.frame.clock import wall_clock

MOST_SUMMARY_CHARS = 2_000
MOST_LOCATION_CHARS = 120
MOST_PHONE_CHARS = 40

BranchLocation = Annotated[str, Field(max_length=MOST_LOCATION_CHARS)]
CallbackPhone = Annotated[str, Field(max_length=MOST_PHONE_CHARS)]
TransferSummary = Annotated[str, Field(min_length=1, max_length=MOST_SUMMARY_CHARS)]

# Read at import: a wrong edit ends the start of the service, and not a customer's first question.
_KNOWLEDGE = bank_knowledge()

METHODS: Mapping[str, Callable[..., dict[str, Any]]] = {
    "get_branch_account_opening_info": Bank.branch_opening,
    "get_digital_account_opening_info": Bank.digital_opening,
    "get_debit_card_info": Bank.debit_card,
    "find_nearest_branch": Bank.nearest_branch,
    "check_hours": Bank.hours,
    "queue_position": Bank.queue_position,
    "request_callback": Bank.request_callback,
    "transfer_to_agent": Bank.transfer,
}


@cache
def live_bank() -> Bank:
    """Return the bank of this process; its records last as long as the process does."""
    return Bank(knowledge=_KNOWLEDGE, records={}, clock=wall_clock())


async def get_branch_account_opening_info(account_type: AccountType) -> dict[str, Any]:
    """Look up how an account is opened in a branch: documents, the 8 steps, processing time and benefits."""
    return live_bank().branch_opening(account_type)


async def get_digital_account_opening_info(account_type: AccountType) -> dict[str, Any]:
    """Look up how an account is opened online or in the app: documents, the 10 steps, times, benefits and requirements."""
    return live_bank().digital_opening(account_type)


async def get_debit_card_info(card_type: CardType) -> dict[str, Any]:
    """Look up a debit card: features, fees, eligibility, delivery, the 8 steps to order it, replacement and activation."""
    return live_bank().debit_card(card_type)


async def find_nearest_branch(location: BranchLocation, service_type: BranchService = "general") -> dict[str, Any]:
    """Find branches near a city, neighbourhood or postcode that offer a service, the nearest first."""
    return live_bank().nearest_branch(location, service_type)


async def check_hours() -> dict[str, Any]:
    """Say whether specialists can be reached now, their hours, and when they can be reached next."""
    return live_bank().hours()


async def queue_position() -> dict[str, Any]:
    """Say which place in the specialists' queue the customer has or would have, and the estimated wait."""
    return live_bank().queue_position()


async def request_callback(phone: CallbackPhone, when: CallbackTime = "soon", *, key: str | None) -> dict[str, Any]:
    """Arrange that a specialist calls the customer back on a UK number, once the customer has confirmed it."""
    return live_bank().request_callback(phone, when, key=key)


async def transfer_to_agent(reason: TransferReason, summary: TransferSummary, *, key: str | None) -> dict[str, Any]:
    """Hand the customer over to a specialist, who reads the summary first: what they want, and what was found out."""
    return live_bank().transfer(reason, summary, key=key)


# Plain coroutines without an await run one after the other on the event loop, so the records need no lock.
FUNCTIONS = (
    ToolFunction(call=get_branch_account_opening_info),
    ToolFunction(call=get_digital_account_opening_info),
    ToolFunction(call=get_debit_card_info),
    ToolFunction(call=find_nearest_branch),
    ToolFunction(call=check_hours),
    ToolFunction(call=queue_position),
    ToolFunction(call=request_callback, writes=True),
    ToolFunction(call=transfer_to_agent, writes=True),
)


def _text(**limits: int) -> dict[str, Any]:
    return {"type": "string", **limits}


def _one_of(values: Any, **more: Any) -> dict[str, Any]:
    return {"type": "string", "enum": list(get_args(values)), **more}


_ARGUMENTS: Mapping[str, tuple[Mapping[str, Any], tuple[str, ...]]] = {
    "get_branch_account_opening_info": ({"account_type": _one_of(AccountType)}, ("account_type",)),
    "get_digital_account_opening_info": ({"account_type": _one_of(AccountType)}, ("account_type",)),
    "get_debit_card_info": ({"card_type": _one_of(CardType)}, ("card_type",)),
    "find_nearest_branch": (
        {"location": _text(maxLength=MOST_LOCATION_CHARS), "service_type": _one_of(BranchService, default="general")},
        ("location",),
    ),
    "check_hours": ({}, ()),
    "queue_position": ({}, ()),
    "request_callback": (
        {"phone": _text(maxLength=MOST_PHONE_CHARS), "when": _one_of(CallbackTime, default="soon")},
        ("phone",),
    ),
    "transfer_to_agent": (
        {
            "reason": _one_of(TransferReason),
            "summary": _text(minLength=1, maxLength=MOST_SUMMARY_CHARS),
        },
        ("reason", "summary"),
    ),
}


def _spec(function: ToolFunction) -> ToolSpec:
    properties, required = _ARGUMENTS[function.name]
    arguments = {"type": "object", "properties": dict(properties)} | ({"required": list(required)} if required else {})
    return ToolSpec(
        name=function.name,
        description=function.call.__doc__ or "",
        arguments=arguments,
        writes=function.writes,
        own_words=("summary",) if "summary" in properties else (),
    )


SPECS = tuple(map(_spec, FUNCTIONS))
