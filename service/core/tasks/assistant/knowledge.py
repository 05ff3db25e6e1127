"""What the bank's tools answer from: ``knowledge.yaml`` as a validated model with a digest."""

import re
from collections.abc import Iterator, Mapping
from datetime import date
from functools import cached_property, lru_cache
from pathlib import Path
from string import Formatter
from typing import Annotated, Any, Literal, get_args
from zoneinfo import ZoneInfo, available_timezones

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from service.core.tasks.assistant.phone import uk_number
from service.core.unit.opening_hours import DaySpan, OpeningCalendar, WeekHours
from service.kit.frame.canonical import canonical_json, sha256_hex
from service.kit.frame.errors import ConfigurationError
from service.kit.frame.strict import NotStrict, own_yaml, read_strict

AccountType = Literal["checking", "savings", "business", "student"]
CardType = Literal["standard", "premium", "contactless", "virtual"]
BranchService = Literal["account_opening", "card_services", "general", "business_banking"]
TransferReason = Literal[
    "explicit_request",
    "customer_frustration",
    "repeated_query",
    "capability_limitation",
    "technical_issues",
    "complex_scenario",
    "sensitive_topic",
]
CallbackTime = Literal["soon", "morning", "afternoon"]
FILE = Path(__file__).with_name("knowledge.yaml")
_DIGEST_CHARS = 12
_MESSAGE_NAMES: Mapping[str, frozenset[str]] = {
    "in_queue": frozenset({"position", "minutes"}),
    "closed": frozenset({"hours"}),
    "callback_at": frozenset({"day", "start", "end"}),
}

Text = Annotated[str, Field(min_length=3, max_length=600)]
Texts = Annotated[tuple[Text, ...], Field(min_length=1)]
Point = tuple[
    Annotated[float, Field(ge=49, le=61)], Annotated[float, Field(ge=-8, le=2)]
]  # latitude, longitude in the UK


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class BranchOpening(_Strict):
    """How an account is opened in a branch."""

    documents_required: Texts
    process_steps: Annotated[tuple[Text, ...], Field(min_length=8, max_length=8)]
    processing_time: Text
    benefits: Texts


class DigitalOpening(_Strict):
    """How an account is opened online or in the app."""

    documents_required: Texts
    process_steps: Annotated[tuple[Text, ...], Field(min_length=10, max_length=10)]
    processing_time: Text
    benefits: Texts
    requirements: Texts


class AccountOpening(_Strict):
    """The two channels in which an account is opened."""

    branch: BranchOpening
    digital: DigitalOpening


class DebitCard(_Strict):
    """A kind of debit card."""

    name: Text
    features: Texts
    fees: Text
    eligibility: Text
    delivery_time: Text
    ordering_process: Annotated[tuple[Text, ...], Field(min_length=8, max_length=8)]
    replacement_info: Text
    activation: Text


class SpecialistDesk(_Strict):
    """When specialists can be reached, and how fast their queue moves. Windows are parts of their hours for callbacks."""

    hours: WeekHours
    callback_windows: Mapping[Literal["morning", "afternoon"], DaySpan]
    minutes_per_customer: int = Field(ge=1, le=60)
    most_waiting: int = Field(ge=1)

    @field_validator("callback_windows")
    @classmethod
    def _both_windows(cls, windows: Mapping[str, DaySpan]) -> Mapping[str, DaySpan]:
        if missing := sorted({"morning", "afternoon"} - set(windows)):
            raise ValueError(f"{', '.join(missing)} is missing")
        return windows


class District(_Strict):
    """A postcode district: where it is, and what its neighbourhoods are called."""

    at: Point
    names: tuple[Text, ...] = ()


class City(_Strict):
    """A city with branches: its centre, other spellings of its name, and its postcodes."""

    at: Point
    spellings: tuple[Text, ...] = ()
    postcode_areas: tuple[Annotated[str, Field(pattern=r"^[A-Z]{1,2}$")], ...]
    districts: Mapping[Annotated[str, Field(pattern=r"^[A-Z]{1,2}\d{1,2}$")], District] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _districts_are_in_its_areas(self) -> "City":
        areas = {district: district.rstrip("0123456789") for district in self.districts}
        if stray := [district for district, area in areas.items() if area not in self.postcode_areas]:
            raise ValueError(f"districts {', '.join(stray)} are in none of its postcode_areas")
        return self


class BankBranch(_Strict):
    """A branch. ``specialists`` are the services for which it has a specialist."""

    name: Text
    city: str
    at: Point
    address: Text
    phone: str
    hours: WeekHours
    services: tuple[BranchService, ...]
    specialists: tuple[BranchService, ...] = ()

    @field_validator("phone")
    @classmethod
    def _is_a_number(cls, phone: str) -> str:
        if uk_number(phone) is None:
            raise ValueError(f"{phone!r} is not a UK phone number")
        return phone

    @model_validator(mode="after")
    def _offers_what_its_specialists_do(self) -> "BankBranch":
        if "general" not in self.services:
            raise ValueError("every branch offers service 'general'")
        if missing := sorted(set(self.specialists) - set(self.services)):
            raise ValueError(f"it has specialists for {', '.join(missing)}, which it does not offer")
        return self


