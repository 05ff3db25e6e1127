"""Asks judges: loads their prompt files, and grades through the gateway and the reply cache."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeVar

from eval.judges import reading
from eval.labels.claims import answers as claims_answers
from eval.labels.claims.answers import CHOICES, claims_form
from eval.run.reply_cache import CachingGateway, ReplyCache
from eval.spine import accounts
from eval.spine.code_digest import without_words
from eval.spine.judge_spec import SCHEMA_NAMES, Grade, answer_form, read_grade
from service.core.llm.deadline import Budget, complete_within
from service.core.llm.model_call import AnswerOrigin, Gateway, ModelCall, ModelReply
from service.core.statements.accounting import account
from service.core.unit.cards import ModelCards
from service.core.unit.pair import Pair
from service.core.unit.pair_file import load_pair
from service.kit.frame.canonical import canonical_json, sha256_hex
from service.kit.frame.errors import ConfigurationError, ModelError, PairError
from service.kit.settings import Settings

GRADE_VARIABLES = frozenset({"source", "summary"})
PREFERENCE_VARIABLES = frozenset({"source", "summary_a", "summary_b"})
CONVERSATION_VARIABLES = frozenset({"conversation"})
CLAIMS_VARIABLES = frozenset({"summary", "items"})
# By output schema: the sets of inputs that a judge may have, and the only grades of those that have no own.
_VARIABLES = {
    **dict.fromkeys(SCHEMA_NAMES, (GRADE_VARIABLES, PREFERENCE_VARIABLES, CONVERSATION_VARIABLES)),
    claims_answers.SCHEMA_NAME: (CLAIMS_VARIABLES,),
    reading.SCHEMA_NAME: (reading.READING_VARIABLES,),
}
_ALL_VARIABLES = frozenset(name for sets in _VARIABLES.values() for names in sets for name in names)
_MENUS = {claims_answers.SCHEMA_NAME: CHOICES, reading.SCHEMA_NAME: reading.MENU}
_Answer = TypeVar("_Answer")
_THROTTLE_RETRIES = 12  # as the runner of cases: throttles are waited out inside the judge's deadline
# So many failures without any answer, and a judge is not asked again in this run: thousands of deadlines would take hours.
_GIVEN_UP_AFTER = 8
_REGION = re.compile(r"^(us|eu|apac|global)\.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """A rubric on a model; ``menu`` holds the grades from worst to best."""

    pair: Pair

    @property
    def rubric(self) -> str:
        """The prompt file's name."""
        return self.pair.name

    @property
    def menu(self) -> tuple[str, ...]:
        """The grades that the judge may give, worst first."""
        return self.pair.output.labels

    @property
    def asks_claims(self) -> bool:
        """Whether the judge answers questions about labelled claims, and gives no grade."""
        return self.pair.output.schema == claims_answers.SCHEMA_NAME

    @property
    def reads(self) -> bool:
        """Whether the judge says yes or no to single sentences, in no form."""
        return self.pair.output.schema == reading.SCHEMA_NAME

    @property
    def form(self) -> dict[str, Any] | None:
        """The JSON schema of an answer."""
        if self.reads:
            return None
        return claims_form(self.menu) if self.asks_claims else answer_form(self.menu)

    @property
    def digest(self) -> str:
        """SHA-256 over prompt, model, sampling and the form of the answer: what a calibration is valid for.

        Code makes the questions about claims, sentences and conversations, so that code counts too.
        """
        code = [_claims_code()] if self.asks_claims else [_reading_code()] if self.reads else []
        code += [_transcript_code()] if frozenset(self.pair.variables) == CONVERSATION_VARIABLES else []
        return sha256_hex(canonical_json([self.pair.digest, self.form, *code]))


@dataclass(frozen=True, slots=True, kw_only=True)
class GradingQuestion:
    """What a judge is asked about: the values of its variables."""

    values: Mapping[str, str]

    @property
    def digest(self) -> str:
        """SHA-256 over the values."""
        return sha256_hex(canonical_json(dict(self.values)))


