"""Putting a reviewed version of one of the Sovereign's own Blueprints on the shelf.

It is linted once more, its effect on what runs is counted and recorded, and a second person does it. Source:
docs/blueprints.md, "Life of a version"; blueprints.md §1 (shadowing) and §5 (10) of the design.
"""

from datetime import datetime
from http import HTTPStatus

from django.utils.translation import gettext as _

from catalyst.core.database import use_case
from catalyst.core.errors import DomainError, InvalidTransition, NotFound
from marketplace.models import Availability, Blueprint, BlueprintVersion, Category, Price
from marketplace.selectors.blueprint_index import NEARNESS
from marketplace.selectors.impact import Impact, impact_of
from marketplace.selectors.releases import SHOWN
from marketplace.services.blueprint_contract import ContractRefused, Finding
from marketplace.services.blueprint_folder import BlueprintFolder, check_files, folder_name
from marketplace.services.blueprint_lint import Shelf, is_refused, lint_files, published_versions
from marketplace.services.blueprint_versions import State, check_other_person, step
from marketplace.services.catalogue_seed import card_of_folder
from marketplace.services.sync_catalog import SyncReport, first_prices, is_newest, settle_row, wait_for_others
from tenancy.models import User
from tenancy.selectors.organizations import organizations_of


class ShadowUnconfirmed(DomainError):
    """The name is another publisher's too, and would mean something else from now on."""

    code = "shadow_unconfirmed"
    status = HTTPStatus.CONFLICT


def publish_version(*, version_id: int, actor: User, now: datetime, shadows: bool = False) -> Impact:
    """Publish what is in review, and return what that means for what runs.

    ``shadows`` confirms that the name may cover the same name of a farther source. The linter and the count of the
    effect take their time outside the transaction, which then takes the step only from the state that they saw.

    :raises ContractRefused: it breaks a rule among what stands on the shelf now.
    :raises OwnSubmission: the same person handed it over. :raises ShadowUnconfirmed: the name is taken farther away.
    :raises InvalidTransition: it is not in review. :raises NotFound: it does not exist.
    """
    version = BlueprintVersion.objects.select_related("blueprint").filter(pk=version_id).first()
    if version is None:
        raise NotFound(_("Not found."))
    if version.state != State.REVIEW:
        raise InvalidTransition(_("Only what is in review can be published. Submit the draft first."))
    check_other_person(version, actor)
    folder = judged_folder(version)
    impact = impact_of(version, now=now, own=[row.pk for row in organizations_of(actor)])
    _publish(version_id=version_id, folder=folder, impact=impact, actor=actor, now=now, shadows=shadows)
    return impact


def findings_of(version: BlueprintVersion) -> list[Finding]:
    """Return what the linter says of a stored version among what its readers may use today."""
    name, source = version.blueprint.name, version.blueprint.source
    # One name has one owner: the nearest source has it wholly.
    seen = Blueprint.objects.visible_to(None).exclude(name=name)
    nearest = {each.name: each.pk for each in sorted(seen, key=lambda each: NEARNESS[each.source], reverse=True)}
    offered = BlueprintVersion.objects.installable().select_related("blueprint")
    others, own = offered.filter(blueprint__in=nearest.values()), offered.filter(blueprint=version.blueprint_id)
    shelf = Shelf(
        published={
            **published_versions(others.defer("files"), with_files=False),
            **published_versions(own, with_files=True),
        },
        categories=frozenset(Category.objects.filter(retired_at=None).values_list("slug", flat=True)),
        source=source,
    )
    files = {path: text.encode() for path, text in version.files.items()}
    return list(lint_files(files, shelf=shelf, folder=folder_name(name, source)))


def judged_folder(version: BlueprintVersion) -> BlueprintFolder:
    """Return the folder of a version that passes the linter.

    :raises ContractRefused: it does not; warnings pass.
    """
    findings = findings_of(version)
    if is_refused(findings):
        raise ContractRefused([each for each in findings if not each.is_warning])
    source = version.blueprint.source
    return check_files(folder_name(version.blueprint.name, source), version.files, source=source)


def shadowed_by(version: BlueprintVersion, visibility: str) -> bool:
    """Tell whether publishing would cover the same name of a farther source for the first time."""
    blueprint = version.blueprint
    if blueprint.visibility != Blueprint.Visibility.PRIVATE or visibility == Blueprint.Visibility.PRIVATE:
        return False
    farther = [source for source in NEARNESS if NEARNESS[source] > NEARNESS[blueprint.source]]
    return Blueprint.objects.filter(name=blueprint.name, source__in=farther).exists()


@use_case
def _publish(
    *, version_id: int, folder: BlueprintFolder, impact: Impact, actor: User, now: datetime, shadows: bool
) -> None:
    """Take the step, and write the card and the first price.

    :raises InvalidTransition: :raises OwnSubmission: :raises ShadowUnconfirmed: as ``publish_version``.
    """
    wait_for_others()
    counted = {"locks": dict(impact.locks), "organizations": impact.organizations}
    version = step(version_id, "published", before=State.REVIEW, after=State.PUBLISHED, actor=actor, impact=counted)
    check_other_person(version, actor)
    if shadowed_by(version, folder.contract.visibility) and not shadows:
        text = _("%(name)s exists in the public catalogue. Confirm that yours takes its place on this Sovereign.")
        raise ShadowUnconfirmed(text % {"name": version.blueprint.name}, pointer="/shadows")
    version.published_at = now
    version.save(update_fields=["published_at"])
    _write_card(version, folder)
    if folder.contract.kind != Blueprint.Kind.SERVICE:
        priced = [(Price.Kind.BLUEPRINT.value, folder.contract.name, folder.contract.monthly_minor)]
        first_prices(list(priced), now=now, report=SyncReport())


def _write_card(version: BlueprintVersion, folder: BlueprintFolder) -> None:
    """Let the newest version write the card; who may see it is the contract's word also where a person edited texts."""
    blueprint = version.blueprint
    others = blueprint.versions.filter(state__in=SHOWN).exclude(pk=version.pk).values_list("version", flat=True)
    if not is_newest(version.version, others):
        return
    category = Category.objects.get(slug=folder.contract.card.category)
    values = card_of_folder(folder) | {"category": category, "state": Availability.NOW}
    visibility = values.pop("visibility")
    Blueprint.objects.filter(pk=blueprint.pk).update(visibility=visibility)
    settle_row(Blueprint, blueprint, blueprint.slug, values, SyncReport())
