"""/v1/forms: reads a tenant's forms, saves drafts and activates them as versions that never change.

The tenant is the one of the token's client.
"""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from service.api.answering import runtime_of
from service.api.examples import examples
from service.api.http.limits import Bounded
from service.api.http.problems import TENANT_RESPONSES, Codes, FieldProblem, message_of, problem, refused, refusing
from service.api.http.tenancy import tenant_of
from service.calls.store.form_store import FormChanged, FormHead, FormMissing, FormStore
from service.core.tasks.scorecard.form import MOST_SECTIONS, Form, Name, PassThreshold, Section, only_data
from service.kit.frame.display.inert import visible
from service.kit.frame.errors import StoreError
from service.kit.frame.strict import WHOLE_NUMBER

_CODES: Codes = {FormMissing: (404, "FORM_NOT_FOUND"), FormChanged: (409, "FORM_CHANGED")}
router = APIRouter(prefix="/v1/forms", tags=["forms"], route_class=refusing(_CODES))
_FormId = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,47}$")]
_Edit = Annotated[
    int,
    Field(ge=0, le=1_000_000_000, description="`edit` of the form as you read it; 0 for a new form"),
    WHOLE_NUMBER,
]
# Every JavaScript object has properties of these names: pages and programs that look up an id would find those.
_NO_IDS = frozenset({
    "constructor", "hasOwnProperty", "isPrototypeOf", "propertyIsEnumerable", "toLocaleString", "toString", "valueOf",
})  # fmt: skip
_MISSING = refused(404, "No such form, version or draft")
_CHANGED = refused(409, "The form was changed since `edit` was read")


class FormFacts(BaseModel):
    """One form in the list."""

    form_id: str
    name: str
    edit: int
    active_version: int | None
    draft_version: int | None


class FormList(BaseModel):
    """The tenant's forms, by id."""

    model_config = ConfigDict(json_schema_extra=examples("FormList"))

    tenant: str
    forms: list[FormFacts]


class FormAnswer(BaseModel):
    """A form's active version and draft; send ``edit`` with the next write."""

    model_config = ConfigDict(json_schema_extra=examples("FormAnswer"))

    form_id: str
    edit: int
    active: Form | None
    draft: Form | None


class DraftRequest(BaseModel):
    """A draft's content. The tenant comes from the token, the id from the path; activation assigns the version."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra=examples("DraftRequest"))

    edit: _Edit
    name: Name
    pass_threshold: PassThreshold
    sections: tuple[Section, ...] = Field(min_length=1, max_length=MOST_SECTIONS)


class ActivateRequest(BaseModel):
    """Activates the draft of the form's state ``edit``."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra=examples("ActivateRequest"))

    edit: _Edit


@router.get("", response_model=FormList, responses=TENANT_RESPONSES)
async def list_forms(request: Request) -> FormList:
    """Return the tenant's forms with their active and draft versions."""
    tenant = tenant_of(request)
    return FormList(tenant=tenant, forms=[_facts(head) for head in await _forms(request).heads(tenant)])


@router.get("/{form_id}", response_model=FormAnswer, responses={**TENANT_RESPONSES, **_MISSING})
async def get_form(
    form_id: _FormId, request: Request, version: Annotated[int | None, Query(ge=1, le=1_000_000)] = None
) -> FormAnswer:
    """Return a form's active version and draft; with ``version``, that version as ``active`` and no draft."""
    tenant, forms = tenant_of(request), _forms(request)
    head = await forms.head(tenant, form_id)
    if head.edit == 0:
        raise FormMissing(f"there is no form {form_id!r}")
    if version is None:
        return _answer(head)
    active = await forms.revision(tenant, form_id, version)
    return FormAnswer(form_id=form_id, edit=head.edit, active=active, draft=None)


@router.put("/{form_id}/draft", response_model=FormAnswer, responses={**TENANT_RESPONSES, **_CHANGED})
async def save_draft(form_id: _FormId, body: Bounded[DraftRequest], request: Request) -> FormAnswer | Response:
    """Write the form's draft. Calls are scored by the active version until the draft is activated.

    Each section and each criterion needs an id of its own, and a form has at most 40 criteria. ``applies_when`` of a criterion is
    data: tests in ``all``, ``any`` and ``none``; a sentence is accepted only where it stood before. A condition has at least one
    test; a figure has ``at_least`` or ``at_most``, in this order if both; each phrase holds a word; a criterion that is named
    stands in the form, and no criteria depend on each other in a circle. No id is the name of a property that every JavaScript
    object has, such as ``constructor``, and no text holds a character that is invisible or turns the text around it.
    """
    tenant = tenant_of(request)
    fields = body.model_dump(exclude={"edit"})
    try:
        draft = Form.model_validate({**fields, "form_id": form_id, "tenant": tenant, "version": 1})
    except ValidationError as err:  # rules of the whole form: duplicate ids, too many criteria
        errors = [
            FieldProblem(field=".".join(map(str, e["loc"])) or "sections", message=message_of(e)) for e in err.errors()
        ]
        detail = "; ".join(error.message for error in errors)
        return problem(request.state.request_id, status=422, code="INVALID_REQUEST", detail=detail, errors=errors)
    forms = _forms(request)
    head = await forms.head(tenant, form_id)
    try:
        _require_readable(draft)
        only_data(draft, head.active, head.draft)
    except ValueError as err:
        wrong = [FieldProblem(field="sections", message=str(err))]
        return problem(request.state.request_id, status=422, code="INVALID_REQUEST", detail=str(err), errors=wrong)
    return _answer(await forms.save_draft(draft, edit=body.edit, who=request.state.caller.client_id))


@router.post("/{form_id}/activate", response_model=FormAnswer, responses={**TENANT_RESPONSES, **_MISSING, **_CHANGED})
async def activate_form(form_id: _FormId, body: Bounded[ActivateRequest], request: Request) -> FormAnswer:
    """Make the draft the active version, which never changes afterwards."""
    tenant = tenant_of(request)
    who = request.state.caller.client_id
    return _answer(await _forms(request).activate(tenant, form_id, edit=body.edit, who=who))


def _require_readable(draft: Form) -> None:
    """Check what forms that were saved earlier may still hold: ids that programs confuse, and text that reads as another one.

    Raises:
        ValueError: the draft holds some.
    """
    ids = [draft.form_id, *(section.id for section in draft.sections), *(item.id for item in draft.criteria())]
    if taken := _NO_IDS.intersection(ids):
        raise ValueError(
            f"{min(taken)!r} is no id: every JavaScript object has a property of that name; choose another id"
        )
    text = draft.model_dump_json()
    if visible(text) != text:
        raise ValueError("the form's texts hold invisible characters, or some that turn text around; remove them")


def _forms(request: Request) -> FormStore:
    forms = runtime_of(request).calls.forms
    if forms is None:
        raise StoreError("this service keeps no forms: it has no AWS endpoint (locally: omni serve)")
    return forms


def _facts(head: FormHead) -> FormFacts:
    form = head.active or head.draft
    return FormFacts(
        form_id=head.form_id,
        name=form.name if form is not None else head.form_id,
        edit=head.edit,
        active_version=None if head.active is None else head.active.version,
        draft_version=None if head.draft is None else head.draft.version,
    )


def _answer(head: FormHead) -> FormAnswer:
    return FormAnswer(form_id=head.form_id, edit=head.edit, active=head.active, draft=head.draft)
