"""What a customer in trouble is told at once, and what is said in other languages than English: from ``first_help.yaml``."""

from collections.abc import Mapping
from datetime import date
from functools import cached_property, lru_cache
from pathlib import Path
from string import Formatter
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from service.core.tasks.assistant.persona import discloses
from service.core.tasks.assistant.understanding.trouble import HelpLanguage, TroubleKind
from service.kit.frame.errors import ConfigurationError
from service.kit.frame.strict import NotStrict, own_yaml, read_strict

FILE = Path(__file__).with_name("first_help.yaml")
_MOST_WORDS = 60  # with the handover or the hours behind it, at most 90 on a phone's screen
_Text = Annotated[str, Field(min_length=2, max_length=400)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class HelpContact(_Strict):
    """A number that customers in trouble are given: where it is published, who checks it, and when that was done last.

    ``unverified``: the number is known, but nobody has read it on the page that ``source`` names.
    """

    number: _Text
    voice: Mapping[HelpLanguage, _Text]
    source: _Text
    owner: _Text
    checked: date | None = None
    unverified: bool = False

    @model_validator(mode="after")
    def _is_dated(self) -> "HelpContact":
        if self.unverified == (self.checked is not None):
            raise ValueError("a number is either unverified, or has the day on which it was checked")
        return self


class Wording(_Strict):
    """A text as it is read and as it is heard."""

    chat: _Text
    voice: _Text


class OtherLanguage(_Strict):
    """What the assistant says in a language that it does not converse in."""

    disclosure: _Text
    greeting: _Text
    handover: _Text
    closed: _Text
    phone: _Text


class FirstHelp(_Strict):
    """The content of ``first_help.yaml``."""

    contacts: Mapping[str, HelpContact]
    help: Mapping[TroubleKind, Mapping[HelpLanguage, Wording]]
    languages: Mapping[Literal["es", "pl"], OtherLanguage]

    @model_validator(mode="after")
    def _is_complete(self) -> "FirstHelp":
        for kind in get_args(TroubleKind):
            if missing := sorted(set(get_args(HelpLanguage)) - set(self.help.get(kind, ()))):
                raise ValueError(f"help for {kind} lacks {', '.join(missing)}")
        texts = [
            text for wordings in self.help.values() for each in wordings.values() for text in (each.chat, each.voice)
        ]
        for text in texts:
            named = {name for _, name, _, _ in Formatter().parse(text) if name is not None}
            if unknown := sorted(named - self.contacts.keys()):
                raise ValueError(f"there is no contact {unknown[0]!r}")
            if "?" in text or len(text.split()) > _MOST_WORDS:
                raise ValueError(f"first help asks nothing and has at most {_MOST_WORDS} words: {text[:40]!r}")
        return self

    def told(self, kind: TroubleKind, language: HelpLanguage, *, spoken: bool) -> str:
        """Return what a customer in trouble of ``kind`` is told."""
        wording = self.help[kind][language]
        if spoken:
            return wording.voice.format_map({name: each.voice[language] for name, each in self.contacts.items()})
        return wording.chat.format_map({name: each.number for name, each in self.contacts.items()})

    @cached_property
    def wordings(self) -> tuple[str, ...]:
        """Everything that may be said from this file."""
        told = (
            self.told(kind, language, spoken=spoken)
            for kind in get_args(TroubleKind)
            for language in get_args(HelpLanguage)
            for spoken in (False, True)
        )
        others = (text for each in self.languages.values() for text in each.model_dump().values())
        return tuple(dict.fromkeys((*told, *others)))

    def without(self, text: str) -> str:
        """Return ``text`` without what people have released here; what discloses an AI stays, for whoever looks for that."""
        for wording in self.wordings:
            if not discloses(wording):
                text = text.replace(wording, "")
        return text


@lru_cache(maxsize=1)
def first_help() -> FirstHelp:
    """Return the wording of ``first_help.yaml``, read once.

    Raises:
        ConfigurationError: the file cannot be read or is wrong.
    """
    try:
        return FirstHelp.model_validate(own_yaml(read_strict(FILE)))
    except ValidationError as err:
        fault = err.errors()[0]
        raise ConfigurationError(f"{FILE.name}: {'.'.join(map(str, fault['loc']))}: {fault['msg']}") from err
    except (OSError, NotStrict) as err:
        raise ConfigurationError(f"{FILE.name} cannot be read: {err}") from err
