"""How the API describes itself: wire models, access classes and refusals, as OpenAPI."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from drf_spectacular.contrib.pydantic import PydanticExtension
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ResolvedComponent
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from pydantic import BaseModel
from pydantic.json_schema import model_json_schema

from core.access import AccessClass
from core.errors import DomainError
from core.wire import Input, Output, Problems, Refusal

View = TypeVar("View", bound=Callable[..., Any])


def operation(
    operation_id: str,
    *,
    tag: str,
    summary: str,
    answers: type[Output],
    takes: type[BaseModel] | None = None,
    query: type[Input] | None = None,
    refusals: Iterable[type[DomainError]] = (),
    example: dict[str, Any] | None = None,
    answer: dict[str, Any] | None = None,
) -> Callable[[View], View]:
    """Describe one method of a view. What every method has in common (401, 413, 422) adds itself.

    :param takes: the model of the JSON body; `example` shows one.
    :param query: the model of the query string.
    :param answers: the model of a 200; `answer` shows one.
    :param refusals: the errors that its service raises; each status is shown with their texts.
    """
    examples = []
    if example is not None:
        examples.append(OpenApiExample(f"{operation_id} request", value=example, request_only=True))
    if answer is not None:
        examples.append(
            OpenApiExample(f"{operation_id} answer", value=answer, response_only=True, status_codes=["200"])
        )
    decorator: Callable[[View], View] = extend_schema(
        operation_id=operation_id,
        summary=summary,
        tags=[tag],
        request=takes,
        parameters=[query] if query else None,  # type: ignore[list-item] # `WireModels` spells it out
        responses={200: answers, **_by_status(refusals)},
        examples=examples,
    )
    return decorator


def _by_status(refusals: Iterable[type[DomainError]]) -> dict[int, OpenApiResponse]:
    by_status: dict[int, list[type[DomainError]]] = {}
    for refusal in refusals:
        by_status.setdefault(refusal.status, []).append(refusal)
    return {
        status: OpenApiResponse(
            Refusal,
            description="; ".join(f"`{one.detail}`" for one in alike),
            examples=[OpenApiExample(one.code, value={"detail": one.detail}) for one in alike],
        )
        for status, alike in by_status.items()
    }


class Schema(AutoSchema):
    """Adds to each operation the refusals that come from its access class and its input."""

    def map_parsers(self) -> list[str]:
        return ["application/json"]

    def get_operation(self, *args: Any, **kwargs: Any) -> dict[str, Any] | None:
        described: dict[str, Any] | None = super().get_operation(*args, **kwargs)
        if described is None:
            return None
        responses: dict[str, Any] = described["responses"]
        for status, response in self._common(described).items():
            added = self._get_response_for_code(response, status)  # type: ignore[no-untyped-call]
            responses.setdefault(status, added)
        described["responses"] = dict(sorted(responses.items()))
        return described

    def _common(self, described: dict[str, Any]) -> dict[str, OpenApiResponse]:
        common = {}
        if described.get("security"):
            common["401"] = OpenApiResponse(Refusal, description="The token is missing or wrong")
        if described.get("requestBody"):
            common["413"] = OpenApiResponse(Refusal, description="The body is larger than 2 MiB")
        if described.get("requestBody") or described.get("parameters"):
            common["422"] = OpenApiResponse(Problems, description="Input breaks its schema or a domain rule")
        return common


class WireModels(PydanticExtension):  # type: ignore[no-untyped-call]
    """Wire models. What a caller may send is described as it is validated, not as it is stored."""

    priority = 1

    def map_serializer(self, auto_schema: AutoSchema, direction: str) -> dict[str, Any]:
        schema = model_json_schema(
            self.target,
            ref_template="#/components/schemas/{model}",
            mode="validation" if direction == "request" else "serialization",
        )
        for name, nested in schema.pop("$defs", {}).items():
            component = ResolvedComponent(  # type: ignore[no-untyped-call]
                name=name, type=ResolvedComponent.SCHEMA, object=name, schema=nested
            )
            auto_schema.registry.register_on_missing(component)
        return schema


class AccessClasses(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """Access classes, each with the headers that prove it; several headers are alternatives."""

    target_class = AccessClass
    match_subclasses = True

    @property
    def name(self) -> list[str]:  # type: ignore[override]
        return list(self.target.headers)

    def get_security_requirement(self, auto_schema: AutoSchema) -> list[dict[str, list[Any]]]:
        return [{name: []} for name in self.name]

    def get_security_definition(self, auto_schema: AutoSchema) -> list[dict[str, Any]]:
        return [dict(definition) for definition in self.target.headers.values()]
