"""From the bytes of ``blueprint.yaml`` to a ``Contract``."""

import re
from typing import Any

from django.utils.translation import gettext as _

from catalyst.core import names
from catalyst.core.gitops.yaml import YamlRefused, load
from marketplace.selectors.capacity import Footprint
from marketplace.selectors.version_ranges import RangeRefused, parse_range
from marketplace.services.blueprint_contract.config_schema import check_config_schema
from marketplace.services.blueprint_contract.needs import read_depends
from marketplace.services.blueprint_contract.reader import ContractRefused, Finding, Section
from marketplace.services.blueprint_contract.shape import (
    Card,
    Contract,
    Endpoint,
    Exposes,
    Manifests,
    Observability,
    Overlay,
    Owner,
    Placement,
    Rotation,
    Upgrades,
)

API_VERSION = "catalyst.openova.io/v1alpha1"
SIZES = ("small", "medium", "large")
_MAX_BYTES = 64 * 1024

_SPEC = (
    *("kind", "visibility", "owner", "card", "footprint", "pricing", "configSchema", "placementSchema", "depends"),
    *("exposes", "manifests", "upgrades", "rotation", "observability", "deprecated"),
)
_CARD = (*("title", "tagline", "category", "tags", "icon", "screenshots", "license", "documentation", "languages"),)
_CONNECTION_KEYS = frozenset({"url", "host", "port", "username", "password", "database"})
_WORD = r"[a-z](?:-?[a-z0-9])*"
_LOCAL_PATH = r"(?:[A-Za-z0-9_-][A-Za-z0-9._-]*/)*[A-Za-z0-9_-][A-Za-z0-9._-]*"
_TTL = r"(?:[1-9]|[1-9][0-9]|[12][0-9]{2}|3[0-5][0-9]|36[0-5])d"
_LICENSE = r"[A-Za-z0-9][A-Za-z0-9.+-]{1,63}"


def parse_contract(source: bytes) -> Contract:
    """Read and check one ``blueprint.yaml``.

    :raises ContractRefused: with every finding, each naming rule, field and remedy.
    """
    contract, findings = read_contract(source)
    if contract is None or findings:
        raise ContractRefused(findings)
    return contract


def read_contract(source: bytes) -> tuple[Contract | None, list[Finding]]:
    """Read one ``blueprint.yaml`` as far as it can be read, with every finding; None when it is no YAML at all.

    A contract that comes with findings has harmless values in place of what was refused: only to find more with.
    """
    try:
        document = load(source, max_bytes=_MAX_BYTES)
    except YamlRefused as error:
        fix = _("Write plain YAML: no anchors, tags or repeated keys.")
        return None, [Finding("BP-N04", "blueprint.yaml", error.message, fix, error.line)]
    findings: list[Finding] = []
    return _contract(document, findings), findings


def _contract(document: Any, findings: list[Finding]) -> Contract:
    root = Section(document, "", ("apiVersion", "kind", "metadata", "spec"), findings)
    root.choice("apiVersion", [API_VERSION], rule="BP-N04")
    root.choice("kind", ["Blueprint"], rule="BP-N04")
    metadata = root.section("metadata", ("name", "version"))
    name = metadata.text("name", rule="BP-N01", pattern=names.BLUEPRINT)
    spec = root.section("spec", _SPEC)
    kind = spec.choice("kind", ("application", "service", "bundle"), rule="BP-N04", default="application")
    if name.startswith("bp-catalyst-") or (name.startswith("bp-bundle-") and kind != "bundle"):
        metadata.refuse("BP-N05", "name", _("This prefix is reserved."), _("Choose another name."))
    _deprecation(spec)
    config_schema = _config_schema(spec)
    return Contract(
        name=name,
        version=metadata.text("version", rule="BP-N01", pattern=names.VERSION, limit=64),
        kind=kind,
        visibility=spec.choice("visibility", ("listed", "unlisted", "private"), rule="BP-N04", default="listed"),
        card=_card(spec),
        footprint=_footprint(spec, "footprint"),
        monthly_minor=_price(spec),
        config_schema=config_schema,
        depends=read_depends(spec, config_schema),
        exposes=_exposes(spec, kind),
        owner=_owner(spec),
        placement=_placement(spec),
        manifests=_manifests(spec, kind),
        upgrades=_upgrades(spec),
        rotation=_rotation(spec),
        observability=_observability(spec),
        document=root.data,
    )


