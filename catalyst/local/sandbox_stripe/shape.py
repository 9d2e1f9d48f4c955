"""Shapes of parameters: reads text into typed values and refuses what Stripe would refuse."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from catalyst.local.sandbox_stripe.wire import StripeRefusal

_INTEGER = re.compile(r"-?\d{1,15}")
_METADATA_LIMIT = 50


@dataclass(frozen=True, slots=True)
class Field:
    """A single value."""

    kind: Literal["text", "integer", "boolean", "metadata"] = "text"
    required: bool = False
    choices: tuple[str, ...] = ()
    longest: int = 5000


@dataclass(frozen=True, slots=True)
class Object:
    """Named members and no others."""

    members: "Mapping[str, Shape]"
    required: bool = False


@dataclass(frozen=True, slots=True)
class Array:
    """Any number of equal items up to ``longest``."""

    item: "Shape"
    required: bool = False
    longest: int = 100


Shape = Field | Object | Array


def read(value: Any, shape: Shape, param: str = "") -> Any:
    """Return ``value`` with the types of ``shape``.

    :raises StripeRefusal: an unknown or missing parameter, or a value of the wrong kind.
    """
    if isinstance(shape, Object):
        return _read_object(value, shape, param)
    if isinstance(shape, Array):
        if not isinstance(value, list):
            raise StripeRefusal(f"Invalid array: {param}", param=param)
        if len(value) > shape.longest:
            raise StripeRefusal(f"Array {param} exceeded maximum {shape.longest} allowed elements.", param=param)
        return [read(item, shape.item, f"{param}[{index}]") for index, item in enumerate(value)]
    return _read_field(value, shape, param)


def _read_object(value: Any, shape: Object, param: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise StripeRefusal(f"Invalid object: {param}", param=param)
    result = {}
    for name, child in value.items():
        full = f"{param}[{name}]" if param else name
        if name not in shape.members:
            raise StripeRefusal(f"Received unknown parameter: {full}", code="parameter_unknown", param=full)
        result[name] = read(child, shape.members[name], full)
    for name, member in shape.members.items():
        if member.required and name not in result:
            full = f"{param}[{name}]" if param else name
            raise StripeRefusal(f"Missing required param: {full}.", code="parameter_missing", param=full)
    return result


def _read_field(value: Any, shape: Field, param: str) -> Any:
    if shape.kind == "metadata":
        return _read_metadata(value, param)
    if not isinstance(value, str):
        raise StripeRefusal(f"Invalid string: {param}", param=param)
    if shape.kind == "integer":
        return _read_integer(value, param)
    if shape.kind == "boolean":
        if value not in ("true", "false"):
            raise StripeRefusal(f"Invalid boolean: {value}", param=param)
        return value == "true"
    if shape.choices and value not in shape.choices:
        raise StripeRefusal(f"Invalid {param}: must be one of {', '.join(shape.choices)}", param=param)
    if len(value) > shape.longest:
        raise StripeRefusal(f"Invalid string: {param} must be at most {shape.longest} characters", param=param)
    return value


def _read_integer(value: str, param: str) -> int:
    if not _INTEGER.fullmatch(value):
        raise StripeRefusal(f"Invalid integer: {value}", code="parameter_invalid_integer", param=param)
    return int(value)


def _read_metadata(value: Any, param: str) -> dict[str, str]:
    if value == "":
        return {}
    flat = isinstance(value, dict) and all(isinstance(child, str) for child in value.values())
    if not flat or len(value) > _METADATA_LIMIT:
        raise StripeRefusal("Metadata is a flat object of at most 50 strings.", param=param)
    if any(len(name) > 40 or len(child) > 500 for name, child in value.items()):
        raise StripeRefusal("Metadata keys have at most 40 characters, values at most 500.", param=param)
    return dict(value)
