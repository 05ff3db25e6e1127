"""Opens what guesses intents by meaning, where the extra `knowledge` is installed."""

from functools import cache

from service.core.knowledge.installed import require_installed
from service.core.tasks.assistant.understanding.intents import GuessIntent
from service.kit.frame.errors import ConfigurationError, KnowledgeError, ModelUnusable


@cache
def guess_by_meaning() -> GuessIntent:
    """Return the function that guesses, the same in the whole process; its model is loaded at the first call (0.3 s).

    Raises:
        ModelUnusable: the embedding model is not installed, its file has not been made, or the weights are for another one.
    """
    try:
        require_installed()
        from service.core.knowledge.minilm import MiniLM, graph_file
        from service.core.tasks.assistant.understanding.classifier import IntentClassifier, read_weights
        from service.kit.settings import Settings

        folder = Settings().state_dir / "models"
        if not graph_file(folder).is_file():  # making it takes seconds, in which no other customer would be answered
            raise KnowledgeError("the embedding model's file is missing; make it: omni knowledge prepare")
        return IntentClassifier(read_weights(), MiniLM.open(folder)).guess
    except (KnowledgeError, ConfigurationError) as err:
        raise ModelUnusable(f"intents cannot be told by meaning: {err}") from err