def _owner(spec: Section) -> Owner:
    owner = spec.section("owner", ("team", "contact"))
    return Owner(
        team=owner.text("team", rule="BP-N04"),
        contact=owner.text("contact", rule="BP-N04", pattern=r"[^@\s]+@[^@\s]+|https://\S+"),
    )


def _card(spec: Section) -> Card:
    card = spec.section("card", _CARD)
    tagline = card.data.get("tagline")
    if isinstance(tagline, str):
        card.data["tagline"] = {"en": tagline}
    words = card.section("tagline", ("en", "ar"))
    return Card(
        title=card.text("title", rule="BP-C01", limit=80),
        tagline_en=words.text("en", rule="BP-C01", limit=160),
        tagline_ar=words.text("ar", rule="BP-C01", limit=160),
        category=card.text("category", rule="BP-C02", pattern=_WORD),
        icon=card.text("icon", rule="BP-C03", pattern=_LOCAL_PATH),
        license=card.text("license", rule="BP-C05", pattern=_LICENSE),
        documentation=card.text("documentation", rule="BP-C01", pattern=r"https://\S+"),
        tags=card.texts("tags", rule="BP-C01", limit=10, pattern=r"[a-z0-9](?:-?[a-z0-9])*"),
        screenshots=card.texts("screenshots", rule="BP-C04", limit=8, pattern=_LOCAL_PATH),
        languages=card.texts("languages", rule="BP-C01", limit=60, pattern=r"[a-z]{2,3}(?:-[A-Za-z0-9]+)?"),
    )


def _footprint(section: Section, key: str) -> Footprint:
    footprint = section.section(key, ("memoryMiB", "cpuMilli", "diskGiB"))
    return Footprint(
        memory_mib=footprint.integer("memoryMiB", 0, 1 << 20, rule="BP-P01"),
        cpu_milli=footprint.integer("cpuMilli", 0, 1 << 20, rule="BP-P01"),
        disk_gib=footprint.integer("diskGiB", 0, 1 << 16, rule="BP-P01"),
    )


def _price(spec: Section) -> int:
    pricing = spec.section("pricing", ("monthlyBaisa",))
    price = pricing.integer("monthlyBaisa", 0, 100_000_000, rule="BP-P01", default=0)
    if price and (price % 10 or price < 200):
        fix = _("Write 0, or a multiple of 10 that is at least 200.")
        pricing.refuse("BP-P01", "monthlyBaisa", _("The card processor cannot take this amount."), fix)
    return price


def _config_schema(spec: Section) -> dict[str, Any]:
    schema = spec.data.get("configSchema", {"type": "object", "properties": {}})
    check_config_schema(schema, spec.field("configSchema"), spec.findings)
    return schema if isinstance(schema, dict) else {}


def _placement(spec: Section) -> Placement:
    known = ("single-region", "active-active", "active-hotstandby")
    placement = spec.section("placementSchema", ("modes", "minRegions", "maxRegions"))
    modes = placement.texts("modes", rule="BP-N04", limit=3)
    for mode in modes:
        if mode not in known:
            fix = _("Choose from %(modes)s.") % {"modes": ", ".join(known)}
            placement.refuse("BP-N04", "modes", _("%(mode)r is no placement.") % {"mode": mode}, fix)
    low = placement.integer("minRegions", 1, 16, rule="BP-N04", default=1)
    high = placement.integer("maxRegions", low, 16, rule="BP-N04", default=low)
    return Placement(modes or ("single-region",), low, high)


