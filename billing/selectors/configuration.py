"""What the chosen Blueprints must be told before they can be installed: required settings that have no default."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from marketplace.models import BlueprintVersion


@dataclass(frozen=True, slots=True)
class Setting:
    """One required setting of one Blueprint. ``kind`` is a type of JSON Schema, or ``email``."""

    blueprint: str
    app: str
    key: str
    kind: str
    title_en: str
    title_ar: str
    longest: int
    choices: tuple[str, ...] = ()


def required_settings(blueprints: Sequence[str]) -> list[Setting]:
    """List them for Blueprints by name (``bp-…``), in the order of the names; two queries at most."""
    newest = _newest(blueprints)
    return [setting for name in blueprints if name in newest for setting in _settings(newest[name])]


def email_keys(blueprints: Sequence[str]) -> dict[str, list[str]]:
    """Return the required e-mail addresses: setting keys by Blueprint name."""
    keys: dict[str, list[str]] = {}
    for setting in required_settings(blueprints):
        if setting.kind == "email":
            keys.setdefault(setting.blueprint, []).append(setting.key)
    return keys


def _newest(blueprints: Iterable[str]) -> dict[str, BlueprintVersion]:
    rows = BlueprintVersion.objects.installable().filter(blueprint__name__in=list(blueprints), prerelease="")
    ordered = rows.select_related("blueprint").defer("files").order_by("major", "minor", "patch")
    return {row.blueprint.name: row for row in ordered}


def _settings(version: BlueprintVersion) -> list[Setting]:
    schema: dict[str, Any] = version.contract.get("spec", {}).get("configSchema", {})
    properties: dict[str, dict[str, Any]] = schema.get("properties", {})
    return [
        _setting(version, key, properties[key])
        for key in schema.get("required", [])
        if key in properties and key != "hostname" and "default" not in properties[key]
    ]


def _setting(version: BlueprintVersion, key: str, node: dict[str, Any]) -> Setting:
    kind = "email" if node.get("format") == "email" else str(node.get("type", "string"))
    return Setting(
        blueprint=version.blueprint.name,
        app=version.blueprint.title,
        key=key,
        kind=kind,
        title_en=node.get("title", key),
        title_ar=node.get("x-catalyst-i18n", {}).get("ar", {}).get("title", ""),
        longest=int(node.get("maxLength", 200)),
        choices=tuple(str(choice) for choice in node.get("enum", ())),
    )
