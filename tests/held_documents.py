"""Stand-ins for indexes of documents: by digest, each with one passage."""

from service.core.knowledge.search import FoundPassage
from service.core.unit.pair_file.declared_tools import declared_tools
from service.kit.frame.errors import KnowledgeError

FIRST, SECOND = "a" * 64, "b" * 64


class Passages:
    """Finds one passage, and remembers what it was asked."""

    def __init__(self, digest):
        self.digest, self.asked = digest, []

    def search(self, query, *, limit=10, where=None):
        self.asked.append((query, limit, where))
        return (
            FoundPassage(
                passage_id="fees#1",
                document_id="fees",
                version="2",
                title="Fees",
                headings=(),
                text=f"from {self.digest}",
                score=1.0,
                word_rank=1,
                meaning_rank=1,
            ),
        )


class Indexes:
    """Has indexes, or the errors that opening them raises, by digest."""

    def __init__(self, held=None):
        self.held = dict(held or {})

    def opened(self, digest):
        found = self.held.get(digest, KnowledgeError("index.sqlite has the digest 999"))
        if isinstance(found, Exception):
            raise found
        return found


def holding(*digests):
    return Indexes({digest: Passages(digest) for digest in digests})


def searching(digest, **more):
    """The tools of a pair that searches the index with this digest."""
    return declared_tools({"search_documents": {"description": "Search our pages.", "documents": digest, **more}})
