"""The page at /docs: calls, messages, close codes, errors and shapes, rendered once at start.

HTML and style from this service, nothing from elsewhere; the REST calls also in a viewer with examples,
where each can be tried.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any, Final, get_args

import msgspec

from engine.kernel import errors
from gateway.contract import client, close_codes, problems, schemas, server
from gateway.http.docs import viewer

Schema = Mapping[str, Any]

_PAGE: Final = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>HustleXP Live: the API</title>
<link rel="icon" href="/map_icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="{viewer_style}">
<link rel="stylesheet" href="/docs.css">
<script src="{viewer_script}" defer></script>
<script src="/docs.js" defer></script>
<header>
<h1>HustleXP Live</h1>
<p>Version {version}.
Machine-readable: <a href="/openapi.json">OpenAPI</a>, <a href="/asyncapi.json">AsyncAPI</a>.</p>
<nav>{nav}</nav>
</header>
<main>{main}</main>
</html>
"""


def render(openapi: Schema, version: str) -> str:
    """Returns the whole page as HTML."""
    shapes = _message_shapes() | openapi["components"]["schemas"]
    sections = {
        "calls": ("REST calls", _calls(openapi["paths"], shapes)),
        "client-messages": ("Messages to the server", _client_messages()),
        "server-messages": ("Messages from the server", _server_messages()),
        "close-codes": ("Close codes", _close_codes()),
        "errors": ("Errors", _errors()),
        "shapes": ("Shapes", _shapes(shapes)),
    }
    return _PAGE.format(
        version=escape(version),
        viewer_style=viewer.STYLE_URL,
        viewer_script=viewer.SCRIPT_URL,
        nav=" ".join(f'<a href="#{key}">{title}</a>' for key, (title, _) in sections.items()),
        main="".join(
            f'<section id="{key}"><h2>{title}</h2>{body}</section>'
            for key, (title, body) in sections.items()
        ),
    )


def _calls(paths: Mapping[str, Schema], shapes: Mapping[str, Schema]) -> str:
    intro = (
        "<p>Every call under <code>/v1</code> carries <code>Authorization: Bearer</code> with a "
        "JWT; <code>.venv/bin/hustlexp token --role poster</code> prints one for a development "
        "service, and <b>Authorize</b> takes it. <code>Idempotency-Key</code> is optional on every POST and PUT.</p>"
    )
    calls = "".join(
        _operation(method.upper(), path, operation, shapes)
        for path, operations in paths.items()
        for method, operation in operations.items()
    )
    return (
        f'{intro}<div id="viewer"></div>'
        f'<details id="plain" open><summary>The same as a plain list</summary>{calls}</details>'
    )


def _operation(method: str, path: str, operation: Schema, shapes: Mapping[str, Schema]) -> str:
    content = operation.get("requestBody", {}).get("content", {})
    bodies = [media["schema"] for media in content.values()]
    good = {code: a for code, a in operation["responses"].items() if code.startswith("2")}
    rows = [
        ("Who", escape(operation.get("description", "No token needed."))),
        ("Query", ", ".join(_query(operation))),
        ("Body", " ".join(_fields_inline(schema, shapes) for schema in bodies)),
        ("Answer", "; ".join(f"{code} {_content(answer)}" for code, answer in good.items())),
        ("Refusals", ", ".join(code for code in operation["responses"] if code not in good)),
    ]
    facts = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in rows if value)
    return (
        f'<article class="call"><h3><span class="method {method.lower()}">{method}</span> '
        f"<code>{escape(path)}</code></h3><p>{escape(operation['summary'])}</p>"
        f"<dl>{facts}</dl></article>"
    )


def _query(operation: Schema) -> Iterable[str]:
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "query":
            mark = "" if parameter["required"] else "?"
            yield f"<code>{parameter['name']}{mark}</code> {_kind(parameter['schema'])}"


def _content(answer: Schema) -> str:
    shapes = [_kind(media["schema"]) for media in answer.get("content", {}).values() if media]
    return " ".join(shapes) or escape(str(answer["description"]))


def _fields_inline(schema: Schema, shapes: Mapping[str, Schema]) -> str:
    """Returns a body's fields on one line; optional ones carry a question mark."""
    shape = shapes[_name(schema)] if "$ref" in schema else schema
    required = shape.get("required", ())
    fields = ", ".join(
        f"<code>{name}{'' if name in required else '?'}</code> {_kind(field)}"
        for name, field in shape["properties"].items()
    )
    return f"{{ {fields} }}"


