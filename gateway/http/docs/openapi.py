"""OpenAPI 3.1, generated from the URL table and the types of the handlers."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

import msgspec

from engine.kernel import errors
from gateway.contract import problems, schemas
from gateway.contract.problems import Problem
from gateway.http.decoding import Nothing
from gateway.http.docs import examples
from gateway.http.endpoint import JSON, Endpoint

REF: Final = "#/components/schemas/{name}"
_PATH_PARAMETER = re.compile(r"\{(\w+):uuid\}")

Schema = dict[str, Any]


def document(endpoints: Sequence[Endpoint], version: str) -> Schema:
    """Returns the OpenAPI description as a JSON-ready dict."""
    types = _types(endpoints)
    schema_of, components = schemas.components(types, REF)
    paths: dict[str, Schema] = {}
    for endpoint in endpoints:
        path = _PATH_PARAMETER.sub(r"{\1}", endpoint.path)
        operations = paths.setdefault(path, {})
        operations[endpoint.method.lower()] = _operation(endpoint, schema_of, components)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "HustleXP Live",
            "version": version,
            "description": (
                "A real-time matching engine for a task marketplace. Times are RFC 3339 UTC, "
                "money integer cents, positions degrees, distances miles."
            ),
        },
        "security": [{"bearer": []}],
        "paths": paths | _open_paths(),
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
            },
            "schemas": components,
            "responses": _responses(schema_of, components),
        },
    }


def _types(endpoints: Sequence[Endpoint]) -> list[Any]:
    """Returns every type of a body, a query or an answer, once."""
    seen: dict[Any, None] = {Problem: None}
    for endpoint in endpoints:
        for kind in (endpoint.query_type, *endpoint.answer_types):
            if kind is not Nothing:
                seen[kind] = None
        if _has_shape(endpoint):
            seen[endpoint.body_type] = None
    return list(seen)


def _has_shape(endpoint: Endpoint) -> bool:
    """Returns whether the body's schema is drawn from the handler's type."""
    return endpoint.body_type is not Nothing and endpoint.consumes.schema is None


def _operation(endpoint: Endpoint, schema_of: Mapping[Any, Schema], components: Schema) -> Schema:
    doc = inspect.getdoc(endpoint.handler) or ""
    module = endpoint.handler.__module__.removeprefix("gateway.http.")
    resource = endpoint.resource or module.replace(".", "_")
    operation: Schema = {
        "operationId": f"{resource}_{endpoint.handler.__name__}",
        "summary": doc.partition("\n")[0],
        "description": f"Roles: {', '.join(sorted(endpoint.who))}.",
        "tags": [resource],
        "parameters": _parameters(endpoint, components),
        "responses": _answers(endpoint, schema_of, components),
    }
    if _has_shape(endpoint):
        operation["requestBody"] = {
            "required": _has_required(components, endpoint.body_type),
            "content": {JSON: _with_example(schema_of[endpoint.body_type], components, brief=True)},
        }
    if endpoint.consumes.schema is not None:
        operation["requestBody"] = {
            "required": True,
            "content": {endpoint.consumes.media_type: {"schema": dict(endpoint.consumes.schema)}},
        }
    return operation


def _parameters(endpoint: Endpoint, components: Schema) -> list[Schema]:
    parameters: list[Schema] = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "format": "uuid"},
        }
        for name in _PATH_PARAMETER.findall(endpoint.path)
    ]
    if endpoint.query_type is not Nothing:
        query = components[endpoint.query_type.__name__]
        parameters += [
            {
                "name": name,
                "in": "query",
                "required": name in query.get("required", ()),
                "schema": schema,
            }
            for name, schema in query["properties"].items()
        ]
    if endpoint.method in ("POST", "PUT"):
        parameters.append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": False,
                "description": "Remembered 24 h per user and route; a repetition gets the "
                "first answer again.",
                "schema": {"type": "string", "minLength": 1, "maxLength": 255},
            }
        )
    return parameters


def _with_example(schema: Schema, components: Schema, *, brief: bool = False) -> Schema:
    """Returns a media type's schema with one example value."""
    return {"schema": schema, "example": examples.of(schema, components, brief=brief)}


def _answers(endpoint: Endpoint, schema_of: Mapping[Any, Schema], components: Schema) -> Schema:
    success: Schema = {"description": HTTPStatus(endpoint.status).phrase}
    shapes = [schema_of[kind] for kind in endpoint.answer_types]
    if shapes:
        shape = {"anyOf": shapes} if shapes[1:] else shapes[0]
        success["content"] = {JSON: _with_example(shape, components)}
    elif endpoint.produces != (JSON,):
        success["content"] = {media: {} for media in endpoint.produces}
    answers: Schema = {str(int(endpoint.status)): success}
    if endpoint.may_replay:
        answers["200"] = success | {"description": "Done before; the same answer again"}
    for status in sorted(_statuses(endpoint)):
        answers[str(status)] = {"$ref": f"#/components/responses/Problem{status}"}
    return answers


def _statuses(endpoint: Endpoint) -> set[int]:
    """Returns the error statuses that a call can answer."""
    every = {401, 403, 422, 429, 500, 503}
    if "{" in endpoint.path:
        every.add(404)
    if endpoint.method != "GET":
        every |= {400, 409, 413, 415}
    return every


def _responses(schema_of: Mapping[Any, Schema], components: Schema) -> Schema:
    """Returns one reusable response per error status, naming its errors."""
    by_status: dict[int, list[str]] = {400: ["VALIDATION_ERROR"], 415: ["VALIDATION_ERROR"]}
    for kind in errors.REGISTRY.values():
        name = problems.problem_type(kind).removeprefix(problems.TYPE_PREFIX)
        by_status.setdefault(problems.disposition(kind).status, []).append(name)
    return {
        f"Problem{status}": {
            "description": f"{HTTPStatus(status).phrase}: {', '.join(sorted(names))}",
            "content": {
                problems.PROBLEM_JSON: {
                    "schema": schema_of[Problem],
                    "example": examples.of(schema_of[Problem], components)
                    | _problem(names[0], status),
                }
            },
        }
        for status, names in sorted(by_status.items())
    }


def _problem(name: str, status: int) -> Schema:
    """Returns the fields of a problem that follow from its status."""
    code = name.partition("-")[0] if name.startswith("HX") else name
    titles = {kind.code: kind.title for kind in errors.REGISTRY.values()}
    title = titles.get(code, HTTPStatus(status).phrase)
    return {
        "type": f"{problems.TYPE_PREFIX}{name}",
        "title": title,
        "status": status,
        "detail": title,
        "code": code,
    }


def _open_paths() -> dict[str, Schema]:
    """Returns the paths that need no token."""
    return {
        path: {
            "get": {
                "operationId": path.strip("/").replace(".", "_"),
                "summary": summary,
                "tags": ["operations"],
                "security": [],
                "responses": {"200": {"description": "OK", "content": {media: {}}}} | more,
            }
        }
        for path, summary, media, more in (
            ("/livez", "The process runs.", JSON, {}),
            (
                "/readyz",
                "PostgreSQL answers with a complete schema; says whether Valkey does.",
                JSON,
                {"503": {"description": "Not ready; the body says what is missing"}},
            ),
            ("/metrics", "Prometheus metrics.", "text/plain", {}),
            ("/openapi.json", "This document.", JSON, {}),
            ("/asyncapi.json", "The messages of the WebSocket.", JSON, {}),
            ("/docs", "Calls, messages and errors, readable.", "text/html", {}),
        )
    }


def _has_required(components: Schema, kind: type[msgspec.Struct]) -> bool:
    return bool(components[kind.__name__].get("required"))
