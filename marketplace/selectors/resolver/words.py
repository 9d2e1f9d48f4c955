"""Turns an explanation into sentences that people can act on.

Only names stand here that the reader's own index, lock and wishes hold.
"""

from collections.abc import Iterable, Iterator

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from marketplace.selectors.resolver.explain import Explanation, Question, Relaxation
from marketplace.selectors.resolver.graph import MAX_DEPTH, MAX_NODES, Candidate
from marketplace.selectors.resolver.problem import Demand, ranked
from marketplace.selectors.resolver.search import Wall
from marketplace.selectors.version_ranges import is_allowed

_NAMED_VERSIONS = 3
_NAMED_SENTENCES = 6


def conflict_text(question: Question, explanation: Explanation) -> str:
    """Return the whole message: who needs what, what else is in the way, what would fit."""
    demands = [_demand_text(question, demand) for demand in explanation.demands]
    held = _held_texts(question, explanation)
    walls = [_wall_text(question, wall) for wall in explanation.walls]
    ways = [_way_text(question, way) for way in explanation.relaxations]
    sentences = [*_shortened(demands), *_shortened(held), *_shortened(walls), *_shortened(ways)]
    return " ".join(sentences) or _("These Applications cannot run together.")


def undecided_text() -> str:
    return _(
        "We could not decide in time which versions fit together. Choose fewer Applications, or give exact versions."
    )


def too_large_text() -> str:
    return _("An installation has at most %(limit)d Applications.") % {"limit": MAX_NODES}


def _shortened(sentences: Iterable[str]) -> list[str]:
    """Keep what a person reads; the rest stands in the explanation."""
    return list(dict.fromkeys(sentences))[:_NAMED_SENTENCES]


def _demand_text(question: Question, demand: Demand) -> str:
    words = {"who": _who(question, demand), "blueprint": demand.blueprint, "range": demand.range}
    wanted = f"{demand.blueprint} {demand.range}"
    known = [*question.index.get(demand.blueprint, ()), *_running(question, demand.blueprint)]
    if not any(is_allowed(each.version, demand.range) for each in known):
        return _absent_text(question, demand.application if demand.alias else "", words["who"], wanted)
    if not demand.alias:
        return _("You ask for %(blueprint)s %(range)s.") % words
    return _("%(who)s needs %(blueprint)s %(range)s.") % words


def _absent_text(question: Question, application: str, who: str, wanted: str) -> str:
    """Say that there is no such version, and who needs it, unless only one Application was asked for."""
    words = {"who": who, "wanted": wanted}
    if not application or [root.application for root in question.roots] == [application]:
        return _("No published version of %(wanted)s can be installed.") % words
    return _("No published version of %(wanted)s can be installed; %(who)s needs it.") % words


def _who(question: Question, demand: Demand) -> str:
    """Return the Application with the versions that ask for this: "blog 2.1.0, 2.0.0 and 3 more versions"."""
    candidates = [each for each in _candidates(question, demand) if _asks(each, demand)]
    versions = list(dict.fromkeys(each.version for each in candidates))
    named = ", ".join(versions[:_NAMED_VERSIONS])
    more = len(versions) - _NAMED_VERSIONS
    if more > 0:
        rest = ngettext("and %(count)d more version", "and %(count)d more versions", more) % {"count": more}
        return f"{demand.application} {named} {rest}"
    return f"{demand.application} {named}".strip()


def _candidates(question: Question, demand: Demand) -> list[Candidate]:
    """Return the versions that the Application behind a demand may have."""
    entry = next((each for each in question.locked.entries if each.application == demand.application), None)
    if entry and not question.options.may_move(entry.application):
        return [entry.candidate]
    root = next((each for each in question.roots if each.application == demand.application), None)
    wanted = root.range if root else ""
    known = [each for each in question.index.get(demand.by, ()) if not wanted or is_allowed(each.version, wanted)]
    return ranked([*known, *([entry.candidate] if entry else [])])


def _asks(candidate: Candidate, demand: Demand) -> bool:
    return any(edge.alias == demand.alias and edge.range == demand.range for edge in candidate.depends)


def _running(question: Question, blueprint: str) -> list[Candidate]:
    return [entry.candidate for entry in question.locked.entries if entry.candidate.blueprint == blueprint]


def _held_texts(question: Question, explanation: Explanation) -> Iterator[str]:
    wanted = {demand.blueprint for demand in explanation.demands}
    for entry in sorted(question.locked.entries, key=lambda entry: entry.application):
        if entry.candidate.blueprint in wanted:
            yield _("%(application)s runs %(blueprint)s %(version)s.") % {
                "application": entry.application,
                "blueprint": entry.candidate.blueprint,
                "version": entry.candidate.version,
            }


def _wall_text(question: Question, wall: Wall) -> str:
    words = {
        "application": wall.application,
        "blueprint": wall.blueprint,
        "detail": wall.detail,
        "path": " → ".join(wall.path),
        "limit": MAX_DEPTH,
    }
    if wall.kind == "sharing":
        return _sharing_text(wall)
    if wall.kind == "absent" and question.index.get(wall.blueprint):
        return _deprecated_text(wall) % words
    if wall.kind == "absent":
        wanted = f"{wall.blueprint} {wall.detail}".strip()
        return _absent_text(question, wall.application, wall.application, wanted)
    texts = {
        "name": _("%(application)s needs a %(blueprint)s named %(detail)s, and that name is taken."),
        "binding": _("%(application)s is to use %(detail)s, which is not there."),
        "cycle": _("Dependency cycle: %(path)s."),
        "deep": _("Dependencies are deeper than %(limit)d: %(path)s."),
    }
    return texts[wall.kind] % words


def _deprecated_text(wall: Wall) -> str:
    if wall.application:
        return _(
            "%(application)s needs %(blueprint)s, which is deprecated: what runs keeps it, and nothing new gets it."
        )
    return _("%(blueprint)s is deprecated: what runs keeps it, and nothing new gets it.")


def _sharing_text(wall: Wall) -> str:
    """Tell what cannot be shared or dedicated, and name the versions that can."""
    words = {"application": wall.application, "blueprint": wall.blueprint, "versions": ", ".join(wall.path)}
    if wall.detail == "dedicated" and wall.path:
        return _("Of %(blueprint)s only %(versions)s can be dedicated, as %(application)s asks.") % words
    if wall.detail == "dedicated":
        return _("%(blueprint)s cannot be dedicated, as %(application)s asks.") % words
    if wall.path:
        return _("Of %(blueprint)s only %(versions)s can be shared, as %(application)s asks.") % words
    return _("%(blueprint)s cannot be shared, as %(application)s asks.") % words


def _way_text(question: Question, way: Relaxation) -> str:
    words = {"application": way.application, "blueprint": way.blueprint, "version": way.version}
    if way.kind == "range":
        return _("%(application)s %(version)s would fit.") % words
    if way.kind == "unlock":
        entry = next(each for each in question.locked.entries if each.application == way.application)
        words["from"] = entry.candidate.version
        return _("It would fit if %(application)s moved from %(from)s to %(version)s.") % words
    return _("It would fit if %(application)s had a %(blueprint)s of its own.") % words
