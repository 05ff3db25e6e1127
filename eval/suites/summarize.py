"""The suite of ``summarize``: what a summary must carry, must not claim, may cost and may take."""

from functools import lru_cache

from pydantic import BaseModel

from eval.results import Unit
from eval.scorers.facts import FactScorer
from eval.scorers.grounding import GroundingScorer
from eval.scorers.language import LanguageScorer
from eval.scorers.leaks import LeakScorer, Protected
from eval.scorers.structure import StructureScorer
from eval.scorers.text import TextScorer
from eval.suite import Floor, MetricSpec, NoWorse, Suite
from service.grounding import GroundingSource
from service.tasks.summarize import SummarizeInputs


# Each pair, and each planted fault, is looked up in the same histories: reading one takes longer than a look-up.
@lru_cache(maxsize=512)
def _source_of(inputs: BaseModel) -> GroundingSource:
    assert isinstance(inputs, SummarizeInputs)
    return GroundingSource(inputs.visible(), as_of=inputs.as_of, contact_reason=inputs.ivr_intent)


def _protected(inputs: BaseModel) -> Protected:
    assert isinstance(inputs, SummarizeInputs)
    return Protected(account_number=inputs.account_number, texts=[item.text for item in inputs.visible()])


SUITE = Suite(
    task="summarize",
    gate_dataset="dev",
    scorers=(
        TextScorer(),
        GroundingScorer(_source_of),
        FactScorer(),
        StructureScorer(min_words=3, max_words=110),
        LeakScorer(_protected),
        LanguageScorer(),
    ),
    metrics=(
        MetricSpec(name="bleu", kind="corpus", unit=Unit.SCORE),
        MetricSpec(name="chrf", kind="corpus", unit=Unit.SCORE),
        MetricSpec(name="rouge_l", kind="mean", score="rouge_l", unit=Unit.RATE),
        MetricSpec(name="grounded", kind="rate", score="grounded", unit=Unit.RATE),
        MetricSpec(name="grounded_amounts", kind="rate", score="grounded_amounts", unit=Unit.RATE),
        MetricSpec(name="fact_coverage", kind="mean", score="fact_coverage", unit=Unit.RATE),
        MetricSpec(name="forbidden_clear", kind="rate", score="forbidden_clear", unit=Unit.RATE),
        MetricSpec(name="length_ok", kind="rate", score="length_ok", unit=Unit.RATE),
        MetricSpec(name="plain", kind="rate", score="plain", unit=Unit.RATE),
        MetricSpec(name="leak_free", kind="rate", score="leak_free", unit=Unit.RATE),
        MetricSpec(name="english", kind="rate", score="english", unit=Unit.RATE),
        MetricSpec(name="words", kind="mean", score="words", unit=Unit.WORDS, higher_is_better=False),
        MetricSpec(name="answered", kind="answered", unit=Unit.RATE),
        MetricSpec(name="latency_p50", kind="latency", quantile=0.50, unit=Unit.MS, higher_is_better=False),
        MetricSpec(name="latency_p95", kind="latency", quantile=0.95, unit=Unit.MS, higher_is_better=False),
        MetricSpec(name="latency_p99", kind="latency", quantile=0.99, unit=Unit.MS, higher_is_better=False),
        MetricSpec(name="on_time", kind="on_time", unit=Unit.RATE),
        MetricSpec(name="cost_cold", kind="cost", score="cold", unit=Unit.USD, higher_is_better=False),
        MetricSpec(name="cost_warm", kind="cost", score="warm", unit=Unit.USD, higher_is_better=False),
    ),
    floors=(
        Floor(
            metric="answered",
            bound=0.85,
            reason="at 40 cases the interval of 40/40 starts at 0.91; below 0.85 failures are a habit",
        ),
        Floor(
            metric="grounded_amounts",
            bound=0.90,
            reason="an invented amount makes an agent promise money: no more than noise allows",
        ),
        Floor(
            metric="grounded",
            bound=0.80,
            reason="amounts, dates, ids, names, channels, counts; bound leaves room for the checker's false alarms",
        ),
        Floor(
            metric="fact_coverage",
            bound=0.35,
            reason="below a third of the facts an agent must read the history anyway",
        ),
        Floor(metric="forbidden_clear", bound=0.80, reason="a false claim about what is paid, promised or closed"),
        Floor(metric="length_ok", bound=0.85, reason="five seconds of reading: 3 to 110 words"),
        Floor(metric="plain", bound=0.90, reason="markup and template leftovers do not render in the agent's desktop"),
        Floor(
            metric="leak_free",
            bound=0.90,
            reason="an account or card number in full is a breach: at 40 cases not one may leak (40/40 starts at 0.91)",
        ),
        Floor(metric="english", bound=0.90, reason="agents read English, whatever language the customer wrote in"),
        Floor(metric="latency_p95", bound=5000.0, reason="seed 000: p95 < 5 s for the whole request"),
    ),
    no_worse=(
        NoWorse(
            metric="chrf", margin=2.0, reason="about half the difference between two careful wordings of one summary"
        ),
        NoWorse(metric="bleu", margin=2.0, reason="as chrF; BLEU is noisier and kept because seed 000 reports it"),
        NoWorse(metric="grounded", margin=0.05, reason="one case in twenty"),
        NoWorse(metric="fact_coverage", margin=0.05, reason="one fact in twenty"),
        NoWorse(metric="forbidden_clear", margin=0.05, reason="one case in twenty"),
        NoWorse(metric="answered", margin=0.02, reason="one case in fifty"),
        NoWorse(metric="leak_free", margin=0.02, reason="one case in fifty; the floor alone lets a tenth of 200 leak"),
        NoWorse(metric="plain", margin=0.05, reason="one case in twenty; holds where a weak model misses the floor"),
        NoWorse(metric="english", margin=0.05, reason="as plain"),
        NoWorse(metric="words", margin=20.0, reason="20 words are five more seconds of reading at 240 words a minute"),
    ),
    max_unscored_rate=0.15,
    minimum_latency_calls=20,
    slices=("intent_family", "history", "resolution", "channels", "tempting_wrong"),
    table=(
        "bleu",
        "chrf",
        "grounded",
        "fact_coverage",
        "forbidden_clear",
        "latency_p50",
        "latency_p95",
        "latency_p99",
        "cost_cold",
        "cost_warm",
        "answered",
    ),
)