class BankMessages(_Strict):
    """What tools say in words. Names in braces are filled in."""

    no_branch: Text
    no_service: Text
    which_city: Text
    wrong_phone: Text
    next_in_line: Text
    in_queue: Text
    queue_full: Text
    closed: Text
    callback_within_hour: Text
    callback_at: Text

    @model_validator(mode="after")
    def _names_are_filled(self) -> "BankMessages":
        for field in type(self).model_fields:
            try:
                named = {name for _, name, _, _ in Formatter().parse(getattr(self, field)) if name is not None}
            except ValueError as err:
                raise ValueError(f"{field}: {err}") from None
            if unknown := sorted(named - _MESSAGE_NAMES.get(field, frozenset())):
                raise ValueError(f"{field}: nothing fills {{{unknown[0]}}}")
        return self


class BankKnowledge(_Strict):
    """All that the assistant may say about the bank. ``version`` is the day of the last edit."""

    version: str = Field(pattern=r"^\d{4}-\d{2}-\d{2}(\.\d+)?$")
    bank: Text
    timezone: str
    accounts: Mapping[AccountType, AccountOpening]
    cards: Mapping[CardType, DebitCard]
    specialists: SpecialistDesk
    holidays: Mapping[date, Text]
    cities: Mapping[str, City]
    elsewhere: tuple[Text, ...] = ()
    branches: Mapping[Annotated[str, Field(pattern=r"^[a-z0-9-]+$")], BankBranch]
    messages: BankMessages

    @model_validator(mode="after")
    def _is_complete(self) -> "BankKnowledge":
        if self.timezone not in available_timezones():
            raise ValueError(f"there is no time zone {self.timezone!r}")
        for field, wanted in (("accounts", AccountType), ("cards", CardType)):
            if missing := [name for name in get_args(wanted) if name not in getattr(self, field)]:
                raise ValueError(f"{field} lacks {', '.join(missing)}")
        year_after = int(self.version[:4]) + 1
        if max((day.year for day in self.holidays), default=0) < year_after:
            raise ValueError(f"holidays end before {year_after}: list those of the year after the version's, too")
        served = {branch.city for branch in self.branches.values()}
        if served != set(self.cities):
            raise ValueError(f"cities and the branches' cities differ: {', '.join(sorted(served ^ set(self.cities)))}")
        for city, names in ((name, list(_place_names(name, city))) for name, city in self.cities.items()):
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise ValueError(f"{twice[0]!r} stands twice in {city}: which place would find_nearest_branch take?")
        return self

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON of the content."""
        return sha256_hex(canonical_json(self.model_dump(mode="json")))

    @property
    def label(self) -> str:
        """Version and the first characters of the digest, as every tool answer carries them."""
        return f"{self.version}/{self.digest[:_DIGEST_CHARS]}"

    @cached_property
    def specialist_calendar(self) -> OpeningCalendar:
        """When specialists can be reached."""
        return OpeningCalendar(week=self.specialists.hours, holidays=self.holidays, zone=ZoneInfo(self.timezone))

    def with_texts(self, texts: Mapping[str, str]) -> "BankKnowledge":
        """Return this knowledge with other texts, by dotted path, such as ``branches.london-strand.name``.

        Raises:
            ValueError: a path leads to no text, or what comes of it is not valid.
        """
        content = self.model_dump(mode="json")
        for path, text in texts.items():
            _put(content, path, text)
        return BankKnowledge.model_validate(content)


def _place_names(name: str, city: City) -> Iterator[str]:
    yield from (spelling.casefold() for spelling in (name, *city.spellings))
    for code, district in city.districts.items():
        yield from (each.casefold() for each in (code, *district.names))


def _put(content: Any, path: str, text: str) -> None:
    *above, last = path.split(".")
    for part in above:
        content = _inside(content, part, path)
    if not isinstance(_inside(content, last, path), str):
        raise ValueError(f"{path!r} is no text of the knowledge")
    content[int(last) if isinstance(content, list) else last] = text


def _inside(content: Any, part: str, path: str) -> Any:
    try:
        return content[int(part) if isinstance(content, list) else part]
    except (KeyError, IndexError, ValueError, TypeError):
        raise ValueError(f"{path!r} is not in the knowledge") from None


@lru_cache(maxsize=1)
def bank_knowledge() -> BankKnowledge:
    """Return the knowledge of ``knowledge.yaml``, read once."""
    return read_knowledge(FILE)


def read_knowledge(path: Path) -> BankKnowledge:
    """Return the knowledge that a file holds.

    Raises:
        ConfigurationError: it cannot be read or is wrong; the message names file, place and fault.
    """
    try:
        return BankKnowledge.model_validate(own_yaml(read_strict(path)))
    except ValidationError as err:
        fault = err.errors()[0]
        where = ".".join(map(str, fault["loc"])) or "the file"
        told = re.sub(r"^Value error, ", "", fault["msg"])
        raise ConfigurationError(f"{path.name}: {where}: {told}") from err
    except (OSError, NotStrict) as err:
        raise ConfigurationError(f"{path.name} cannot be read: {err}") from err
    except yaml.YAMLError as err:
        raise ConfigurationError(f"{path.name} is no YAML: {' '.join(str(err).split()):.200}") from err
