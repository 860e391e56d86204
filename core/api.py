"""The Embody wire family: parsing, rendering and the shape of refusals, in one place."""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar, TypeVar

import structlog
from django.core.exceptions import RequestDataTooBig
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotFound, HttpResponseServerError
from django.template import loader
from pydantic import BaseModel, ValidationError
from pydantic_core import to_json
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import MethodNotAllowed, NotAuthenticated, PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core.errors import DomainError, Invalid
from core.middleware import is_api
from core.rendering import AlwaysJson, WireRenderer
from core.wire import Problem, problems, value_problem

log = structlog.get_logger(__name__)

MAX_BODY_BYTES = 2 * 1024 * 1024
MAX_DRAINED_BYTES = 16 * 1024 * 1024
MAX_NUMBER_DIGITS = 2_000
Model = TypeVar("Model", bound=BaseModel)


class BodyTooLarge(DomainError):
    code, status, detail = "body_too_large", 413, "Request body too large"


# --- Parsing --------------------------------------------------------------------------------------


def read_body(meta: Mapping[str, Any]) -> bytes:
    """Read a request body from a WSGI environ, at most 2 MiB of it.

    A body sent in chunks has no length beforehand, so one byte more than the cap is asked for.

    :raises BodyTooLarge: the body is longer than 2 MiB.
    """
    announced = str(meta.get("CONTENT_LENGTH") or "")
    if not announced:
        chunked = "chunked" in str(meta.get("HTTP_TRANSFER_ENCODING", "")).lower()
        length = MAX_BODY_BYTES + 1 if chunked else 0
    elif not announced.isdecimal():
        length = 0
    elif len(announced) > 10 or int(announced) > MAX_BODY_BYTES:
        _drain(meta["wsgi.input"], announced)
        raise BodyTooLarge
    else:
        length = int(announced)
    body: bytes = meta["wsgi.input"].read(length) if length else b""
    if len(body) > MAX_BODY_BYTES:
        raise BodyTooLarge
    return body


def _drain(body: Any, announced: str) -> None:
    """Read a body that is somewhat too long to its end, so that the connection can be used again.

    What is announced as larger still is left unread: the connection is lost, and cheaply.
    """
    left = int(announced) if len(announced) <= 10 else 0
    if left > MAX_DRAINED_BYTES:
        return
    while left > 0 and (chunk := body.read(min(left, 64 * 1024))):
        left -= len(chunk)


def is_json(meta: Mapping[str, Any]) -> bool:
    """Whether a body is announced as JSON; a client that announces nothing means JSON."""
    content_type = str(meta.get("CONTENT_TYPE", "")).partition(";")[0].strip().lower()
    kind, _, subtype = content_type.partition("/")
    return not content_type or (kind == "application" and (subtype == "json" or subtype.endswith("+json")))


def require_json(meta: Mapping[str, Any], body: bytes) -> None:
    """Refuse a missing body, and one whose content type is not JSON.

    :raises Invalid: in the contract's words.
    """
    if not body:
        raise Invalid([{"type": "missing", "loc": ["body"], "msg": "Field required"}])
    if not is_json(meta):
        raise Invalid([NOT_AN_OBJECT])


NOT_AN_OBJECT: Problem = {
    "type": "model_attributes_type",
    "loc": ["body"],
    "msg": "Input should be a valid dictionary or object to extract fields from",
}


def _number(text: str) -> Decimal:
    """A JSON number with a point or an exponent, of a size that is safe to convert.

    An exponent beyond 2000 either way is far outside every range we accept, so it is cut there: the
    number stays too large, or too fine, without a number of a million digits ever being written out.
    """
    mantissa, _, exponent = text.lower().partition("e")
    if len(mantissa) > MAX_NUMBER_DIGITS:
        raise ValueError("too many digits")
    power = max(-MAX_NUMBER_DIGITS, min(MAX_NUMBER_DIGITS, int(exponent or 0)))
    return Decimal(f"{mantissa}E{power}")


def parse_json(body: bytes) -> Any:
    """Parse JSON exactly: a number with a point becomes a Decimal, never a binary float.

    :raises Invalid: `json_invalid`, with the offset of the problem.
    """
    try:
        return json.loads(body, parse_float=_number)
    except json.JSONDecodeError as error:
        offset, reason = error.pos, error.msg
    except UnicodeDecodeError as error:
        offset, reason = error.start, "not valid UTF-8"
    except RecursionError:
        offset, reason = 0, "nested too deeply"
    except ValueError:
        offset, reason = 0, "a number has too many digits"
    raise Invalid([{"type": "json_invalid", "loc": ["body", offset], "msg": f"JSON decode error: {reason}"}])


