"""The main job, in a real browser against real processes: a voucher buys Applications, and they arrive as a commit."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.journeys.browser import Visit, visit
from tests.journeys.stack import ROOT, Stack

pytestmark = [pytest.mark.journey, pytest.mark.timeout(240)]

SCREENSHOTS = ROOT / "var" / "screenshots" / "buy-with-voucher"
PART = "START-2"
BUYER = "buyer@muscat-dates.example"


def test_a_voucher_and_a_card_buy_applications_that_arrive_as_a_commit(stack: Stack, tmp_path: Path) -> None:
    with visit(SCREENSHOTS) as shopper:
        look_the_voucher_up(stack, shopper)
        choose(shopper)
        sign_in(stack, shopper)
        pay(shopper)
        number = watch_it_arrive(shopper)
        commit = shopper.page.locator("details code").first.text_content()
        look_at_the_console(stack, shopper)
        stack.newest_mail(f"Order {number} confirmed")
        stack.newest_mail("Your apps are ready", f"To: {BUYER}")
        history = clone(stack, tmp_path)

    assert history == [commit]
    assert shopper.complaints == []


def look_the_voucher_up(stack: Stack, shopper: Visit) -> None:
    page = shopper.page
    page.goto(f"{stack.address}/redeem?code={PART}")
    assert page.input_value("#id_code") == PART
    page.click("text=Check the voucher")
    shopper.picture("voucher")
    page.click("text=Use it in a new order")


def choose(shopper: Visit) -> None:
    page = shopper.page
    shopper.picture("plan")
    page.check("#plan-m")
    page.click("text=Continue")
    page.check("#app-wordpress")
    page.wait_for_selector("text=Comes with:")
    shopper.picture("apps")
    page.click("button.button-primary:has-text('Continue')")
    page.fill("#id_name", "Muscat Dates")
    page.locator("#id_slug").press_sequentially("muscat-dates")
    page.wait_for_selector("#slug-state:has-text('Available')")
    shopper.picture("details")
    page.click("text=Continue to sign in")


def sign_in(stack: Stack, shopper: Visit) -> None:
    page = shopper.page
    page.fill("#id_email", BUYER)
    page.click("text=Send me a code")
    page.fill("#id_code", stack.sign_in_code(BUYER))
    shopper.picture("code")
    page.click("main button:has-text('Sign in')")
    page.wait_for_url("**/checkout/review/")


def pay(shopper: Visit) -> None:
    page = shopper.page
    shopper.picture("review")
    page.click("button:has-text('Pay')")
    page.wait_for_selector("text=Sandbox: no money moves")
    shopper.picture("card-page")
    page.click("button[value=pay]")
    page.wait_for_url(re.compile(r"/orders/[A-Z]{3}-\d{4}-\d{6}/"))


def watch_it_arrive(shopper: Visit) -> str:
    page = shopper.page
    shopper.picture("order-running")
    page.wait_for_selector("text=Everything is ready.", timeout=60_000)
    page.click("summary:has-text('Advanced')")
    shopper.picture("order-ready")
    return page.url.rstrip("/").rpartition("/")[2]


def look_at_the_console(stack: Stack, shopper: Visit) -> None:
    page = shopper.page
    page.goto(f"{stack.address}/console/")
    assert page.locator("[data-status=ready]").count() == 2
    shopper.picture("console-applications")
    page.click("a:has-text('Billing')")
    page.wait_for_selector("text=Credit ledger")
    shopper.picture("console-billing")


def clone(stack: Stack, folder: Path) -> list[str]:
    """Clone the Environment with the real Git and a token of the buyer; return its commits."""
    issued = stack.manage("issue_token", "--user", BUYER, "--organization", "muscat-dates")
    token = issued.strip().splitlines()[-1].split()[-1]
    address = stack.address.replace("://", f"://any:{token}@")
    command = ["git", "clone", "--quiet", f"{address}/git/muscat-dates/muscat-dates-prod.git", str(folder / "clone")]
    subprocess.run(command, check=True, timeout=30)
    log = ["git", "-C", str(folder / "clone"), "log", "--format=%H"]
    return subprocess.run(log, check=True, capture_output=True, text=True).stdout.split()