@cache
def _claims_code() -> str:
    return _code(sorted(Path(claims_answers.__file__).parent.glob("*.py")))


@cache
def _reading_code() -> str:
    # Which sentences a reader is asked about, and with which document: accounting, and each suite's sources.
    suites = Path(accounts.__file__).parents[1] / "suites"
    accounting = Path(account.__file__).parent
    return _code(
        [
            Path(reading.__file__),
            Path(accounts.__file__),
            *sorted(accounting.glob("*.py")),
            *sorted(suites.glob("*/sources.py")),
        ]
    )


@cache
def _transcript_code() -> str:
    return _code([Path(accounts.__file__).parents[1] / "dialogue" / "transcript.py"])


def _code(paths: Sequence[Path]) -> str:
    return sha256_hex("\0".join(without_words(path.read_text(encoding="utf-8")) for path in paths))


def rubrics(settings: Settings) -> list[str]:
    """Return the names of all judges, sorted."""
    return sorted(path.stem for path in (settings.prompts_dir / "judges").glob("*.prompty"))


def load_judge(rubric: str, *, settings: Settings, cards: ModelCards, model: str | None = None) -> Judge:
    """Read ``prompts/judges/<rubric>.prompty`` as strictly as a pair; ``model`` replaces the file's model.

    Raises:
        PairError: the file is missing or wrong, has no menu, or the model has no card or is code.
    """
    path = settings.prompts_dir / "judges" / f"{rubric}.prompty"
    pair = load_pair(path, cards=cards, task_variables=_ALL_VARIABLES)
    schema, variables = pair.output.schema, frozenset(pair.variables)
    if schema not in _VARIABLES:
        raise PairError(f"{path}: output.schema {schema!r} is not a judge's; use {', '.join(_VARIABLES)}")
    menu = [label.lower() for label in pair.output.labels]
    if schema in _MENUS and tuple(menu) != _MENUS[schema]:
        raise PairError(f"{path}: output.labels must be {', '.join(_MENUS[schema])}")
    if not 2 <= len(menu) <= 7 or len(set(menu)) != len(menu):
        raise PairError(f"{path}: output.labels must be 2 to 7 different grades, from worst to best")
    allowed = _VARIABLES[schema]
    if variables not in allowed:
        wanted = " or ".join(", ".join(sorted(names)) for names in allowed)
        raise PairError(f"{path}: a judge's inputs are {wanted}")
    if pair.backup is not None or pair.cache_prefix:
        raise PairError(f"{path}: a judge has no backup and no cache_prefix: another model would be another judge")
    if model is not None:
        pair = replace(pair, model=cards.get(model).id)
    if cards.get(pair.model).wire == "in_process":
        raise PairError(f"model {pair.model!r} is code and cannot judge; choose a language model")
    return Judge(pair=reading.in_trained_form(pair) if schema == reading.SCHEMA_NAME else pair)


def refuse_self_judging(judge: Judge, pairs: Sequence[Pair]) -> None:
    """Check that no pair asks the judge's own model, and that this model worded no pair of a search.

    Raises:
        ConfigurationError: naming judge, model and pair.
    """
    for pair in pairs:
        for model in pair.models:
            if _bare(model) == _bare(judge.pair.model):
                raise ConfigurationError(
                    f"judge {judge.rubric!r} runs on {judge.pair.model}, which pair {pair.name!r} is made of; a model does not "
                    "judge itself: name another judge model with --judge-model, or leave that pair out"
                )
        writers = () if pair.lineage is None else pair.lineage.writers
        if _bare(judge.pair.model) in map(_bare, writers):
            raise ConfigurationError(
                f"judge {judge.rubric!r} runs on {judge.pair.model}, which worded pair {pair.name!r} in the search "
                f"{pair.lineage.run if pair.lineage else ''}; who optimises does not decide: name another judge model with "
                "--judge-model, or leave that pair out"
            )


