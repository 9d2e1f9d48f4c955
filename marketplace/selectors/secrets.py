"""What is known of the secrets of an Application: names, age and whether they have arrived. Never a value."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from marketplace.models import Application, ApplicationSecret, BlueprintVersion

#: What stands in an order for a secret that was typed; ``keep_typed_secrets`` makes it.
_HANDLE: Final = re.compile(r"t[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class SecretState:
    """One secret. ``set_at`` is None when nobody has typed it; ``due_at``: rotate it by then.

    ``is_named``: the configuration says that it is there, so the Application counts on it.
    """

    name: str
    issuer: str
    title: str
    is_generated: bool
    set_at: datetime | None
    delivered_at: datetime | None
    last_error: str
    due_at: datetime | None
    is_named: bool = True

    @property
    def is_waiting(self) -> bool:
        return self.set_at is not None and self.delivered_at is None

    @property
    def is_missing(self) -> bool:
        return self.set_at is None and self.is_named

    @property
    def can_rotate(self) -> bool:
        return self.due_at is not None


def list_secrets(application: Application) -> list[SecretState]:
    """Return the secrets of an Application: its own by name, then those that others issue to it.

    Among them are the settings that ask for a secret and have none.
    """
    rows = ApplicationSecret.objects.filter(application=application).order_by("issuer", "name")
    titles = password_names(application.blueprint_version)
    states = [_state(row, titles.get(row.name, "") if not row.issuer else "") for row in rows]
    own = {state.name for state in states if not state.issuer}
    missing = [name for name in titles if name not in own]
    config = application.config
    asked = [
        SecretState(name, "", titles[name], False, None, None, "", None, is_named=is_named(config, name))
        for name in missing
    ]
    return sorted([*asked, *states], key=lambda state: (state.issuer, state.name))


def is_named(config: Any, path: str) -> bool:
    """Tell whether a configuration has a value at this path with dots."""
    for name in path.split("."):
        config = config.get(name) if isinstance(config, Mapping) else None
    return config is not None


def has_handle(value: Any) -> bool:
    """Tell whether a value is a reference to a secret that was typed for an order."""
    return isinstance(value, Mapping) and "secret" in value and _HANDLE.fullmatch(str(value.get("key"))) is not None


def without_handles(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration as the Application has it: its references name settings alone."""
    return {
        name: {"secret": value["secret"]}
        if has_handle(value)
        else without_handles(value)
        if isinstance(value, Mapping)
        else value
        for name, value in config.items()
    }


def password_names(version: BlueprintVersion) -> dict[str, str]:
    """Return the settings whose values are secrets, by their path with dots, with their titles."""
    return password_settings((version.contract.get("spec") or {}).get("configSchema") or {})


def password_settings(schema: Mapping[str, Any]) -> dict[str, str]:
    """Return the same for a configSchema."""
    return dict(_passwords(schema, ()))


def _passwords(schema: Mapping[str, Any], above: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for branch in (schema, *(schema.get("oneOf") or ())):
        for name, node in (branch.get("properties") or {}).items():
            if node.get("x-catalyst-ui-hint") == "password":
                yield ".".join((*above, name)), str(node.get("title") or name)
            elif node.get("type") == "object":
                yield from _passwords(node, (*above, name))


def _state(row: ApplicationSecret, title: str) -> SecretState:
    days = row.rotates_after_days
    due_at = row.set_at + timedelta(days=days) if row.is_generated and days is not None else None
    return SecretState(
        row.name, row.issuer, title, row.is_generated, row.set_at, row.delivered_at, row.last_error, due_at
    )