def _exposes(spec: Section, kind: str) -> Exposes | None:
    if not spec.has("exposes"):
        if kind == "service":
            fix = _("List endpoints, connectionSecret and sharing.")
            spec.refuse("BP-D06", "exposes", _("A service must say what it offers."), fix)
        return None
    exposes = spec.section("exposes", ("endpoints", "connectionSecret", "sharing"))
    endpoints = tuple(
        Endpoint(
            name=item.text("name", rule="BP-D06", pattern=_WORD),
            port=item.integer("port", 1, 65535, rule="BP-D06"),
            protocol=item.choice("protocol", ("tcp", "udp", "http"), rule="BP-D06", default="tcp"),
            public=item.boolean("public", rule="BP-D06", default=False),
        )
        for item in exposes.sections("endpoints", ("name", "port", "protocol", "public"), rule="BP-D06", limit=8)
    )
    keys = exposes.section("connectionSecret", ("keys",)).texts("keys", rule="BP-D06", limit=6)
    sharing = exposes.texts("sharing", rule="BP-D06", limit=2)
    if not set(keys) <= _CONNECTION_KEYS:
        fix = _("Choose from %(keys)s.") % {"keys": ", ".join(sorted(_CONNECTION_KEYS))}
        exposes.refuse("BP-D06", "connectionSecret.keys", _("Unknown key."), fix)
    if not sharing or not (set(sharing) <= {"shared", "dedicated"} or sharing == ("singleton",)):
        exposes.refuse("BP-D06", "sharing", _("Unknown sharing."), _("Write [shared, dedicated] or [singleton]."))
    return Exposes(endpoints, keys, sharing)


def _manifests(spec: Section, kind: str) -> Manifests | None:
    if kind == "bundle":
        if spec.has("manifests") or not spec.has("depends"):
            fix = _("Give it depends and no manifests.")
            spec.refuse("BP-M01", "manifests", _("A bundle only lists what it installs."), fix)
        return None
    manifests = spec.section("manifests", ("source", "overlays"))
    source = manifests.section("source", ("kind", "path"))
    source_kind = source.choice("kind", ("Kustomize", "HelmChart"), rule="BP-M01")
    overlays = manifests.section("overlays", SIZES)
    return Manifests(
        kind=source_kind,
        path=source.text("path", rule="BP-M01", pattern=_LOCAL_PATH),
        overlays={size: _overlay(overlays, size, source_kind) for size in SIZES if overlays.has(size)},
    )


def _overlay(overlays: Section, size: str, source_kind: str) -> Overlay:
    data = overlays.data[size]
    # Values act in a chart only; beside a Kustomize base they would do nothing.
    known = tuple(data) if isinstance(data, dict) and source_kind == "HelmChart" else ("footprint",)
    overlay = overlays.section(size, known)
    footprint = _footprint(overlay, "footprint") if overlay.has("footprint") else None
    values = {key: value for key, value in overlay.data.items() if key != "footprint"}
    return Overlay(footprint, values if source_kind == "HelmChart" else {})


def _upgrades(spec: Section) -> Upgrades:
    upgrades = spec.section("upgrades", ("from", "blocks"))
    ranges = {key: upgrades.texts(key, rule="BP-U01", limit=20) for key in ("from", "blocks")}
    for key, texts in ranges.items():
        for text in texts:
            try:
                parse_range(text)
            except RangeRefused as error:
                upgrades.refuse("BP-U01", key, error.message, _("Write ranges like 1.1.x or <1.1.0."))
    return Upgrades(ranges["from"], ranges["blocks"])


def _rotation(spec: Section) -> tuple[Rotation, ...]:
    return tuple(
        Rotation(
            kind=item.text("kind", rule="BP-R01", pattern=_WORD),
            name=item.text("name", rule="BP-R01", pattern=_WORD),
            ttl_days=_days(item.text("ttl", rule="BP-R01", pattern=_TTL)),
        )
        for item in spec.sections("rotation", ("kind", "name", "ttl"), rule="BP-R01", limit=20)
    )


def _days(text: str) -> int:
    return int(text.removesuffix("d")) if re.fullmatch(_TTL, text) else 0


def _observability(spec: Section) -> Observability:
    section = spec.section("observability", ("metrics", "logs", "traces"))
    return Observability(
        metrics=section.choice("metrics", ("prometheus", "none"), rule="BP-O01", default="none"),
        logs=section.choice("logs", ("stdout",), rule="BP-O03", default="stdout"),
        traces=section.choice("traces", ("otlp", "none"), rule="BP-O01", default="none"),
    )


def _deprecation(spec: Section) -> None:
    if spec.has("deprecated"):
        deprecated = spec.section("deprecated", ("since", "replacedBy", "message"))
        deprecated.text("since", rule="BP-N04", pattern=names.VERSION)
        message = deprecated.section("message", ("en", "ar"))
        message.text("en", rule="BP-C01")
        message.text("ar", rule="BP-C01")
