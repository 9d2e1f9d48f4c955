"""The main job in a browser that runs no scripts: buying, watching, configuring and upgrading."""

import re
import time

import pytest

from tests.journeys.browser import Visit, visit
from tests.journeys.stack import ROOT, Stack

pytestmark = [pytest.mark.journey, pytest.mark.timeout(240)]

SCREENSHOTS = ROOT / "var" / "screenshots" / "buy-without-scripts"
BUYER = "buyer@sur-boats.example"
CONSOLE = "/console/sur-boats"
WORDPRESS = f"{CONSOLE}/applications/prod/wordpress/"
#: Publishes a patch of what was bought, as the catalogue's sync would store it.
_NEWER = """
from marketplace.models import BlueprintVersion
row = BlueprintVersion.objects.filter(blueprint__name="bp-wordpress", blueprint__source="public").latest("pk")
row.pk, row.patch, row.digest = None, row.patch + 1, "sha256:" + "0" * 64
before, row.version = row.version, f"{row.major}.{row.minor}.{row.patch}"
row.files["blueprint.yaml"] = row.files["blueprint.yaml"].replace(f"version: {before}", f"version: {row.version}", 1)
row.contract["metadata"]["version"] = row.version
row._state.adding = True
row.save()
print(row.version)
"""


def test_everything_works_without_scripts(stack: Stack) -> None:
    with visit(SCREENSHOTS, runs_scripts=False) as shopper:
        buy(stack, shopper)
        wait_for(stack, shopper, f"{CONSOLE}/applications/", f"a[href='{WORDPRESS}']")
        configure(stack, shopper)
        upgrade(stack, shopper)

    assert shopper.complaints == []


def buy(stack: Stack, shopper: Visit) -> None:
    page = shopper.page
    page.goto(f"{stack.address}/redeem?code=START-2")
    page.click("text=Check the voucher")
    page.click("text=Use it in a new order")
    page.check("#plan-m")
    page.click("text=Continue")
    page.check("#app-wordpress")
    page.click("text=Update the total")
    page.wait_for_selector("text=Comes with:")
    page.click("button.button-primary:has-text('Continue')")
    page.fill("#id_name", "Sur Boats")
    page.fill("#id_slug", "sur-boats")
    page.click("text=Continue to sign in")
    page.fill("#id_email", BUYER)
    page.click("text=Send me a code")
    page.fill("#id_code", stack.sign_in_code(BUYER))
    page.click("main button:has-text('Sign in')")
    page.wait_for_url("**/checkout/review/")
    shopper.picture("review")
    page.click("button:has-text('Pay')")
    page.click("button[value=pay]")
    # The page that waits for the payment reloads itself.
    page.wait_for_url(re.compile(r"/orders/[A-Z]{3}-\d{4}-\d{6}/"))
    page.wait_for_selector("text=Order confirmed")
    shopper.picture("order")


def configure(stack: Stack, shopper: Visit) -> None:
    page = shopper.page
    page.click(f"a[href='{WORDPRESS}']")
    page.click("text=Configure")
    page.check("input[name=size][value=medium]")
    shopper.picture("configure")
    page.click("main button:has-text('Save')")
    wait_for(stack, shopper, f"{WORDPRESS}configure/", "input[value=medium][checked]")


def upgrade(stack: Stack, shopper: Visit) -> None:
    page = shopper.page
    newer = stack.manage("shell", "-c", _NEWER).strip().splitlines()[-1]
    wait_for(stack, shopper, f"{CONSOLE}/prod/upgrades/", f"label:has-text('→ {newer}')")
    page.check("input[value=wordpress]")
    page.click("main button:has-text('See what changes')")
    page.wait_for_selector("text=It was asked for.")
    shopper.picture("upgrades")
    page.goto(f"{stack.address}{WORDPRESS}")
    page.click("main a:has-text('See what changes') >> nth=0")
    shopper.picture("upgrade")
    page.click("text=Upgrade now")
    page.wait_for_selector("text=The upgrade has begun.")
    wait_for(stack, shopper, f"{CONSOLE}/prod/upgrades/", "text=Everything has the newest version")


def wait_for(stack: Stack, shopper: Visit, path: str, sign: str) -> None:
    """Load a page again until it shows a sign, as a person does."""
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline:
        shopper.page.goto(f"{stack.address}{path}")
        if shopper.page.locator(sign).count():
            return
        shopper.page.wait_for_timeout(300)
    raise AssertionError(f"{path} does not show {sign!r}")
