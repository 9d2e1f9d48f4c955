"""The main job with the keyboard alone: Tab, Enter, Space and arrows, and every place where the focus rests is seen."""

import re

import pytest

from tests.journeys.browser import Visit, visit
from tests.journeys.stack import ROOT, Stack

pytestmark = [pytest.mark.journey, pytest.mark.timeout(240)]

SCREENSHOTS = ROOT / "var" / "screenshots" / "buy-by-keyboard"
BUYER = "buyer@nizwa-honey.example"
#: Where the focus is, and whether a person sees it there: drawn around it or around the label that holds it.
_FOCUS = """() => {
  const here = document.activeElement;
  if (here === null || here === document.body) return null;
  const isDrawn = (element) => {
    const style = getComputedStyle(element);
    return (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0) || style.boxShadow !== "none";
  };
  const box = here.getBoundingClientRect();
  const isInside = box.width > 0 && box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth;
  const label = here.closest("label");
  return {
    what: here.outerHTML.slice(0, 120),
    isSeen: here.matches(":focus-visible") && isInside && (isDrawn(here) || (label !== null && isDrawn(label))),
  };
}"""
_MOST_STEPS = 60


def go_to(shopper: Visit, target: str) -> None:
    """Press Tab until the focus rests on what a selector names."""
    for _step in range(_MOST_STEPS):
        shopper.page.keyboard.press("Tab")
        focus = shopper.page.evaluate(_FOCUS)
        assert focus is None or focus["isSeen"], f"nobody sees the focus on {focus['what']}"
        if shopper.page.evaluate("target => document.activeElement.matches(target)", target):
            return
    raise AssertionError(f"{target} cannot be reached")


def skip_to_content(shopper: Visit) -> None:
    """Use the first thing on every page, which leads past the frame."""
    go_to(shopper, "a.skip")
    shopper.page.keyboard.press("Enter")
    assert shopper.page.evaluate("document.activeElement.id") == "main"


def press_on(shopper: Visit, target: str, key: str = "Enter") -> None:
    go_to(shopper, target)
    shopper.page.keyboard.press(key)


def test_the_keyboard_alone_buys(stack: Stack) -> None:
    with visit(SCREENSHOTS) as shopper:
        shopper.page.goto(f"{stack.address}/redeem?code=START-2")
        look_the_voucher_up(shopper)
        choose(shopper)
        sign_in(stack, shopper)
        pay(shopper)
        open_the_console(shopper)

    assert shopper.complaints == []


def look_the_voucher_up(shopper: Visit) -> None:
    skip_to_content(shopper)
    press_on(shopper, "button:not([name])")
    shopper.page.wait_for_selector("text=Use it in a new order")
    skip_to_content(shopper)
    press_on(shopper, "main form[action*='redeem/order'] button")
    shopper.page.wait_for_url("**/checkout/plan/**")


def choose(shopper: Visit) -> None:
    page = shopper.page
    skip_to_content(shopper)
    press_on(shopper, "input[name=plan]", "Space")
    for _plan in range(6):
        if page.is_checked("#plan-m"):
            break
        page.keyboard.press("ArrowDown")
    shopper.picture("plan")
    press_on(shopper, "main button.button-primary")
    page.wait_for_url("**/checkout/apps/**")
    skip_to_content(shopper)
    press_on(shopper, "#app-wordpress", "Space")
    page.wait_for_selector("text=Comes with:")
    # The new total came into the page, and the focus is where it was.
    assert page.evaluate("document.activeElement.id") == "app-wordpress"
    press_on(shopper, "main button.button-primary")
    page.wait_for_url("**/checkout/addons/**")
    skip_to_content(shopper)
    go_to(shopper, "#id_name")
    page.keyboard.type("Nizwa Honey")
    go_to(shopper, "#id_slug")
    page.keyboard.type("nizwa-honey")
    page.wait_for_selector("#slug-state:has-text('Available')")
    press_on(shopper, "main button.button-primary")


def sign_in(stack: Stack, shopper: Visit) -> None:
    page = shopper.page
    page.wait_for_selector("#id_email")
    skip_to_content(shopper)
    go_to(shopper, "#id_email")
    page.keyboard.type(BUYER)
    page.keyboard.press("Enter")
    page.wait_for_selector("#id_code")
    skip_to_content(shopper)
    go_to(shopper, "#id_code")
    page.keyboard.type(stack.sign_in_code(BUYER))
    page.keyboard.press("Enter")
    page.wait_for_url("**/checkout/review/**")


def pay(shopper: Visit) -> None:
    page = shopper.page
    skip_to_content(shopper)
    press_on(shopper, "form[action*='checkout/pay'] button")
    page.wait_for_selector("text=Sandbox: no money moves")
    press_on(shopper, "button[value=pay]")
    page.wait_for_url(re.compile(r"/orders/[A-Z]{3}-\d{4}-\d{6}/"))


def open_the_console(shopper: Visit) -> None:
    skip_to_content(shopper)
    shopper.picture("order")
    press_on(shopper, "main a.button-primary")
    shopper.page.wait_for_url("**/console/nizwa-honey/applications/**")
