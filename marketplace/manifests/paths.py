"""The complete list of paths that an Environment repository may hold."""

import re
from typing import Final

_APPLICATION: Final = r"(?![a-z0-9-]{54})[a-z](?:-?[a-z0-9])+"

#: An Application's slug (glossary §4): 2 to 53 characters.
APPLICATION: Final = re.compile(_APPLICATION)

#: Match with ``fullmatch``. Source: gitops.md §2.
ALLOWED_PATHS: Final = re.compile(
    r"README\.md|CODEOWNERS"
    r"|\.catalyst/(?:environment|lock)\.yaml"
    rf"|flux/(?:kustomization|{_APPLICATION})\.yaml"
    rf"|apps/{_APPLICATION}/(?:application|kustomization|source|release|objects|secrets)\.yaml"
)

#: ``flux/kustomization.yaml`` is the list of the folder, so no Application can have this name.
RESERVED_APPLICATIONS: Final = frozenset({"kustomization"})
