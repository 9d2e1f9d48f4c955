"""Secrets that a buyer types before there is an Application: sealed apart, named in the order by a handle.

A configuration that is ordered holds ``{secret: <setting>, key: <handle>}``. Cart, quote, order and event carry that;
nobody can guess a handle, and it serves once. Source: docs/secrets.md.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from django.utils.crypto import salted_hmac

from catalyst.core.crypto import SealBroken, seal, unseal
from catalyst.core.database import use_case
from marketplace.models import Application, TypedSecret
from marketplace.selectors.secrets import has_handle, is_named, password_settings, without_handles
from marketplace.services.application_secrets import check_value, put_secret
from tenancy.models import User

#: What is scheduled for the end of a paid month waits for it; what nobody ordered is forgotten after this.
KEPT_FOR: Final = timedelta(days=60)
_HANDLE_LENGTH: Final = 40


@use_case
def keep_typed_secrets(*, scope: str, blueprint: str, values: Mapping[str, str], now: datetime) -> dict[str, str]:
    """Seal what a buyer typed for one Blueprint; return the handle of each by the name of its setting.

    In one ``scope`` (a Cart, or one press of a button) the same value has the same handle, so an order that is sent
    twice is one order.

    :raises SecretStoreMissing: it would go nowhere. :raises SecretRefused: a value cannot be a secret.
    """
    handles = {}
    for name, value in values.items():
        check_value(name, value)
        told = "\x00".join((scope, blueprint, name, value))
        handle = f"t{salted_hmac('catalyst.typed_secret', told, algorithm='sha256').hexdigest()[:_HANDLE_LENGTH]}"
        sealed = {"blueprint": blueprint, "name": name, "ciphertext": seal(value, place=_place(handle)), "set_at": now}
        TypedSecret.objects.get_or_create(handle=handle, defaults=sealed)
        handles[name] = handle
    return handles


def with_handles(values: Mapping[str, Any], handles: Mapping[str, str]) -> dict[str, Any]:
    """Return a configuration in which the references to these secrets carry their handles."""
    return {name: _with_handles(value, (name,), handles) for name, value in values.items()}


def find_untyped(blueprint: str, schema: Mapping[str, Any], config: Mapping[str, Any]) -> list[str]:
    """Return the settings of an order, by their path, whose secrets are named and were not typed."""
    handles = dict(_handles(config, ()))
    named = [path for path in password_settings(schema) if is_named(config, path)]
    if not named:
        return []
    kept = TypedSecret.objects.filter(blueprint=blueprint, handle__in=handles.values())
    typed = dict(kept.values_list("name", "handle"))
    return [path for path in named if path not in handles or typed.get(path) != handles[path]]


def take_typed_secrets(rows: Iterable[Application], *, buyer: User, now: datetime) -> None:
    """Give new Applications the secrets that their configurations name by handle, and drop the handles; a step.

    Of what was taken before, or forgotten, the reference stays: the Application's page then says that it is missing.
    """
    for row in rows:
        handles = dict(_handles(row.config, ()))
        if not handles:
            continue
        found = TypedSecret.objects.select_for_update().filter(handle__in=handles.values())
        for typed in found.order_by("pk"):
            if (typed.blueprint, handles.get(typed.name)) == (row.blueprint_version.blueprint.name, typed.handle):
                _take(row, typed, buyer=buyer, now=now)
        row.config = without_handles(row.config)
        row.save(update_fields=["config"])


def forget_typed_secrets(*, now: datetime) -> int:
    """Delete what nobody ordered in time; return how many."""
    deleted, _by_model = TypedSecret.objects.filter(set_at__lt=now - KEPT_FOR).delete()
    return deleted


def _take(row: Application, typed: TypedSecret, *, buyer: User, now: datetime) -> None:
    try:
        value = unseal(typed.ciphertext, place=_place(typed.handle))
    except SealBroken:
        return
    put_secret(row, name=typed.name, value=value, actor=buyer, now=now)
    typed.delete()


def _handles(config: Mapping[str, Any], above: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for name, value in config.items():
        if has_handle(value):
            yield ".".join((*above, name)), value["key"]
        elif isinstance(value, Mapping):
            yield from _handles(value, (*above, name))


def _with_handles(value: Any, path: tuple[str, ...], handles: Mapping[str, str]) -> Any:
    if not isinstance(value, Mapping):
        return value
    handle = handles.get(".".join(path))
    if handle is not None and "secret" in value:
        return {"secret": value["secret"], "key": handle}
    return {name: _with_handles(child, (*path, name), handles) for name, child in value.items()}


def _place(handle: str) -> str:
    return f"marketplace_typedsecret:{handle}:ciphertext"
