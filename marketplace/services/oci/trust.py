"""From a manifest to the one key of ours that signed it. Everything that is not clearly signed is refused.

Source: blueprints.md §6, security.md S34 of the design.
"""

from collections.abc import Sequence
from datetime import datetime

from django.utils.translation import gettext as _

from marketplace.models import TrustedKey
from marketplace.services.oci.artifact import ArtifactRefused, read_manifest
from marketplace.services.oci.cosign import (
    ANNOTATION,
    MAX_PAYLOAD,
    MAX_SIGNATURES,
    PAYLOAD,
    is_signed,
    signature_tag,
)
from marketplace.services.oci.keys import KeyRefused, read_public_key
from marketplace.services.oci.registry import Location, LocationRefused, Registry

Signed = tuple[bytes, str]


class NobodyTrusted(LocationRefused):
    """No key may sign what lies there, so nothing of it can ever be accepted."""

    code = "nobody_trusted"


def keys_for(location: Location, *, at: datetime) -> list[TrustedKey]:
    """List the keys that may sign what lies in this folder of this registry.

    :raises NobodyTrusted: there are none.
    """
    keys = list(TrustedKey.objects.valid_for(str(location), at=at).order_by("pk"))
    if not keys:
        raise NobodyTrusted(
            _("No key is trusted for %(location)s. Add the publisher's with manage.py trust_key.")
            % {"location": location}
        )
    return keys


def fetch_signatures(registry: Registry, repository: str, digest: str) -> list[Signed]:
    """Fetch the signed texts that lie beside an artifact, with their signatures. They prove nothing yet.

    :raises ArtifactRefused: there are none, or they are malformed.
    """
    source = registry.manifest(repository, signature_tag(digest))
    if source is None:
        raise ArtifactRefused(_("It is not signed."))
    layers = [layer for layer in read_manifest(source).layers if layer.media_type == PAYLOAD]
    if not layers:
        raise ArtifactRefused(_("It is not signed."))
    if len(layers) > MAX_SIGNATURES or any(layer.size > MAX_PAYLOAD for layer in layers):
        raise ArtifactRefused(_("Its signatures are too many or too large."))
    return [
        (registry.blob(repository, layer.digest, size=layer.size), layer.annotations.get(ANNOTATION, ""))
        for layer in layers
    ]


def find_signer(signatures: Sequence[Signed], *, digest: str, keys: Sequence[TrustedKey]) -> TrustedKey:
    """Return the first of our keys that signed exactly this digest. The name of a repository in it is not judged:
    a mirror has another one, and name and version stand in the signed bytes themselves.

    :raises ArtifactRefused: none did.
    """
    for key in keys:
        try:
            public = read_public_key(key.public_key.encode())
        except KeyRefused:
            continue
        if any(is_signed(payload, signature, digest=digest, key=public) for payload, signature in signatures):
            return key
    raise ArtifactRefused(_("None of its signatures is one of this very artifact by a key that is trusted for it."))
