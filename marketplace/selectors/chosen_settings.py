"""What chosen Blueprints must be told before they can be installed: required settings that have no default."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from catalyst.core.errors import DomainError
from marketplace.selectors.offer import load_offer
from marketplace.selectors.own_hosts import is_host
from marketplace.selectors.selection import lock_selection, settings_of
from tenancy.models import Organization


@dataclass(frozen=True, slots=True)
class ChosenSettings:
    """One chosen Blueprint with the whole configSchema of the version that would be installed."""

    name: str
    title: str
    schema: Mapping[str, Any]

    @property
    def emails(self) -> list[str]:
        """The required e-mail addresses: the buyer's own is meant where nobody gives one."""
        properties = self.schema["properties"]
        return [name for name in self._asked() if properties[name].get("format") == "email"]

    @property
    def questions(self) -> Mapping[str, Any]:
        """The part of the schema that must be asked: what is required and has no default.

        Left out are e-mail addresses, which are asked once for all, and hosts, which the platform gives.
        """
        emails = self.emails
        names = [name for name in self._asked() if name not in emails and not is_host(self.schema["properties"][name])]
        asked = {"type": "object", "required": names, "properties": {}}
        asked["properties"] = {name: self.schema["properties"][name] for name in names}
        return {**asked, "oneOf": self.schema["oneOf"]} if "oneOf" in self.schema else asked

    def _asked(self) -> list[str]:
        properties = self.schema["properties"]
        named = [name for name in self.schema.get("required", ()) if name in properties]
        return [name for name in named if "default" not in properties[name]]


def list_chosen_settings(
    blueprints: Iterable[str],
    *,
    currency: str,
    at: datetime,
    config: Mapping[str, Any] | None = None,
    organization: Organization | None = None,
) -> list[ChosenSettings]:
    """Return the settings of Blueprints by name, in the order of the names; of what cannot be had there are none."""
    offer = load_offer(organization, currency=currency, at=at)
    chosen = tuple(dict.fromkeys(name for name in blueprints if name in offer.for_sale))
    try:
        settings = settings_of(offer, lock_selection(offer, chosen, config or {}), chosen)
    except DomainError:
        # Why it cannot be had is said where the selection is priced.
        return []
    whole = {name: {"type": "object", "properties": {}, **settings[name]} for name in chosen if name in settings}
    return [ChosenSettings(name, offer.listings[name].title, schema) for name, schema in whole.items()]
