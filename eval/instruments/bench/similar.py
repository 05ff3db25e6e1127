"""``omni bench similar``: do messages to similar customers tell which offer suits, and how long does a search take?

No model that reads examples runs here. So the offer is chosen by code: the one that most similar customers' messages are about,
else the one that shares most words with the services, as the templates choose; without examples always the latter. Both are
compared with the labels on the same customers. A past message is the label of a customer of an earlier day: nothing of the same
day or later counts.
"""

import random
import statistics
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import numpy as np

from eval.run.loaders import load_dataset
from eval.suites.upsell.labels import labels_of
from figures.stats import mean_interval
from service.core.knowledge.embedding import Embedder, Vectors
from service.core.tasks.upsell.customer import Example, UpsellInputs
from service.core.tasks.upsell.similar import PastMessage, SimilarMessages
from service.core.tasks.upsell.templates import offer_by_words
from service.kit.frame.display.terminal import say
from service.kit.settings import Settings
from service.kit.telemetry.fields import account_hash

_SEED = 20261125
_SEARCHES, _IN_FLIGHT = 500, 50


def main(settings: Settings, embedder: Embedder, messages: int) -> None:
    """Print what examples add to the choice of the offer, and the times of searches among ``messages``."""
    cases = _labelled(settings)
    index = _index([_past(inputs, labels[0], number) for number, (inputs, labels) in enumerate(cases)], embedder)
    rows = []
    for inputs, labels in cases:
        found = index.find(inputs)
        if found:
            rows.append((_by_examples(inputs, found) in labels, offer_by_words(inputs).id in labels, len(found)))
    with_them, without, shown = np.array(rows, dtype=np.float64).T
    gain = mean_interval(with_them - without, seed=_SEED, bounds=(-1.0, 1.0))
    say(
        f"{len(cases)} customers with a labelled offer, {len(rows)} of them with examples from before ({shown.mean():.1f} each)"
    )
    say(f"the offer suits: {with_them.mean():.3f} with examples, {without.mean():.3f} without")
    assert gain.low is not None
    assert gain.high is not None
    verdict = "none shown" if gain.low <= 0 <= gain.high else "shown"
    say(
        f"paired difference {gain.value:+.3f}, 95% interval {gain.low:+.3f} to {gain.high:+.3f}, n = {gain.n}: {verdict}"
    )
    _timed([inputs for inputs, _ in cases], embedder, messages)


def _labelled(settings: Settings) -> list[tuple[UpsellInputs, tuple[str, ...]]]:
    """Return the customers of both sets for whom an offer is labelled, with the offers."""
    found = []
    for name in ("dev", "gate"):
        dataset = load_dataset(name, task="upsell", input_model=UpsellInputs, settings=settings)
        for case in dataset.cases:
            labels = labels_of(case)
            if labels.decision == "send" and labels.offers:
                found.append((UpsellInputs.model_validate(dict(case.inputs)), labels.offers))
    return found


def _past(inputs: UpsellInputs, offer_id: str, number: int) -> PastMessage:
    offer = next(one for one in inputs.open_offers() if one.id == offer_id)
    text = f"Hello {inputs.first_name}, {offer.name} is {offer.price}."
    return PastMessage.of(inputs, text, "bought", id=f"past-{number}")


def _index(past: list[PastMessage], embedder: Embedder) -> SimilarMessages:
    return SimilarMessages(past, embedder.embed([one.known for one in past]), embedder)


def _by_examples(inputs: UpsellInputs, examples: tuple[Example, ...]) -> str:
    """Return the open offer that most examples are about, of equals that of the nearest; without one the offer by words."""
    offers = sorted(inputs.open_offers(), key=lambda one: -len(one.name))
    named = [next((one.id for one in offers if one.name in example.message), None) for example in examples]
    votes = Counter(name for name in named if name is not None)
    return votes.most_common(1)[0][0] if votes else offer_by_words(inputs).id


def _timed(asked: list[UpsellInputs], embedder: Embedder, messages: int) -> None:
    """Search among made-up vectors of three tenants; the customers asked about are real cases, and are embedded each time."""
    tenants = sorted({inputs.tenant for inputs in asked})
    draws = np.random.default_rng(_SEED)
    vectors: Vectors = draws.normal(size=(messages, embedder.dimensions)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    first = min(inputs.as_of for inputs in asked)
    past = [
        PastMessage(
            id=f"m-{number}",
            tenant=tenants[number % len(tenants)],
            customer=account_hash(f"c-{number}"),
            approved_on=first - timedelta(days=1 + number % 300),
            known="house",
            message="Hello [name].",
            outcome="bought",
        )
        for number in range(messages)
    ]
    index = SimilarMessages(past, vectors, embedder)
    chance = random.Random(_SEED)
    searched = [chance.choice(asked) for _ in range(_SEARCHES)]

    def one(inputs: UpsellInputs) -> float:
        began = time.perf_counter()
        index.find(inputs)
        return 1000 * (time.perf_counter() - began)

    for at_once in (1, _IN_FLIGHT):
        cpu = time.process_time()
        with ThreadPoolExecutor(at_once) as threads:
            times = list(threads.map(one, searched[: _SEARCHES if at_once > 1 else _SEARCHES // 10]))
        p50, p95 = statistics.median(times), float(np.quantile(times, 0.95))
        say(f"{len(times)} searches among {messages}, {at_once} in flight: p50 {p50:.1f} ms, p95 {p95:.1f} ms")
        say(f"  CPU time of a search: {1000 * (time.process_time() - cpu) / len(times):.1f} ms")
