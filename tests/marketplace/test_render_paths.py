"""The list of paths an Environment repository may hold is complete: everything else is refused."""

import time

import pytest

from marketplace.manifests.paths import ALLOWED_PATHS


@pytest.mark.parametrize(
    "path",
    [
        *("README.md", "CODEOWNERS", ".catalyst/environment.yaml", ".catalyst/lock.yaml", "flux/kustomization.yaml"),
        *("flux/wp.yaml", "flux/shared-mysql.yaml", "apps/wp/application.yaml", "apps/a1/objects.yaml"),
        *(f"apps/{'x' * 53}/secrets.yaml", "apps/wp/source.yaml", "apps/wp/release.yaml", "apps/wp/kustomization.yaml"),
    ],
)
def test_allows(path: str) -> None:
    assert ALLOWED_PATHS.fullmatch(path)


@pytest.mark.asvs("5.3.2")
@pytest.mark.parametrize(
    "path",
    [
        *("readme.md", "README.md\n", "README", "docs/x.md", ".catalyst/x.yaml", ".catalyst/lock.yml", "x/README.md"),
        *(
            "flux/w.yaml",
            "flux/-wp.yaml",
            "flux/wp-.yaml",
            "flux/w--p.yaml",
            "flux/WP.yaml",
            "flux/wp.yml",
            "flux/1p.yaml",
        ),
        *(
            "apps/wp/values.yaml",
            "apps/wp",
            "apps/wp/",
            "apps/../objects.yaml",
            "apps/wp/../objects.yaml",
            "apps//objects.yaml",
        ),
        *(f"apps/{'x' * 54}/objects.yaml", f"flux/{'x' * 54}.yaml", "apps/wp\n/objects.yaml", "apps/wp/objects.yaml\n"),
        *(
            ".git/config",
            ".gitmodules",
            ".gitattributes",
            "apps/.git/objects.yaml",
            "/README.md",
            "apps\\wp\\objects.yaml",
        ),
        *("apps/wp/objects.yaml\x00", "apps/wördpress/objects.yaml", "apps/w\u200bp/objects.yaml", ""),
    ],
)
def test_refuses(path: str) -> None:
    assert ALLOWED_PATHS.fullmatch(path) is None


def test_decides_at_once_on_a_hostile_length() -> None:
    started = time.monotonic()

    assert ALLOWED_PATHS.fullmatch("apps/" + "a-" * 50_000 + "/objects.yaml") is None
    assert time.monotonic() - started < 0.05
