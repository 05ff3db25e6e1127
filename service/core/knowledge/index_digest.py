"""The digest of an index: what an attestation names, and what serving compares before it opens one."""

from collections.abc import Iterable

from service.core.knowledge.documents import Document
from service.core.knowledge.passages import Splitter
from service.kit.frame.canonical import canonical_json, sha256_hex

# Of the code that splits documents and ranks passages: raise it when the same documents would be found differently.
METHOD = 1


def index_digest(documents: Iterable[Document], splitter: Splitter, embedder_digest: str) -> str:
    """Return SHA-256 over all documents (their order has no say), the splitter's settings and the embedding model."""
    contents = sorted(sha256_hex(canonical_json(document.model_dump())) for document in documents)
    named = {"method": METHOD, "documents": contents, "splitter": splitter.model_dump(), "embedder": embedder_digest}
    return sha256_hex(canonical_json(named))
