"""The marketplace grid's question, read from the address, and its answer: cards, facets with counts, chips.

Within one facet any choice matches, across facets all must. A facet's counts leave its own choices out of account.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from django.http import QueryDict
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from marketplace.models import Category
from marketplace.selectors.catalogue import BlueprintCard
from marketplace.selectors.price_list import IndustryOffer

SORTS: dict[str, str | Promise] = {"recommended": _("Recommended"), "name": _("A–Z")}
AVAILABILITY: dict[str, str | Promise] = {"now": _("Available"), "soon": _("Coming soon")}
_MAX_CHOICES = 50


@dataclass(frozen=True, slots=True)
class Option:
    """One choice of a facet; ``address`` is the page's query without it."""

    value: str
    label: str | Promise
    count: int
    is_chosen: bool
    address: str


@dataclass(frozen=True, slots=True)
class Facet:
    key: str
    label: str | Promise
    options: list[Option]

    @property
    def chosen(self) -> list[Option]:
        return [option for option in self.options if option.is_chosen]


@dataclass(frozen=True, slots=True)
class Question:
    """What the reader asked for. Values that nobody offers match nothing; an unknown order is the default one."""

    search: str = ""
    sort: str = "recommended"
    choices: dict[str, frozenset[str]] = field(default_factory=dict)

    @classmethod
    def from_query(cls, query: QueryDict) -> "Question":
        sort = query.get("sort", "")
        return cls(
            search=query.get("q", "").replace("\x00", "").strip()[:200],
            sort=sort if sort in SORTS else "recommended",
            choices={key: frozenset(query.getlist(key)[:_MAX_CHOICES]) for key in ("category", "type", "availability")},
        )


class Grid:
    """The answer to a question over the cards that the search found."""

    def __init__(
        self,
        *,
        question: Question,
        query: QueryDict,
        cards: list[BlueprintCard],
        categories: Iterable[Category],
        industries: Iterable[IndustryOffer],
        language: str,
    ) -> None:
        self._question = question
        self._query = query
        self._cards = cards
        suggested = {each.slug: frozenset(each.suggested) for each in industries}
        self._matches: dict[str, Callable[[BlueprintCard, str], bool]] = {
            "category": lambda card, value: card.category == value,
            "type": lambda card, value: card.name in suggested.get(value, ()),
            "availability": lambda card, value: value == ("now" if card.is_installable else "soon"),
        }
        self.facets = [
            self._facet("category", _("Category"), [(each.slug, _title(each, language)) for each in categories]),
            self._facet("type", _("Business type"), [(each.slug, _title(each, language)) for each in industries]),
            self._facet("availability", _("Availability"), list(AVAILABILITY.items())),
        ]
        self.cards = self._sorted([card for card in cards if self._is_wanted(card)])

    @property
    def chips(self) -> list[Option]:
        return [option for facet in self.facets for option in facet.chosen]

    def _is_wanted(self, card: BlueprintCard, *, leaving_out: str = "") -> bool:
        return all(
            not values or key == leaving_out or any(self._matches[key](card, value) for value in values)
            for key, values in self._question.choices.items()
        )

    def _sorted(self, cards: list[BlueprintCard]) -> list[BlueprintCard]:
        return sorted(cards, key=lambda card: card.title.casefold()) if self._question.sort == "name" else cards

    def _facet(self, key: str, label: str | Promise, values: list[tuple[str, str | Promise]]) -> Facet:
        pool = [card for card in self._cards if self._is_wanted(card, leaving_out=key)]
        chosen = self._question.choices.get(key, frozenset())
        options = [
            Option(
                value=value,
                label=name,
                count=sum(self._matches[key](card, value) for card in pool),
                is_chosen=value in chosen,
                address=self._without(key, value),
            )
            for value, name in values
        ]
        return Facet(key, label, options)

    def _without(self, key: str, value: str) -> str:
        query = self._query.copy()
        query.setlist(key, [each for each in query.getlist(key) if each != value])
        query.pop("page", None)
        return f"?{query.urlencode()}"


def _title(row: Category | IndustryOffer, language: str) -> str:
    return (row.title_ar if language == "ar" else "") or row.title_en
