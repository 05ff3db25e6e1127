"""A tenant's forms: how they stand, how they change, and the port to whatever keeps them."""

from dataclasses import dataclass
from typing import Protocol

from service.tasks.scorecard.form import Form


class FormChanged(Exception):
    """Somebody else wrote the form since it was read; read it again."""


class FormMissing(Exception):
    """The tenant has no such form, version or draft."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FormHead:
    """A form as it stands. ``edit`` counts its writes; 0 is a form that is not there yet. ``latest`` is the newest version."""

    form_id: str
    edit: int
    latest: int
    active: Form | None
    draft: Form | None


class Forms(Protocol):
    """The port that the endpoints and the pipeline talk to; every method is about one tenant."""

    async def known(self, tenant: str) -> bool:
        """Return whether there is such a tenant."""
        ...

    async def heads(self, tenant: str) -> list[FormHead]:
        """Return the tenant's forms by id."""
        ...

    async def head(self, tenant: str, form_id: str) -> FormHead:
        """Return one form; ``edit`` 0 when it is not there."""
        ...

    async def revision(self, tenant: str, form_id: str, version: int) -> Form:
        """Return a version that is or was active.

        Raises:
            FormMissing: there is none.
        """
        ...

    async def save_draft(self, draft: Form, *, edit: int, who: str) -> FormHead:
        """Put ``draft`` in place of the form's draft, as its next version; ``edit`` is the count that was read.

        Raises:
            FormChanged: it is another one by now.
        """
        ...

    async def activate(self, tenant: str, form_id: str, *, edit: int, who: str) -> FormHead:
        """Make the draft a version that never changes, and the active one.

        Raises:
            FormChanged: the form was written since ``edit``.
            FormMissing: there is no draft.
        """
        ...
