"""The rules of publishing: id, what is wrong when one is broken, how to put it right.

The words of a finding come from here, so that console, push answer and API say the same.

Source: blueprints.md §7 of the design.
"""

from dataclasses import dataclass
from typing import Final

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from marketplace.services.blueprint_contract import Finding


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule; a broken warning refuses nothing."""

    id: str
    problem: Promise | str
    fix: Promise | str
    is_warning: bool = False


_TABLE = (
    Rule("BP-N01", _("The name or version has the wrong form."), _("Write bp-<name> and a version like 1.2.0.")),
    Rule("BP-N02", _("The folder has another name."), _("Name the folder like the Blueprint, without bp-.")),
    Rule("BP-N03", _("This version is published with other bytes."), _("Raise the version.")),
    Rule("BP-N04", _("The document is not plain, or has an unknown field."), _("Keep to docs/blueprints.md.")),
    Rule("BP-N05", _("This prefix is reserved."), _("Choose another name.")),
    Rule("BP-N06", _("The name can be mistaken for another one."), _("Choose letters and a name that differ clearly.")),
    Rule("BP-C01", _("The card is not complete in English and Arabic."), _("Write the missing text.")),
    Rule("BP-C02", _("This category does not exist."), _("Choose one of the catalogue.")),
    Rule("BP-C03", _("This icon is refused."), _("Draw with plain shapes, at most 6 KB, without outside references.")),
    Rule(
        "BP-C04",
        _("A screenshot is missing, too large, or not described."),
        _("Keep it below 200 KB and show it in both descriptions with a text in the brackets."),
    ),
    Rule(
        "BP-C05", _("The license is not the one of what is packaged."), _("Write the SPDX id that the package states.")
    ),
    Rule("BP-C06", _("The Markdown holds HTML, a remote image or an unsafe link."), _("Write plain Markdown.")),
    Rule("BP-S01", _("The schema leaves the subset or its limits."), _("Keep to docs/blueprints.md.")),
    Rule("BP-S02", _("A property is not explained."), _("Add title and description in English and Arabic.")),
    Rule("BP-S03", _("A default breaks its own schema."), _("Correct it.")),
    Rule("BP-S04", _("A secret has no default."), _("Remove the default.")),
    Rule("BP-S05", _("Hosts, sizes and secrets stay in their Environment."), _("Add x-catalyst-env-specific: true.")),
    Rule("BP-S06", _("An example or overlay breaks the schema."), _("Correct its values, or the schema.")),
    Rule("BP-D01", _("The range is not bounded or not a range."), _("Write a bounded range like ^1.2.")),
    Rule("BP-D02", _("No published version matches."), _("Publish the dependency first, or widen the range.")),
    Rule("BP-D03", _("The alias is not valid or stands twice."), _("Give each dependency its own short name.")),
    Rule("BP-D04", _("The dependencies form a cycle or are too deep."), _("Take one dependency out.")),
    Rule("BP-D05", _("A condition or value names what does not exist."), _("Name a property that both sides have.")),
    Rule("BP-D06", _("The dependency cannot be shared like this."), _("Choose what its exposes.sharing offers.")),
    Rule(
        "BP-M01", _("The source of the manifests is not clear."), _("Give one folder of kind Kustomize or HelmChart.")
    ),
    Rule(
        "BP-M02", _("The bytes of an upstream chart are not inside."), _("Vendor each dependency below chart/charts/.")
    ),
    Rule("BP-M03", _("The upstream version differs between places."), _("Write the same version everywhere.")),
    Rule("BP-M04", _("The default render fails or is empty."), _("Make it render without any setting.")),
    Rule("BP-M05", _("Two renders would differ."), _("Use no time, random value, look-up or generated certificate.")),
    Rule(
        "BP-M06",
        _("A hook, a custom resource definition, a link or a remote base is refused."),
        _("Ship plain files that need nothing from outside."),
    ),
    Rule(
        "BP-M07", _("The labels are not the platform's."), _("Select by app.kubernetes.io/component and set no other.")
    ),
    Rule(
        "BP-M08", _("Requests or limits are missing or exceed the footprint."), _("State both, within the footprint.")
    ),
    Rule("BP-M09", _("The image is not an exact release."), _("Pin a digest, or an exact tag of an allowed registry.")),
    Rule("BP-M10", _("A serving container has no probes."), _("Add readinessProbe and livenessProbe.")),
    Rule("BP-M11", _("The namespace or release name is set."), _("Leave both to the platform.")),
    Rule(
        "BP-X01", _("The signature of this image is not known."), _("Sign it, or take a signed one."), is_warning=True
    ),
    Rule("BP-X02", _("The artifact has no bill of materials."), _("Attach a CycloneDX document.")),
    Rule("BP-X03", _("This looks like a secret in plain text."), _("Read it from the secret store by a reference.")),
    Rule("BP-X04", _("The pod is not restricted."), _("Follow the restricted pod security standard.")),
    Rule("BP-X05", _("This kind of object is refused."), _("Use the kinds of docs/blueprint-manifests.md.")),
    Rule("BP-X06", _("The pod gets a token of the cluster."), _("Write automountServiceAccountToken: false.")),
    Rule(
        "BP-X07",
        _("The network is not closed by default."),
        _("Add a NetworkPolicy for all pods that states each way."),
    ),
    Rule("BP-X08", _("Only the platform may ship objects of this kind."), _("Take them out.")),
    Rule("BP-O01", _("Monitoring is on by default."), _("Turn it off; people opt in.")),
    Rule(
        "BP-O02",
        _("Metrics are promised but nothing collects them."),
        _("Add a monitor: in overlays/metrics, or in a chart behind a toggle."),
    ),
    Rule("BP-O03", _("Nothing says where logs and metrics go."), _("Fill in observability."), is_warning=True),
    Rule("BP-U01", _("The previous release is neither allowed nor blocked."), _("Add it to upgrades.from or blocks.")),
    Rule("BP-U02", _("A version is both allowed and blocked."), _("Make the ranges of upgrades disjoint.")),
    Rule("BP-U03", _("A part that cannot change did change."), _("Keep it, or block the older versions.")),
    Rule("BP-R01", _("The rotated secret is not rendered, or its time is out of range."), _("Name a rendered secret.")),
    Rule("BP-T01", _("tests/integration.yaml is missing or fails."), _("Write cases that hold.")),
    Rule("BP-T02", _("tests/upgrade.yaml is missing or fails."), _("Write a case for each range in upgrades.from.")),
    Rule("BP-P01", _("The price or footprint is not possible."), _("Write 0, or a multiple of 10 from 200.")),
)
RULES: Final = {rule.id: rule for rule in _TABLE}


def broken(rule: str, file: str, field: str = "", *, line: int = 0, detail: str = "") -> Finding:
    """Return the finding of one rule; ``detail`` is data (a name, a version, a message), never a sentence of ours."""
    words = RULES[rule]
    problem = f"{words.problem} ({detail})" if detail else str(words.problem)
    return Finding(rule, field, problem, str(words.fix), line, file, words.is_warning)