def refuse_same_answerer(judge: Judge, judged_by: str, answered_by: Collection[str]) -> None:
    """Check that what really answered as the judge did not also write what it judges.

    Raises:
        ConfigurationError: naming both.
    """
    if judged_by and judged_by in answered_by:
        raise ConfigurationError(
            f"judge {judge.rubric!r} ({judge.pair.model}) was answered by {judged_by}, which also wrote answers of this run; "
            "a model does not judge itself: name another judge model with --judge-model, or leave those pairs out"
        )


def _bare(model_id: str) -> str:
    return _REGION.sub("", model_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class GradingRun:
    """Everything that asking needs and that stays the same over a run's questions.

    ``origins`` collects those of each judge's replies, by the judge's digest, and ``failures`` the last ones in a row.
    """

    gateway: Gateway
    cache: ReplyCache
    run_id: str
    concurrency: int
    fresh: bool = False
    origins: dict[str, set[AnswerOrigin]] = field(default_factory=dict)
    failures: dict[str, list[ModelError]] = field(default_factory=dict)

    async def each(self, jobs: Sequence[Callable[[], Awaitable[_Answer]]]) -> list[_Answer]:
        """Return the answers to all jobs, in order, at most ``concurrency`` of them at a time.

        The first error of a job ends the others, and is raised.
        """
        limit = asyncio.Semaphore(self.concurrency)

        async def one(job: Callable[[], Awaitable[_Answer]]) -> _Answer:
            async with limit:
                return await job()

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one(job)) for job in jobs]
        except ExceptionGroup as group_error:
            raise group_error.exceptions[0] from None  # the first one ended the others; the rest repeat it
        return [task.result() for task in tasks]

    async def ask_all(
        self, asked: Sequence[tuple[Judge, GradingQuestion, int]], progress: Callable[[Grade], None]
    ) -> list[Grade]:
        """Return one grade per (judge, question, repeat from 0), in order."""

        async def one(judge: Judge, question: GradingQuestion, repeat: int) -> Grade:
            grade = await self.ask(judge, question, repeat)
            progress(grade)
            return grade

        return await self.each([partial(one, *item) for item in asked])

    async def ask(self, judge: Judge, question: GradingQuestion, repeat: int = 0) -> Grade:
        """Return the judge's grade; a failed or late call is unscored with its reason, never a zero."""
        try:
            reply = await self.reply(judge, question, repeat)
        except ModelError as err:
            return Grade(value=None, unscored=f"the judge did not answer: {err.code.value}")
        return _grade(reply, judge)

    async def reply(self, judge: Judge, question: GradingQuestion, repeat: int = 0) -> ModelReply:
        """Return what the judge wrote, from the cache if it holds the same call.

        Raises:
            ModelError: the call failed, or came too late; or so many did without one answer that it is asked no more.
        """
        failures = self.failures.setdefault(judge.digest, [])
        if len(failures) >= _GIVEN_UP_AFTER and judge.digest not in self.origins:
            raise failures[-1]
        call = ModelCall(
            model=judge.pair.model,
            messages=judge.pair.render(question.values),
            sampling=judge.pair.sampling,
            timeout_s=judge.pair.serving.deadline_ms / 1000,
            answer_schema=judge.form,
        )
        gateway = CachingGateway(
            self.gateway, self.cache, self.run_id, judge.digest, question.digest, repeat, self.fresh
        )
        budget = Budget(call.timeout_s, time.perf_counter)
        try:
            reply, _ = await complete_within(gateway, call, budget, throttle_retries=_THROTTLE_RETRIES)
        except ModelError as err:
            failures.append(err)
            raise
        failures.clear()
        self.origins.setdefault(judge.digest, set()).add(reply.origin)
        return reply


def _grade(reply: ModelReply, judge: Judge) -> Grade:
    if reply.stop_reason == "max_tokens":
        reason = "the judge's answer was cut off at its maxOutputTokens"
        return Grade(value=None, unscored=reason, answered_by=reply.answered_by)
    return read_grade(reply.text, judge.menu, answered_by=reply.answered_by)