def parse_body(model: type[Model], meta: Mapping[str, Any], body: bytes) -> Model:
    """Validate a JSON body.

    :raises Invalid: with every problem found.
    """
    require_json(meta, body)
    data = parse_json(body)
    if not isinstance(data, dict):
        raise Invalid([NOT_AN_OBJECT])
    return _validated(model, data)


def _validated(model: type[Model], data: dict[str, Any]) -> Model:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise Invalid(problems(error, "body")) from None


def refuse_nul(path_parameters: Mapping[str, Any]) -> None:
    """Path parameters are strings like any other.

    :raises Invalid: one of them contains U+0000.
    """
    found = [
        value_problem("null characters are not allowed", "path", name)
        for name, value in path_parameters.items()
        if "\x00" in str(value)
    ]
    if found:
        raise Invalid(found)


# --- Rendering ------------------------------------------------------------------------------------


def refusal_body(refusal: DomainError) -> dict[str, Any]:
    """`{"detail": ...}`: a sentence, or the list of problems."""
    return {"detail": refusal.problems if isinstance(refusal, Invalid) else refusal.detail}


def refusal_headers(refusal: DomainError) -> dict[str, str]:
    return {"WWW-Authenticate": "Bearer"} if refusal.status == 401 else {}


def handle_exception(error: Exception, context: Mapping[str, Any]) -> Response | None:
    """Turn what a view raised into the family's answer; None lets an unforeseen error rise."""
    if isinstance(error, DomainError):
        return Response(refusal_body(error), error.status, headers=refusal_headers(error))
    if isinstance(error, MethodNotAllowed):
        return Response({"detail": "Method Not Allowed"}, 405)
    if isinstance(error, Http404):
        return Response({"detail": "Not Found"}, 404)
    if isinstance(error, RequestDataTooBig):
        return Response({"detail": BodyTooLarge.detail}, 413)
    if isinstance(error, NotAuthenticated | PermissionDenied):
        # Only the pages that describe the API ask for a staff login.
        return Response({"detail": "Staff login required"}, 401, headers={"WWW-Authenticate": "Session"})
    return None


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """What Django itself refuses to read, such as a query string of thousands of parameters."""
    return HttpResponse(to_json({"detail": "Bad Request"}), "application/json", 400)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Unknown routes: JSON for programs, a page for people."""
    if is_api(request) or not request.path_info.startswith("/admin"):
        return HttpResponse(to_json({"detail": "Not Found"}), "application/json", 404)
    return HttpResponseNotFound(loader.get_template("404.html").render({}, request))


def server_error(request: HttpRequest) -> HttpResponse:
    """Unforeseen failures: logged where they rose, told without detail."""
    if is_api(request) or not request.path_info.startswith("/admin"):
        return HttpResponse(to_json({"detail": "Internal Server Error"}), "application/json", 500)
    return HttpResponseServerError(loader.get_template("500.html").render({}))


# --- Views ----------------------------------------------------------------------------------------


class EmbodyView(APIView):
    """Base of the Embody endpoints.

    `access` names the access class per method; a method without one is open. The order of checks is the
    contract's: method, authentication, JSON and schema, and what the service decides.
    """

    renderer_classes = [WireRenderer]
    content_negotiation_class = AlwaysJson
    http_method_names = ["get", "post", "put", "patch", "delete", "head"]
    access: ClassVar[Mapping[str, type[BaseAuthentication]]] = {}

    def get_authenticators(self) -> list[BaseAuthentication]:
        # Whoever describes the API prepares a view before there is a request.
        request: HttpRequest | None = self.request
        if request is None:
            return []
        method = "GET" if request.method == "HEAD" else str(request.method)
        return [self.access[method]()] if method in self.access else []

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        if str(request.method).lower() not in self.http_method_names or not hasattr(
            self, str(request.method).lower()
        ):
            raise MethodNotAllowed(str(request.method))
        super().initial(request, *args, **kwargs)
        refuse_nul(kwargs)

    def body(self, model: type[Model]) -> Model:
        """The validated JSON body.

        :raises Invalid: 422 with every problem.
        """
        return parse_body(model, self.request.META, read_body(self.request.META))

    def optional_body(self, model: type[Model]) -> Model:
        """For calls that need no body: one that is a JSON object is validated, anything else is ignored.

        :raises Invalid: 422 with every problem of the object.
        """
        body = read_body(self.request.META)
        try:
            data = parse_json(body) if body and is_json(self.request.META) else {}
        except Invalid:
            data = {}
        return _validated(model, data if isinstance(data, dict) else {})

    def query(self, model: type[Model]) -> Model:
        """The validated query parameters; of a repeated one the last counts.

        :raises Invalid: 422 with every problem.
        """
        try:
            return model.model_validate(dict(self.request.GET.items()))
        except ValidationError as error:
            raise Invalid(problems(error, "query")) from None
