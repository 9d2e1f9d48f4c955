"""Check Kubernetes objects against the schemas of one pinned Kubernetes version; unknown fields are problems."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from django.utils.translation import gettext as _
from jsonschema import Draft202012Validator
from kubernetes_validate.utils import schema_contents
from referencing import Registry, Resource

from catalyst.core.gitops import yaml
from catalyst.core.gitops.schemas import CUSTOM_KINDS

KUBERNETES_VERSION: Final = "1.37.0"
MAX_STREAM_BYTES: Final = 2 * 1024 * 1024
_MAX_MESSAGE: Final = 400
_KIND = re.compile(r"[A-Za-z]{1,63}")
_API_VERSION = re.compile(r"(?:[a-z0-9.-]{1,200}/)?v[0-9][a-z0-9]{0,15}")
_SCHEMAS: Final = f"kubernetes-json-schema/v{KUBERNETES_VERSION}-local-strict"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: ``subject`` is "Kind/name", ``pointer`` a JSON pointer inside that object."""

    subject: str
    pointer: str
    message: str


def validate_objects(source: bytes) -> list[Problem]:
    """Return what is wrong with the objects of a YAML stream; a ``v1`` List counts as its items.

    Kubernetes' own kinds are checked strictly, ExternalSecret and the Flux kinds by our schemas; any other kind is a
    problem.
    """
    try:
        documents = yaml.load_documents(source, max_bytes=MAX_STREAM_BYTES)
    except yaml.YamlRefused as error:
        return [Problem(subject="", pointer="", message=error.message)]
    return [problem for item in _objects(documents) for problem in validate_object(item)]


def validate_object(item: Any) -> list[Problem]:
    """Return what is wrong with one object given as plain data."""
    subject = subject_of(item)
    if not isinstance(item, Mapping) or not isinstance(item.get("metadata"), Mapping):
        return [Problem(subject, "", _("This is no Kubernetes object."))]
    validator = _validator(str(item.get("apiVersion")), str(item.get("kind")))
    if validator is None:
        return [Problem(subject, "/kind", _("This kind is not known here."))]
    return [
        Problem(subject, "".join(f"/{step}" for step in error.absolute_path), error.message[:_MAX_MESSAGE])
        for error in sorted(validator.iter_errors(item), key=lambda error: list(map(str, error.absolute_path)))
    ]


def subject_of(item: Any) -> str:
    """Return "Kind/name" of an object, with whatever is there."""
    if not isinstance(item, Mapping):
        return ""
    metadata = item.get("metadata")
    name = metadata.get("name", "") if isinstance(metadata, Mapping) else ""
    return f"{item.get('kind', '')}/{name}"


def _objects(documents: list[Any]) -> Iterator[Any]:
    for document in documents:
        is_list = isinstance(document, Mapping) and document.get("kind") == "List"
        if is_list and document.get("apiVersion") == "v1" and isinstance(document.get("items"), list):
            yield from document["items"]
        elif document is not None:
            yield document


@cache
def _definitions() -> Any:
    return Resource.from_contents(schema_contents(f"{_SCHEMAS}/_definitions.json", KUBERNETES_VERSION))


@cache
def _validator(api_version: str, kind: str) -> Draft202012Validator | None:
    if (api_version, kind) in CUSTOM_KINDS:
        return Draft202012Validator(CUSTOM_KINDS[api_version, kind])
    if not (_KIND.fullmatch(kind) and _API_VERSION.fullmatch(api_version)):
        return None
    # The package names its files by the first label of the group: networking.k8s.io/v1 → networking-v1.
    group, _slash, version = api_version.rpartition("/")
    name = f"{kind.lower()}-{group.split('.')[0]}-{version}" if group else f"{kind.lower()}-{version}"
    try:
        schema = schema_contents(f"{_SCHEMAS}/{name}.json", KUBERNETES_VERSION)
    except FileNotFoundError:
        return None
    registry: Any = Resource.from_contents(schema) @ (_definitions() @ Registry())
    return Draft202012Validator(schema, registry=registry)
