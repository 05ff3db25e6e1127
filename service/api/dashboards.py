"""GET /v1/dashboards: R-DASHBOARDS' three dashboards as JSON, read from the warehouse, and the page that draws them."""

from collections.abc import Sequence
from datetime import date
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from service.access.errors import AccessDeniedError, ScopeMissing
from service.access.sessions import COOKIE, Session, Sessions
from service.api.answering import runtime_of
from service.api.assets import ASSETS, add_page, shown
from service.api.examples import examples
from service.api.http.problems import Codes, problem, refused, refusing
from service.dashboards.definitions import DEFAULT_TASK, ChartKind, MeasureUnit, Visual, load_dashboards
from service.dashboards.errors import AskedInvalid, WarehouseUnreadable
from service.dashboards.figures import FigureRow
from service.dashboards.reader import Asked, DashboardData
from service.kit.frame.strict import IsoDay
from service.kit.telemetry.log import Event, log

_CODES: Codes = {AskedInvalid: (422, "INVALID_REQUEST")}
router = APIRouter(tags=["operator"], route_class=refusing(_CODES))
_COOKIE_PATH = "/v1/dashboards"  # browsers send the cookie to these paths only
_NO_STORE = {"Cache-Control": "no-store"}


class _Shown(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DashboardName(_Shown):
    """A dashboard's name, title and question."""

    model_config = ConfigDict(json_schema_extra=examples("DashboardName"))

    name: str
    title: str
    question: str


class DashboardList(_Shown):
    """All dashboards, in the order of R-DASHBOARDS."""

    dashboards: list[DashboardName]


class ShownTarget(_Shown):
    """A required or agreed bound, and on which side of it a figure meets it."""

    at: float
    better: Literal["below", "above"]
    label: str


class ShownMeasure(_Shown):
    """A measure's name, label, unit and target; rates are fractions from 0 to 1."""

    name: str
    label: str
    unit: MeasureUnit
    target: ShownTarget | None


class ShownFigure(_Shown):
    """A value with its 95% interval (``low``, ``high``); ``small``: too few cases for a conclusion."""

    value: float | None
    low: float | None
    high: float | None
    n: int | None
    small: bool


class ShownRow(_Shown):
    """The figures of one day, pair or other key; None is the whole range. ``column`` is the second key of a heatmap's."""

    key: str | None
    column: str | None = None
    figures: dict[str, ShownFigure]


class ShownVisual(_Shown):
    """One chart, or one row of numbers."""

    name: str
    title: str
    question: str
    kind: ChartKind
    by: str | None
    by_label: str
    across_by: str | None = None
    across_label: str = ""
    scale: Literal["linear", "log"]
    restarts: Literal["month"] | None
    measures: list[ShownMeasure]
    rows: list[ShownRow]


class WarehouseFacts(_Shown):
    """The task's first and last day, number of answers and pairs, independent of the requested range; and all tasks."""

    oldest: date | None
    newest: date | None
    newest_at: str | None
    answers: int
    pairs: list[str]
    tasks: list[str] = Field(description="All tasks with answers, most answers first")


class DashboardAnswer(_Shown):
    """A dashboard's figures. ``age_s`` is their age, up to 30 seconds: they are cached for all operators.

    ``simulated``: they are of simulated weeks, whose customers and agents are invented.
    """

    model_config = ConfigDict(json_schema_extra=examples("DashboardAnswer"), populate_by_name=True)

    name: str
    title: str
    question: str
    from_day: date | None = Field(alias="from")
    to_day: date | None = Field(alias="to")
    task: str | None = Field(description="Whose figures these are; null if the warehouse holds no answers")
    pair: str | None
    simulated: bool
    warehouse: WarehouseFacts
    age_s: float
    visuals: list[ShownVisual]


class LinkAnswer(_Shown):
    """A path that opens the page once, within ``expires_in`` seconds."""

    model_config = ConfigDict(json_schema_extra=examples("LinkAnswer"))

    path: str
    expires_in: int


class SessionRequest(BaseModel):
    """Opens a session with the code of a link or with an operator's token."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=examples("SessionRequest"))

    code: str | None = Field(default=None, max_length=2048)
    token: str | None = Field(default=None, max_length=2048)


class SessionAnswer(_Shown):
    """The session's lifetime in seconds."""

    model_config = ConfigDict(json_schema_extra=examples("SessionAnswer"))

    expires_in: int


_UNREADABLE = {
    **refused(422, "The date range, the pair or the task is not valid"),
    **refused(503, "The warehouse is missing, locked or not installed; the detail says what to do"),
}
_NO_SUCH = refused(404, "There is no such dashboard")


@router.get("/v1/dashboards", responses=refused(422, "The task is not valid"))
async def dashboards(
    task: Annotated[str, Query(max_length=64, description="Whose outputs the titles name")] = DEFAULT_TASK,
) -> DashboardList:
    """List the dashboards."""
    found = (dashboard.of(task) for dashboard in load_dashboards().values())
    return DashboardList(dashboards=[DashboardName(name=d.name, title=d.title, question=d.question) for d in found])


@router.get("/v1/dashboards/{name}", response_model=DashboardAnswer, responses={**_NO_SUCH, **_UNREADABLE})
async def dashboard(
    request: Request,
    response: Response,
    name: str,
    from_day: Annotated[
        IsoDay | None, Query(alias="from", description="First day (UTC); four weeks before `to` by default")
    ] = None,
    to_day: Annotated[
        IsoDay | None, Query(alias="to", description="Last day (UTC); the newest in the warehouse by default")
    ] = None,
    pair: Annotated[str | None, Query(max_length=64, description="One pair; all pairs by default")] = None,
    task: Annotated[
        str | None, Query(max_length=64, description="The task; by default the one with most answers")
    ] = None,
) -> Any:
    """Return one task's figures of a dashboard, each with n and interval; they are at most 30 seconds old.

    `from` must not be after `to`, and the range may hold 731 days at most. `task` must have answers in the warehouse.
    """
    response.headers.update(_NO_STORE)
    runtime, known = runtime_of(request), load_dashboards().get(name)
    if known is None:
        detail = f"there is no such dashboard; there are {', '.join(load_dashboards())}"
        return problem(request.state.request_id, status=404, code="NOT_FOUND", detail=detail)
    if runtime.dashboards is None:
        raise WarehouseUnreadable("this service was built without a warehouse")
    asked = Asked(from_day=from_day, to_day=to_day, pair=pair or None, task=task or None)
    data = await runtime.dashboards.read(known, asked)
    return answer_of(data, runtime.dashboards.age_s(data.read_at), simulated=runtime.settings.simulated)


def answer_of(data: DashboardData, age_s: float, *, simulated: bool) -> DashboardAnswer:
    """Return the response body for ``data``."""
    defined = data.dashboard
    return DashboardAnswer(
        name=defined.name,
        title=defined.title,
        question=defined.question,
        from_day=data.from_day,
        to_day=data.to_day,
        task=data.task,
        pair=data.pair,
        simulated=simulated,
        warehouse=WarehouseFacts.model_validate(data.coverage, from_attributes=True),
        age_s=round(age_s, 1),
        visuals=[visual_of(visual, data.rows[visual.name]) for visual in defined.visuals],
    )


def visual_of(visual: Visual, found: Sequence[FigureRow]) -> ShownVisual:
    """Return a visual with its figures as it is shown."""
    said = {name: getattr(visual, name) for name in ShownVisual.model_fields if name != "rows"}
    return ShownVisual.model_validate(said | {"rows": found}, from_attributes=True)


_files = APIRouter(include_in_schema=False)  # the page holds no figures and fetches them with the session's cookie
add_page(_files, "dashboards")
for _name in ASSETS["dashboards"]:
    _files.add_api_route(f"/dashboards/{_name}", partial(shown, _name))
router.include_router(_files)


@router.post("/dashboards/link")
async def link(request: Request, response: Response) -> LinkAnswer:
    """Return a path that opens the page in a browser, once, within two minutes; for `omni dashboards`."""
    response.headers.update(_NO_STORE)
    access = runtime_of(request).access
    if access is None:  # without access control the page needs no session
        return LinkAnswer(path="/dashboards", expires_in=0)
    token = access.sessions.link(request.state.caller)
    # In the fragment (after #): browsers do not send it to a server, so no access log holds it.
    return LinkAnswer(path=f"/dashboards#code={token.text}", expires_in=token.expires_in_s)


_SESSION_PROBLEMS = {
    **refused(401, "The link or the token is not valid"),
    **refused(403, "Not an operator's, or the request comes from another site"),
    **refused(422, "The request is not valid"),
}


@router.post("/dashboards/session", response_model=SessionAnswer, responses=_SESSION_PROBLEMS)
async def open_session(given: SessionRequest, request: Request, response: Response) -> Any:
    """Exchange the code of a link, or an operator's token, for a cookie that can only read dashboards."""
    access, request_id = runtime_of(request).access, request.state.request_id
    if _from_elsewhere(request):
        return problem(request_id, status=403, code="FORBIDDEN", detail="another site asked for this session")
    if access is None:
        return problem(
            request_id, status=401, code="UNAUTHORIZED", detail="no session is needed: access control is off"
        )
    try:
        session = await _session(access.sessions, given)
    except AccessDeniedError as err:
        status = 403 if isinstance(err, ScopeMissing) else 401
        code = "FORBIDDEN" if status == 403 else "UNAUTHORIZED"
        log(Event.ACCESS_DENIED, status=status, denied=code, path="/dashboards/session")
        answer = problem(request_id, status=status, code=code, detail=str(err))
        answer.headers.update(_NO_STORE)
        return answer
    log(Event.SESSION_OPENED, client=session.client_id)
    response.headers.update(_NO_STORE)
    _set_cookie(response, request, session.text, session.expires_in_s)
    return SessionAnswer(expires_in=session.expires_in_s)


@router.delete("/dashboards/session", status_code=204, response_class=Response, responses={403: _SESSION_PROBLEMS[403]})
async def close_session(request: Request) -> Response:
    """Delete the session's cookie."""
    if _from_elsewhere(request):
        return problem(request.state.request_id, status=403, code="FORBIDDEN", detail="another site asked for this")
    response = Response(status_code=204, headers=_NO_STORE)
    _set_cookie(response, request, "", 0)
    return response


async def _session(sessions: Sessions, given: SessionRequest) -> Session:
    if given.code is not None and given.token is None:
        return await sessions.from_link(given.code)
    return sessions.from_token(given.token or "")


def _from_elsewhere(request: Request) -> bool:
    # Current browsers send Sec-Fetch-Site; other programs do not, and have no cookie to protect.
    return request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none")


def _set_cookie(response: Response, request: Request, value: str, lifetime_s: int) -> None:
    response.set_cookie(
        COOKIE,
        value,
        max_age=lifetime_s,
        path=_COOKIE_PATH,
        httponly=True,
        samesite="strict",
        # In `local` the page is served over plain HTTP on loopback.
        secure=runtime_of(request).settings.environment == "aws",
    )
