"""Errors as RFC 9457 problem bodies: a code for programs and a sentence for people, without customer text or sent values."""

import re
from collections.abc import Callable, Coroutine, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException
from starlette.routing import Match

from service.api.examples import examples
from service.core.run.task import TaskResult
from service.kit.frame.errors import FailureCode, ServiceError
from service.kit.frame.strict import parse_json
from service.kit.telemetry.log import Event, log

HTTP_STATUS: Mapping[FailureCode, int] = {
    FailureCode.QUOTA_EXCEEDED: 429,
    FailureCode.INSUFFICIENT_CONTENT: 422,
    FailureCode.FAILED_SAFETY_GUIDELINES: 502,
    FailureCode.OUTPUT_INVALID: 502,
    FailureCode.DEADLINE: 504,
    FailureCode.UPSTREAM_UNAVAILABLE: 503,
    FailureCode.INTERNAL_ERROR: 500,
}
# By code: the status, an example of the detail, further fields, and the title where it is not the code in words.
PROBLEMS: Mapping[str, Mapping[str, Any]] = parse_json(
    Path(__file__).with_name("problems.json").read_text(encoding="utf-8")
)
_MOST_ERRORS = 20  # of one answer
_LONGEST_NAME = 64
# A path on this machine's disk; the paths of our own endpoints stay.
_PATH = re.compile(
    r"(?<![\w:/.])(?:sqlite:///)?/(?!(?:v1|oauth|dashboards|docs|\.well-known)/)(?:[\w.@+~-]+/)+[\w.@+~-]*"
)
RETRY_AFTER_S = 2  # of every 503: the registry is asked again after 5 s, a store within one
_PROBLEM_REF = {"$ref": "#/components/schemas/Problem"}


class FieldProblem(BaseModel):
    """One invalid field of a request, by its path."""

    field: str
    message: str


class Problem(BaseModel):
    """The body of every error, RFC 9457, media type ``application/problem+json``."""

    model_config = ConfigDict(json_schema_extra=examples("Problem"))

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    errors: list[FieldProblem] | None = None
    request_ids: list[str] | None = None


class ProblemResponse(JSONResponse):
    """JSON under the problem media type."""

    media_type = "application/problem+json"


class TaskFailedError(ServiceError):
    """A task's result without output, to be answered with a problem body."""

    def __init__(self, result: TaskResult) -> None:
        assert result.failure is not None
        super().__init__(result.failure_message)
        self.failure = result.failure
        self.result = result


# For the OpenAPI document; FastAPI's own 422 model would be wrong.
Responses = dict[int | str, dict[str, Any]]
Codes = Mapping[type[Exception], tuple[int, str]]  # status and code of errors that an operation refuses with
RESPONSES: Responses = {
    status: {"model": Problem, "description": description}
    for status, description in (
        (422, "The request is not valid"),
        (429, "The model provider throttles us"),
        (500, "Unexpected error in the service"),
        (502, "The model gave no answer that may be shown"),
        (503, "No pair to serve, or a system behind this service does not answer"),
        (504, "No answer within the time budget"),
    )
}


# Of every operation that reads or writes a store.
STORE_RESPONSES: Responses = {status: RESPONSES[status] for status in (422, 500, 503)}


def refused(status: int, description: str) -> Responses:
    """Return, for the OpenAPI document, a refusal that an operation answers with."""
    return {status: {"model": Problem, "description": description}}


TENANT_RESPONSES: Responses = {**refused(403, "The client belongs to no tenant"), **STORE_RESPONSES}


def refusing(codes: Codes) -> type[APIRoute]:
    """Return the class of routes that answer these errors with problem bodies of a status and code, without logging them."""

    class RefusingRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handler = super().get_route_handler()

            async def handle(request: Request) -> Response:
                try:
                    return await handler(request)
                except tuple(codes) as err:
                    return refusal(err, codes, _request_id(request))

            return handle

    return RefusingRoute


def refusal(err: Exception, codes: Codes, request_id: str) -> "ProblemResponse":
    """Return the response for an error of one of these classes."""
    status, code = next(codes[kind] for kind in type(err).__mro__ if kind in codes)
    return problem(request_id, status=status, code=code, detail=str(err))


