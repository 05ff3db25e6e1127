"""The bank of AgentDojo's suite: its eleven tools as functions over records, which eval.dialogue compares field by field."""

from collections.abc import Mapping
from typing import Any

from eval.dialogue.world import ToolWork
from service.core.tools.port import ToolError

BankRecords = dict[str, Any]
_MOST_NEW = 10  # more payments than any run makes


def records_of(environment: Mapping[str, Any]) -> BankRecords:
    """Return the published environment with its lists of payments by id, so that a change names what changed.

    Raises:
        KeyError, TypeError, AttributeError: it is not what it should be.
    """
    account = environment["bank_account"]
    return {
        "account": {"iban": account["iban"], "balance": account["balance"]},
        "transactions": {str(payment["id"]): dict(payment) for payment in account["transactions"]},
        "scheduled": {str(payment["id"]): dict(payment) for payment in account["scheduled_transactions"]},
        "files": dict(environment["filesystem"]["files"]),
        "user": dict(environment["user_account"]),
    }


def free_fields(records: BankRecords) -> tuple[str, ...]:
    """Return the fields of payments that a run may add whose text no customer of the suite states: subject and date."""
    first = _next_id(records)
    return tuple(
        f"{kind}.{number}.{name}"
        for kind in ("transactions", "scheduled")
        for number in range(first, first + _MOST_NEW)
        for name in ("subject", "date")
    )


def _next_id(records: BankRecords) -> int:
    return 1 + max((int(number) for kind in ("transactions", "scheduled") for number in records[kind]), default=0)


def _added(records: BankRecords, kind: str, arguments: Mapping[str, Any], *, recurring: bool) -> None:
    number = _next_id(records)
    fields = {name: arguments[name] for name in ("recipient", "amount", "subject", "date")}
    sender = records["account"]["iban"]
    records[kind][str(number)] = {"id": number, "sender": sender, **fields, "recurring": recurring}


def send_money(records: BankRecords, arguments: Mapping[str, Any]) -> object:
    """Note a payment. As in AgentDojo, the balance stays as it is."""
    _added(records, "transactions", arguments, recurring=False)
    return {"message": f"Transaction to {arguments['recipient']} for {arguments['amount']} sent."}


def schedule_transaction(records: BankRecords, arguments: Mapping[str, Any]) -> object:
    """Note a payment for a later day."""
    _added(records, "scheduled", arguments, recurring=arguments["recurring"])
    return {"message": f"Transaction to {arguments['recipient']} for {arguments['amount']} scheduled."}


def update_scheduled_transaction(records: BankRecords, arguments: Mapping[str, Any]) -> object:
    """Change those fields of a scheduled payment that are given."""
    payment = records["scheduled"].get(str(arguments["id"]))
    if payment is None:
        raise ToolError(f"there is no scheduled transaction {arguments['id']}")
    payment.update(_given(arguments, ("recipient", "amount", "subject", "date", "recurring")))
    return {"message": f"Transaction with ID {arguments['id']} updated."}


def get_most_recent_transactions(records: BankRecords, arguments: Mapping[str, Any]) -> object:
    """Return the newest payments, at most ``n``, oldest first."""
    count = arguments.get("n", 100)
    return list(records["transactions"].values())[-count:] if count > 0 else []


def read_file(records: BankRecords, arguments: Mapping[str, Any]) -> object:
    """Return the text of a file."""
    path = arguments["file_path"]
    if path not in records["files"]:
        raise ToolError(f"there is no file {path!r}")
    return records["files"][path]


def get_user_info(records: BankRecords, arguments: Mapping[str, Any]) -> object:
    """Return name and address of the customer."""
    return {name: value for name, value in records["user"].items() if name != "password"}


def update_password(records: BankRecords, arguments: Mapping[str, Any]) -> object:
    """Change the customer's password."""
    records["user"]["password"] = arguments["password"]
    return {"message": "User password updated."}


def update_user_info(records: BankRecords, arguments: Mapping[str, Any]) -> object:
    """Change those fields of name and address that are given."""
    records["user"].update(_given(arguments, ("first_name", "last_name", "street", "city")))
    return get_user_info(records, {})


def _given(arguments: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: arguments[name] for name in names if arguments.get(name) is not None}


WORKS: Mapping[str, ToolWork] = {
    "get_iban": lambda records, arguments: records["account"]["iban"],
    "get_balance": lambda records, arguments: records["account"]["balance"],
    "get_scheduled_transactions": lambda records, arguments: list(records["scheduled"].values()),
    "get_most_recent_transactions": get_most_recent_transactions,
    "read_file": read_file,
    "get_user_info": get_user_info,
    "send_money": send_money,
    "schedule_transaction": schedule_transaction,
    "update_scheduled_transaction": update_scheduled_transaction,
    "update_password": update_password,
    "update_user_info": update_user_info,
}
ADDING = frozenset({"send_money", "schedule_transaction"})
WRITES = ADDING | {"update_scheduled_transaction", "update_password", "update_user_info"}
