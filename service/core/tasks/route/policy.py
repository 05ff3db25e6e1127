"""The routing policy, an artifact of the pair: what makes a message urgent, what may be automated, and who is asked for what."""

from collections.abc import Mapping
from datetime import date
from functools import lru_cache
from typing import Annotated, Self
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from service.core.tasks.route.situation import CustomerTier, MessageCategory, MessageLanguage, MessageTopic
from service.core.unit.opening_hours import OpeningCalendar, WeekHours
from service.core.unit.pair import Artifact, Pair
from service.core.unit.pair_file.artifacts import artifact_of, rules_in

# Of pairs that name no policy.
OWN_POLICY = Artifact(
    name="policy", file="policy.yaml", sha256="38d60a267dfec34a19f7f55df65efd74856e4911b2aaa371a482ce9d24b49e1a"
)


def _zone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError(f"{name!r} is no time zone; give one such as Europe/London")
    return name


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class SentimentStep(_Strict):
    """``points`` for a sentiment below ``below``, or above ``above``."""

    points: int
    below: float | None = Field(default=None, ge=-1, le=1)
    above: float | None = Field(default=None, ge=-1, le=1)

    @model_validator(mode="after")
    def _one_side(self) -> Self:
        if (self.below is None) == (self.above is None):
            raise ValueError("give either below or above")
        return self

    def holds(self, sentiment: float) -> bool:
        """Return whether the step is for this sentiment."""
        return sentiment < self.below if self.below is not None else sentiment > (self.above or 0.0)


class RepeatStep(_Strict):
    """``points`` for a message about what the customer came with in the last ``days``."""

    days: int = Field(ge=1)
    points: int


class UrgencyRules(_Strict):
    """Points that are added up; of ``sentiment`` and ``repeat`` the first step that holds counts.

    ``words`` raise a message's urgency by ``word_points``, by language, unless one of ``negations`` stands before them.
    """

    base: int
    category: Mapping[MessageCategory, int]
    tier: Mapping[CustomerTier, int]
    sentiment: tuple[SentimentStep, ...]
    repeat: tuple[RepeatStep, ...]
    after_hours: int
    word_points: int
    words: Mapping[MessageLanguage, tuple[str, ...]]
    negations: Mapping[MessageLanguage, tuple[str, ...]] = {}


class AutomationRules(_Strict):
    """When no person is needed: confidence above ``above``, urgency below ``person_at``, and fewer failures than ``failures``.

    Below ``flagged_below`` an understanding is marked as doubtful.
    """

    above: float = Field(ge=0, le=1)
    flagged_below: float = Field(ge=0, le=1)
    person_at: int
    failures: int = Field(ge=1)


class PersonWords(_Strict):
    """How customers ask for a person in one language.

    One of ``verbs`` and soon after it one of ``people``; or one of ``humans`` beside one of ``signs``, or in a message of a few
    words; or one of ``phrases``. None of them counts with one of ``negations`` shortly before it.
    """

    verbs: tuple[str, ...] = Field(min_length=1)
    people: tuple[str, ...] = Field(min_length=1)
    humans: tuple[str, ...] = Field(min_length=1)
    signs: tuple[str, ...] = Field(min_length=1)
    phrases: tuple[str, ...] = Field(min_length=1)
    negations: tuple[str, ...] = ()


class AgentRules(_Strict):
    """Who may be given a conversation: fewer than ``most_conversations`` open, the language, and the topic's skill.

    ``skills`` says by topic which skill it takes; a topic without one takes none. ``continuity``: the agent who last spoke with
    the customer comes first. ``second_languages`` may be spoken where nobody on duty has the customer's own.
    """

    most_conversations: int = Field(ge=1)
    skills: Mapping[MessageTopic, MessageTopic] = {}
    continuity: bool = True
    second_languages: tuple[MessageLanguage, ...] = ()
    handling_minutes: float = Field(gt=0)


class RoutingPolicy(_Strict):
    """All that decides where a message goes; hours are in ``timezone``, without ``holidays``."""

    version: str
    timezone: Annotated[str, AfterValidator(_zone)]
    hours: WeekHours
    holidays: Mapping[date, str] = {}
    urgency: UrgencyRules
    automation: AutomationRules
    person: Mapping[MessageLanguage, PersonWords]
    agents: AgentRules

    @property
    def calendar(self) -> OpeningCalendar:
        """The hours in which agents work."""
        return OpeningCalendar(week=self.hours, holidays=self.holidays, zone=ZoneInfo(self.timezone))


def policy_of(pair: Pair | None = None) -> RoutingPolicy:
    """Return the policy of ``pair``, or the task's own.

    Raises:
        PairError: it is wrong, or the file is another one.
    """
    return read_policy(artifact_of(pair, "route", OWN_POLICY))


@lru_cache(maxsize=16)
def read_policy(content: bytes) -> RoutingPolicy:
    """Return the policy in an artifact's bytes.

    Raises:
        PairError: it cannot be read, or contradicts itself; the message says where.
    """
    return rules_in(content, RoutingPolicy, "the routing policy")