def with_problem_media_type(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the OpenAPI document with ``application/problem+json`` for problem bodies; FastAPI writes ``application/json``."""
    for operations in schema["paths"].values():
        for operation in operations.values():
            for response in operation["responses"].values():
                content = response.get("content", {})
                if content.get("application/json", {}).get("schema") == _PROBLEM_REF:
                    content["application/problem+json"] = content.pop("application/json")
    return schema


def title_of(code: str) -> str:
    """Return a problem's title, the same for every problem of one code."""
    return str(PROBLEMS.get(code, {}).get("title", code.replace("_", " ").capitalize()))


def problem(
    request_id: str,
    *,
    status: int,
    code: str,
    detail: str,
    errors: list[FieldProblem] | None = None,
    request_ids: list[str] | None = None,
) -> ProblemResponse:
    """Return the response for one error; ``code`` determines its type and title."""
    body = Problem(
        type=f"urn:problem:{code.lower().replace('_', '-')}",
        title=title_of(code),
        status=status,
        detail=detail,
        code=code,
        request_id=request_id,
        errors=errors,
        request_ids=request_ids,
    )
    headers = {"Retry-After": str(RETRY_AFTER_S)} if status == HTTPStatus.SERVICE_UNAVAILABLE else None
    return ProblemResponse(body.model_dump(exclude_none=True), status_code=status, headers=headers)


def problem_of(err: ServiceError, request_id: str) -> ProblemResponse:
    """Log one of the service's own errors and return the response for it."""
    code, status = err.code, err.status
    if isinstance(err, TaskFailedError):
        code, status = err.failure, HTTP_STATUS[err.failure]
    log(Event.REQUEST_FAILED, failure_code=code.value, status=status, error=type(err).__name__)
    return problem(request_id, status=status, code=code.value, detail=without_paths(str(err)))


def without_paths(text: str) -> str:
    """Return ``text`` with the names of this machine's files only: callers need no folders of ours."""
    return _PATH.sub(lambda found: found[0].rpartition("/")[2], text)


def add_problem_handlers(app: FastAPI) -> None:
    """Answer the service's own errors, validation errors and unknown paths with problem bodies."""
    app.add_exception_handler(ServiceError, _on_service_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(HTTPException, _on_http_exception)


def _request_id(request: Request) -> str:
    return str(getattr(request.state, "request_id", "none"))


async def _on_service_error(request: Request, err: Exception) -> ProblemResponse:
    assert isinstance(err, ServiceError)
    return problem_of(err, _request_id(request))


async def _on_invalid_request(request: Request, err: Exception) -> ProblemResponse:
    assert isinstance(err, RequestValidationError)
    found = err.errors()
    errors = [FieldProblem(field=_field(item["loc"]), message=message_of(item)) for item in found[:_MOST_ERRORS]]
    log(Event.REQUEST_FAILED, failure_code="INVALID_REQUEST", status=422, wrong_fields=len(found))
    more = f", and {len(found) - len(errors)} more" if len(found) > len(errors) else ""
    detail = f"{_named(found[:_MOST_ERRORS])}{more}"
    return problem(_request_id(request), status=422, code="INVALID_REQUEST", detail=detail, errors=errors)


def _named(errors: Sequence[Mapping[str, Any]]) -> str:
    """Return the fields that are missing, then those that are wrong or unknown, each once."""
    fields: dict[str, dict[str, None]] = {"missing": {}, "wrong or unknown": {}}
    for error in errors:
        name = _field(error["loc"])
        # A body that is not there at all is no field that was forgotten.
        said = "missing" if error["type"] == "missing" and name != "body" else "wrong or unknown"
        fields[said][name] = None
    return "; ".join(f"{said}: {', '.join(names)}" for said, names in fields.items() if names)


def _field(location: tuple[Any, ...]) -> str:
    parts = [str(part) for part in location if part != "body"]
    return (".".join(parts) or "body")[:_LONGEST_NAME]


def message_of(error: Mapping[str, Any]) -> str:
    """Return the sentence of one of pydantic's errors."""
    if error["type"] == "json_invalid":
        return "the body is not valid JSON"
    if error["type"] == "extra_forbidden":
        return "unknown field; remove it"
    return str(error["msg"]).removeprefix("Value error, ")  # pydantic's prefix for errors of our validators


async def _on_http_exception(request: Request, err: Exception) -> ProblemResponse:
    assert isinstance(err, HTTPException)
    if err.status_code == HTTPStatus.BAD_REQUEST:
        # FastAPI answers 400 for JSON that Python cannot parse, such as a number of 5,000 digits; we answer 422.
        body = [FieldProblem(field="body", message="the body is not valid JSON")]
        log(Event.REQUEST_FAILED, failure_code="INVALID_REQUEST", status=422, wrong_fields=1)
        return problem(
            _request_id(request), status=422, code="INVALID_REQUEST", detail="wrong or unknown: body", errors=body
        )
    code = HTTPStatus(err.status_code).name
    answer = problem(_request_id(request), status=err.status_code, code=code, detail=str(err.detail))
    answer.headers.update(err.headers or {})
    if err.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        # Starlette names the methods of the first route with this path only; each method of ours is a route of its own.
        answer.headers["Allow"] = ", ".join(_methods_of(request))
    return answer


def _methods_of(request: Request) -> list[str]:
    routes = request.app.router.routes
    return [
        method
        for method in ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")
        if any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in routes)
    ]
