"""Scripted landscapes: what an answer is worth given the instructions, and a model that words new ones. No wire, no clock."""

import asyncio
import random
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path

import pytest

from eval.instruments.optimize.allowed import CaseTexts
from eval.instruments.optimize.asking import Limits
from eval.instruments.optimize.ledger import SearchLedger
from eval.instruments.optimize.quality import MeasuredAnswer
from eval.instruments.optimize.rewriting import Rewriter
from eval.instruments.optimize.search import PromptSearch, search
from eval.instruments.optimize.wording import CandidateTexts, PairWording, texts_key
from eval.spine.cases import Case
from service.core.llm.model_call import ModelCall, ModelReply
from service.core.llm.pricing import Usage
from service.core.run.task import load_task
from service.core.unit.cards import ModelCards
from service.kit.settings import REPO_ROOT

# What the wording model may add; the optimum is known: the four rules that help, and none that harms.
HELPFUL = (
    "State the open items first.",
    "Give the date of each promise.",
    "Name who acts next.",
    "Say what was refused.",
)
IDLE = ("Be polite.", "Write for a busy reader.")
HARMFUL = ("Use headings.", "Repeat the question.")
RULES = HELPFUL + IDLE + HARMFUL
WORDS = "openai/gpt-4o-mini"

Worth = Callable[[str, Case], float]  # quality of an answer without noise, from the instructions


def rules_in(text: str) -> set[str]:
    return {rule for rule in RULES if rule in text}


def true_gain(text: str, case: Case) -> float:
    found = rules_in(text)
    return 0.3 + 0.15 * len(found & set(HELPFUL)) - 0.1 * len(found & set(HARMFUL))


def no_gain(text: str, case: Case) -> float:
    return 0.5


def overfits_to(own: Sequence[Case]) -> Worth:
    seen = {case.id for case in own}

    def worth(text: str, case: Case) -> float:
        change = 0.12 * len(rules_in(text))
        return 0.4 + (min(change, 0.5) if case.id in seen else -change / 4)

    return worth


class WordsRules:
    """A gateway whose model adds one rule that it has not named yet, or takes one out, drawn by the prompt itself."""

    def __init__(self, seed: int = 0) -> None:
        self.seed, self.calls = seed, 0

    async def complete(self, call: ModelCall) -> ModelReply:
        self.calls += 1
        prompt = call.messages[-1].content
        text = re.search(r"```\n(.*?)\n```", prompt, re.DOTALL)[1]  # type: ignore[index]
        draw = random.Random(f"{self.seed} {prompt} {self.calls}")
        lines = [line for line in text.split("\n") if line]
        rule = draw.choice(RULES)
        lines = [line for line in lines if line != rule] if rule in lines else [*lines, rule]
        reply = "\n".join(lines)
        return ModelReply(
            text=f"```\n{reply}\n```",
            usage=Usage(input_tokens=800, output_tokens=200),
            stop_reason="end_turn",
            latency_ms=1.0,
            answered_by="scripted",
        )


class Landscape:
    """Answers that are worth what ``worth`` says, with noise that belongs to a candidate and a case."""

    def __init__(self, worth: Worth, ledger: SearchLedger, limits: Limits, noise: float = 0.0, seed: int = 0) -> None:
        self.worth, self.ledger, self.limits, self.noise, self.seed = worth, ledger, limits, noise, seed
        self.asked = 0
        self.better: Mapping[str, float] = {}  # what a model adds

    def answers(self, texts: CandidateTexts, cases: Sequence[Case]) -> list[MeasuredAnswer]:
        keys = [f"answer:{texts_key(texts)}:{case.id}" for case in cases]
        self.limits.check("answer", sum(not self.ledger.used(key) for key in keys))
        found = []
        for key, case in zip(keys, cases, strict=True):
            if not self.ledger.has(key):
                self.asked += 1
                answer = self._answer(texts, case)
                self.ledger.put(key, answer.cost_usd, answer.plain())
            found.append(MeasuredAnswer.from_plain(self.ledger.get(key) or {}))
        return found

    def _answer(self, texts: CandidateTexts, case: Case) -> MeasuredAnswer:
        draw = random.Random(f"{self.seed} {texts_key(texts)} {case.id}")
        quality = self.worth(texts["main"], case) + self.better.get(texts.get("model", ""), 0.0)
        quality += draw.gauss(0, self.noise)
        cost = Decimal("0.0002") + Decimal(len(texts["main"])) / 10_000_000
        return MeasuredAnswer(
            case_id=case.id,
            quality=quality,
            scores={"right": quality},
            words=60,
            ms=900.0,
            cost_usd=cost,
            cold_usd=cost,
        )


def made_cases(count: int, word: str) -> tuple[Case, ...]:
    return tuple(Case(id=f"{word}-{number:03}", inputs={"text": f"{word} {number}"}) for number in range(count))


class Place:
    """Everything that a search over a landscape needs, in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.task = folder, load_task("summarize")
        self.cards = ModelCards.load(REPO_ROOT / "prompts" / "models.yaml")
        path = REPO_ROOT / "prompts" / "summarize" / "smollm2-short.prompty"
        self.wording = PairWording.of_file(path, self.task, self.cards)
        self.landscape: Landscape | None = None
        self.rewriter: Rewriter | None = None

    def search(
        self,
        worth: Worth,
        own: Sequence[Case],
        *,
        seed: int = 0,
        noise: float = 0.0,
        usd: str = "1",
        calls: int = 5_000,
        rounds: int = 40,
        ledger: str = "ledger.jsonl",
        gateway: object = None,
        choices: Mapping[str, Sequence[str]] | None = None,
        better: Mapping[str, float] | None = None,
    ) -> PromptSearch:
        book = SearchLedger(self.folder / ledger)
        limits = Limits(usd=Decimal(usd), calls=calls, ledger=book)
        self.landscape = Landscape(worth, book, limits, noise, seed)
        self.landscape.better = better or {}
        self.rewriter = Rewriter(
            wording=self.wording,
            texts=CaseTexts.of(own),
            model=WORDS,
            gateway=gateway or WordsRules(seed),  # type: ignore[arg-type]
            limits=limits,
            loop=(loop := asyncio.Runner()),
            choices=choices or {},
        )
        try:
            start = self.wording.texts(choices=choices or ())
            return search(self.landscape, self.rewriter, start, own, seed=seed, rounds=rounds)
        finally:
            loop.close()
            book.close()


class Land:
    """The landscapes and their cases, for tests; a conftest cannot be imported."""

    true_gain, no_gain = staticmethod(true_gain), staticmethod(no_gain)
    overfits_to = staticmethod(overfits_to)
    own, other, gate = made_cases(20, "own"), made_cases(20, "other"), made_cases(200, "gate")
    rules_in = staticmethod(rules_in)
    helpful, rules = HELPFUL, RULES
    answers, place, words_rules = Landscape, Place, WordsRules

    def measured(self, place: Place, worth: Worth, found: PromptSearch, cases: Sequence[Case], noise: float, seed: int):
        """Return a function from a candidate's texts to its answers to cases that the search did not see."""
        book = SearchLedger(place.folder / f"unseen-{seed}.jsonl")
        limits = Limits(usd=Decimal(9), calls=1_000_000, ledger=book)
        landscape = Landscape(worth, book, limits, noise, seed)
        return lambda texts: landscape.answers(texts, cases)


@pytest.fixture
def land() -> Land:
    return Land()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)
