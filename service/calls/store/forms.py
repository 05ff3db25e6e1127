"""A tenant's forms: their head (draft and active version) and the port to their store."""

from dataclasses import dataclass
from typing import Protocol

from service.core.tasks.scorecard.form import Form


class FormChanged(Exception):
    """The form was changed since it was read; read it again."""


class FormMissing(Exception):
    """The tenant has no such form, version or draft."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FormHead:
    """A form's state. ``edit`` counts its writes; 0 means that it does not exist. ``latest`` is the newest version."""

    form_id: str
    edit: int
    latest: int
    active: Form | None
    draft: Form | None


class Forms(Protocol):
    """The port to the form store, for the endpoints and the call pipeline; every method is about one tenant."""

    async def known(self, tenant: str) -> bool:
        """Return whether the tenant exists and is not being deleted."""
        ...

    async def heads(self, tenant: str) -> list[FormHead]:
        """Return the tenant's forms by id."""
        ...

    async def head(self, tenant: str, form_id: str) -> FormHead:
        """Return one form; its ``edit`` is 0 when it does not exist."""
        ...

    async def revision(self, tenant: str, form_id: str, version: int) -> Form:
        """Return a version that is or was active.

        Raises:
            FormMissing: there is no such version.
        """
        ...

    async def save_draft(self, draft: Form, *, edit: int, who: str) -> FormHead:
        """Replace the form's draft with ``draft``, as its next version; ``edit`` is the edit count that was read.

        Raises:
            FormChanged: the edit count has changed.
        """
        ...

    async def activate(self, tenant: str, form_id: str, *, edit: int, who: str) -> FormHead:
        """Turn the draft into an immutable version and make it the active one.

        Raises:
            FormChanged: the form was written since ``edit``.
            FormMissing: there is no draft.
        """
        ...
