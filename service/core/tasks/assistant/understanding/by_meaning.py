"""Opens what guesses intents by meaning, where the extra `knowledge` is installed."""

from functools import lru_cache

from service.core.knowledge.installed import require_installed
from service.core.tasks.assistant.understanding.intents import GuessIntent
from service.core.unit.pair import Artifact, Pair
from service.core.unit.pair_file.artifacts import artifact_of
from service.kit.frame.errors import ConfigurationError, KnowledgeError, ModelUnusable

# What a pair that names no weights gets: for intents, and for trouble.
OWN_WEIGHTS = Artifact(
    name="intents",
    file="understanding/intent_weights.json",
    sha256="daefc328bd2250a6967ff34d9e6bc915b8a82bedeb76bc78a43b5aacd497ec94",
)
OWN_TROUBLE = Artifact(
    name="trouble",
    file="understanding/trouble_weights.json",
    sha256="405d4e058cdbac45df95097924c309c4a136c6500b9d48e3efeab418e267b108",
)


def guess_by_meaning(pair: Pair | None = None) -> GuessIntent:
    """Return the function that guesses by the weights of ``pair``, the same each time; its models are loaded first (0.6 s).

    Raises:
        ModelUnusable: the embedding model is not installed, its file has not been made, or the weights are for another one.
    """
    return guess_by_weights(*(artifact_of(pair, "assistant", own) for own in (OWN_WEIGHTS, OWN_TROUBLE)))


@lru_cache(maxsize=4)
def guess_by_weights(intents: bytes, trouble: bytes) -> GuessIntent:
    """Return the function that guesses by the weights in these bytes; see ``guess_by_meaning``."""
    try:
        require_installed()
        from service.core.knowledge.embedding import JoinedEmbedder
        from service.core.knowledge.minilm import MiniLM, graph_file
        from service.core.knowledge.multilingual import SentenceEncoder
        from service.core.tasks.assistant.understanding.classifier import (
            IntentClassifier,
            TroubleReader,
            read_weights,
        )
        from service.kit.settings import Settings

        folder = Settings().state_dir / "models"
        if not graph_file(folder).is_file():  # making it takes seconds, in which no other customer would be answered
            raise KnowledgeError("the embedding model's file is missing; make it: omni knowledge prepare")
        encoder = SentenceEncoder.open()
        both = JoinedEmbedder(MiniLM.open(folder), encoder)
        return IntentClassifier(read_weights(intents), both, TroubleReader(read_weights(trouble), encoder)).guess
    except (KnowledgeError, ConfigurationError) as err:
        raise ModelUnusable(f"intents cannot be told by meaning: {err}") from err
