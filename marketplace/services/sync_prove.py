"""Proves the versions that a frame of a catalogue index holds, from their bytes alone: no database, no network.

Source: docs/decisions/0011-signed-catalogue-index.md.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from django.utils.translation import gettext as _

from catalyst.core.names import BLUEPRINT, VERSION
from marketplace.services.blueprint_folder import BlueprintFolder
from marketplace.services.oci.artifact import ArtifactRefused, Descriptor, read_manifest
from marketplace.services.oci.index import Frame
from marketplace.services.oci.pack import unpack
from marketplace.services.sync_run import order_of
from marketplace.services.sync_written import WrittenJudge

IsWanted = Callable[[str, str], bool]


@dataclass(frozen=True, slots=True)
class Proven:
    """One version out of bytes of the digest. ``is_sound``: what is written in it was judged, and breaks no rule."""

    version: str
    digest: str
    found: BlueprintFolder | Exception
    is_sound: bool


def prove_frame(frame: Frame, judge: WrittenJudge, is_wanted: IsWanted) -> list[Proven]:
    """Return each wanted version of a frame, from old to new, or why it is none."""
    return [
        _prove(frame, judge, version, digest)
        for version, digest in sorted(frame.versions, key=lambda each: order_of(each[0]))
        if is_wanted(frame.name, version)
    ]


def unpack_version(frame: Frame, version: str, digest: str) -> BlueprintFolder:
    """Read one version out of a frame, as it would have been read from the registry.

    :raises ArtifactRefused: the frame holds no such artifact. :raises ContractRefused: it breaks the contract.
    """
    if re.fullmatch(BLUEPRINT, frame.name) is None:
        raise ArtifactRefused(_("Its name is not that of a Blueprint, like bp-wiki."))
    if re.fullmatch(VERSION, version) is None:
        raise ArtifactRefused(_("Its tag is not a version, like 1.2.3."))
    manifest = read_manifest(frame.blob(digest))
    return unpack(manifest, name=frame.name, version=version, fetch=lambda layer: _layer(frame, layer))


def _prove(frame: Frame, judge: WrittenJudge, version: str, digest: str) -> Proven:
    try:
        folder = unpack_version(frame, version, digest)
        return Proven(version, digest, folder, judge.is_sound(folder))
    except Exception as error:  # a fault of ours on hostile bytes refuses these bytes and no others
        return Proven(version, digest, error, is_sound=False)


def _layer(frame: Frame, layer: Descriptor) -> bytes:
    content = frame.blob(layer.digest)
    if len(content) != layer.size:
        raise ArtifactRefused(_("A part of the artifact has another size than its manifest says."))
    return content
