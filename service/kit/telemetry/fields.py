"""The fields allowed in log lines, each with a bounded form. Undeclared fields are dropped."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, Literal

FieldForm = Literal["name", "number", "flag", "text"]

# Every field of every event. Add a field only if it can never hold text of a customer or an agent.
FIELDS: Mapping[str, FieldForm] = {
    **dict.fromkeys(
        """event level timestamp logger place error request_id account client path failure_code denied cost_usd
        feedback summary_request_id correlation_id task tasks environment pair model model_used answered_by arm tool
        outcome table channel kinds severity intent read_by tenant rescoring form call_id state criterion callback
        promise""".split(),
        "name",
    ),
    **dict.fromkeys(
        """status wrong_fields max_history_days max_interactions latency_ms first_text_ms registry_version timeout_ms
        input_tokens output_tokens cache_read_tokens interactions pages skipped consumed_capacity throttled calls
        failures clients keys turns step confidence form_version done failed left duration_s stuck pause_s fallen
        rings waiting overdue""".split(),
        "number",
    ),
    **dict.fromkeys("accepted with_comment with_edit degraded kept cache_hit hallucination agrees".split(), "flag"),
    **dict.fromkeys("reason".split(), "text"),
}
DROPPED = "dropped_fields"
_NAME = re.compile(r"[A-Za-z0-9_.:/@+{} -]{0,200}\Z")
# Anything in free text that could be an account, card or telephone number.
_DIGITS = re.compile(r"\d[\d -]{4,}\d")
_LONGEST_TEXT = 300
# Letters alone: the patterns for numbers, which also go over stored texts later, must leave a pseudonym whole.
_LETTERS = str.maketrans("0123456789abcdef", "abcdefghijklmnop")
_account_key = secrets.token_bytes(32)


def set_account_key(key: bytes) -> None:
    """Set the key of this process's account hashes; the default is a random key, so that no hash can be guessed."""
    global _account_key
    _account_key = key


def account_hash(account_number: str) -> str:
    """Return 16 hexadecimal digits of the account number's keyed hash (HMAC-SHA-256), which joins log lines anonymously.

    A hash of ten digits without a key could be reversed by trying all numbers.
    """
    return hmac.new(_account_key, account_number.encode(errors="surrogatepass"), hashlib.sha256).hexdigest()[:16]


def pseudonym_of(value: str) -> str:
    """Return the pseudonym of an id: the same for the same id wherever the service's log key is the same."""
    return pseudonym_of_hash(account_hash(value))


def pseudonym_of_hash(hashed: str) -> str:
    """Return the pseudonym of the id whose ``account_hash`` is given."""
    return f"id-{hashed.translate(_LETTERS)}"


def account_key_mark() -> str:
    """Return what tells whether two processes have the same key, and nothing of the key."""
    return account_hash("which key is this")


def current_account_key() -> bytes:
    """Return the key of this process's account hashes, for a process of its own that must make the same ones."""
    return _account_key


def redact_log_fields(_logger: object, _method: str, fields: MutableMapping[str, Any]) -> dict[str, Any]:
    """Drop fields that ``FIELDS`` does not allow, and log their names without values; a structlog processor."""
    kept: dict[str, Any] = {}
    dropped: list[str] = []
    for name, value in fields.items():
        fits = _FITS.get(name)
        if fits is None or (value is not None and not fits(value)):
            dropped.append(name if _NAME.match(name) else "unnamed")
        else:
            kept[name] = _masked(value) if fits is _is_text else value
    if dropped:
        kept[DROPPED] = sorted(dropped)
    return kept


def withhold(_logger: object, _method: str, fields: MutableMapping[str, Any]) -> dict[str, Any]:
    """Reduce another library's record to its logger, place and error type: its text may quote a prompt or a request.

    A structlog processor for foreign records.
    """
    record = fields.get("_record")
    kept: dict[str, Any] = {name: fields[name] for name in ("level", "timestamp", "logger") if name in fields}
    kept["event"] = "LIBRARY_LOG"
    if record is not None:
        kept["place"] = f"{record.module}:{record.lineno}"
    exception = fields.get("exc_info")
    if isinstance(exception, tuple) and exception[0] is not None:
        kept["error"] = exception[0].__name__
    return kept


def _is_name(value: object) -> bool:
    return isinstance(value, str) and _NAME.match(value) is not None


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float))


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


_OF_FORM: Mapping[FieldForm, Callable[[object], bool]] = {
    "name": _is_name,
    "number": _is_number,
    "flag": _is_flag,
    "text": _is_text,
}
_FITS = {name: _OF_FORM[form] for name, form in FIELDS.items()}


def _masked(value: str | None) -> str | None:
    return None if value is None else _DIGITS.sub("#", value)[:_LONGEST_TEXT]