def _client_messages() -> str:
    rows = []
    for kind in get_args(client.ClientMessage):
        fields = {field.name: field.type for field in msgspec.structs.fields(kind)}
        data = _shape_of(fields["data"])
        rows.append((f"<code>{kind.__struct_config__.tag}</code>", data, _prose(_doc(kind))))
    return _table(("Type", "data", "Meaning"), rows)


def _server_messages() -> str:
    rows = [
        (
            f"<code>{name}</code>{' <b>durable</b>' if name in server.DURABLE else ''}",
            _shape_of(kind),
            _prose(_doc(kind)),
        )
        for name, kind in server.SERVER_MESSAGES.items()
    ]
    return "<p>Durable messages carry <code>seq</code>, without gaps per user.</p>" + _table(
        ("Type", "data", "Meaning"), rows
    )


def _message_shapes() -> dict[str, Schema]:
    """Returns the shapes that only messages use."""
    kinds = [*get_args(client.ClientMessage), *server.SERVER_MESSAGES.values()]
    _, shapes = schemas.components(kinds, "#/{name}")
    return shapes


def _shape_of(kind: Any) -> str:
    schema_of, components = schemas.components([kind], "#/{name}")
    schema = schema_of[kind]
    named = schema if "$ref" in schema else next(iter(schema.get("anyOf", [{}])), {})
    if "$ref" not in named or not components[_name(named)].get("properties"):
        return "–"
    return _fields_inline(named, components)


def _close_codes() -> str:
    rows = [
        (f"<code>{code.code}</code>", code.name, escape(code.meaning), escape(code.action.value))
        for code in close_codes.ALL
    ]
    return _table(("Code", "Name", "Why", "What the client does"), rows)


def _errors() -> str:
    rows = []
    for kind in errors.REGISTRY.values():
        name = problems.problem_type(kind).removeprefix(problems.TYPE_PREFIX)
        close = problems.close_code(kind)
        rows.append(
            (
                f'<code id="{name}">{name}</code>',
                escape(kind.title),
                str(problems.disposition(kind).status),
                "yes" if kind.retryable else "no",
                f"close {close}" if close else "ERROR",
            )
        )
    return _table(("Problem type", "Meaning", "Status", "Retryable", "On the socket"), rows)


def _shapes(shapes: Mapping[str, Schema]) -> str:
    parts = []
    for name, schema in sorted(shapes.items()):
        required = schema.get("required", ())
        rows = [
            (f"<code>{field}</code>", _kind(kind), "" if field in required else "optional")
            for field, kind in schema.get("properties", {}).items()
        ]
        parts.append(
            f'<article id="shape-{name}"><h3>{name}</h3>'
            f"<p>{_prose(schema.get('description', ''))}</p>"
            + (_table(("Field", "Kind", ""), rows) if rows else "")
            + "</article>"
        )
    return "".join(parts)


def _kind(schema: Schema) -> str:
    """Returns a short description of a schema."""
    if "$ref" in schema:
        return f'<a href="#shape-{_name(schema)}">{_name(schema)}</a>'
    if "enum" in schema:
        return " | ".join(f"<code>{escape(str(value))}</code>" for value in schema["enum"])
    if "anyOf" in schema:
        return " | ".join(_kind(each) for each in schema["anyOf"])
    if schema.get("type") == "array":
        inner = schema.get("prefixItems") or [schema.get("items", {})]
        return f"[{', '.join(_kind(each) for each in inner)}]"
    return escape(str(schema.get("format", schema.get("type", "any")))) + _bounds(schema)


def _bounds(schema: Schema) -> str:
    low = schema.get("minimum", schema.get("minLength"))
    high = schema.get("maximum", schema.get("maxLength"))
    if low is None and high is None:
        return ""
    return f" <span>{'' if low is None else low}…{'' if high is None else high}</span>"


def _name(schema: Schema) -> str:
    return str(schema["$ref"]).rpartition("/")[2]


def _prose(text: str) -> str:
    """Returns a docstring's text as HTML, with its `names` as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def _doc(kind: type) -> str:
    return (kind.__doc__ or "").partition("\n")[0]


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{name}</th>" if name else "<td></td>" for name in heads)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="wide" tabindex="0"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
