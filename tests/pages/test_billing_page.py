"""The billing pages of the console: what is paid, what comes next, change, end, keep; by role and in both languages."""

import re
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from django.utils.formats import date_format

from billing.models import Checkout, Order, Subscription, SubscriptionChange
from billing.services.order_mail import mail_order_confirmed
from tenancy.models import Membership
from tests import factories
from tests.billing.changing import in_period, install, stock, subscribe, untouched
from tests.billing.shop import PLAN_MINOR, Shop
from tests.billing.subscribed import let_contain, let_owe

pytestmark = pytest.mark.django_db(transaction=True)

BILLING = "/console/acme/billing/"
CHANGE, DROP, CANCEL, RESUME = (f"{BILLING}prod/{name}/" for name in ("change", "change/drop", "cancel", "resume"))


@pytest.fixture
def live(shop: Shop, client: Client) -> Subscription:
    """A subscription at the half of its period of 30 days, looked at by its administrator."""
    stock(shop)
    client.force_login(shop.buyer)
    half = timezone.now() + timedelta(minutes=1)
    return in_period(subscribe(shop), half - timedelta(days=15), half + timedelta(days=15))


def page(client: Client, address: str, status: int = 200) -> str:
    response = client.get(address)
    assert response.status_code == status
    return str(response.content.decode())


def hidden(html: str) -> dict[str, Any]:
    """Return what the confirmation form would send."""
    fields: dict[str, Any] = {}
    for name, value in re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', html):
        fields.setdefault(name, []).append(value)
    fields.pop("csrfmiddlewaretoken", None)
    return fields


def test_it_says_what_is_paid_and_what_comes_next(live: Subscription, client: Client) -> None:
    html = page(client, BILLING)

    assert "OMR\u00a050.000" in html
    assert "Next charge on" in html
    assert "BookStack" not in html
    assert f'href="{CHANGE}"' in html
    assert "does not cover" not in html


def test_it_warns_before_the_credit_runs_out(live: Subscription, shop: Shop, client: Client) -> None:
    dear = {"kind": "plan", "reference": "m", "title": "M", "title_ar": "M", "quantity": 1, "unit_minor": 190_000}
    let_contain(live, [dear])

    html = page(client, BILLING)

    assert "Your credit does not cover the next charge" in html
    assert "OMR\u00a040.000" in html


def test_a_missing_payment_is_said_with_its_reason_and_its_end(live: Subscription, client: Client) -> None:
    # An evening in UTC is the next day already where the page is read.
    since = (timezone.now() - timedelta(days=2)).replace(hour=21, minute=30, second=0, microsecond=0)
    ends = timezone.localtime(since + timedelta(days=7))
    let_owe(live, since=since)

    html = page(client, BILLING)

    assert "Your credit did not cover the last charge" in html
    assert 'action="/console/acme/billing/card/"' in html
    assert f'<time datetime="{ends.isoformat()}">{date_format(ends, "DATE_FORMAT")}</time>' in html
    assert "Change plan or contents" not in html


def test_a_larger_plan_is_chosen_looked_at_and_paid_from_credit(live: Subscription, client: Client) -> None:
    asked = page(client, CHANGE)
    assert 'value="l"' in asked
    assert "Yours" in asked

    looked = page(client, f"{CHANGE}?review=1&plan=l&add=bp-bookstack")
    assert "OMR\u00a017.000" in looked
    assert "OMR\u00a084.000" in looked
    done = client.post(CHANGE, hidden(looked))

    assert done.status_code == 303
    order = Order.objects.order_by("-id")[0]
    assert done.headers["Location"] == f"/orders/{order.number}/"
    assert (order.total_minor, order.state) == (17_000, "paid")
    assert page(client, f"/orders/{order.number}/").count("for the rest of the period") == 2
    assert "OMR\u00a084.000" in page(client, BILLING)


def test_a_change_that_installs_nothing_is_ready_when_it_is_paid(
    live: Subscription, client: Client, mailoutbox: Any
) -> None:
    client.post(CHANGE, hidden(page(client, f"{CHANGE}?review=1&plan=l")))
    order = Order.objects.order_by("-id")[0]

    html = page(client, f"/orders/{order.number}/")
    mail_order_confirmed(order_number=order.number, event="order.paid:1")

    assert "Everything is ready." in html
    assert "setting everything up" not in html
    assert "Your subscription is changed" in mailoutbox[0].body


def test_a_card_page_that_was_left_leads_back_to_the_question(shop: Shop, client: Client) -> None:
    stock(shop)
    client.force_login(shop.buyer)
    half = timezone.now() + timedelta(minutes=1)
    in_period(subscribe(shop, credit=PLAN_MINOR), half - timedelta(days=15), half + timedelta(days=15))
    looked = page(client, f"{CHANGE}?review=1&plan=l")
    assert "OMR\u00a015.000" in looked
    assert client.post(CHANGE, hidden(looked)).headers["Location"].startswith("http")
    session = str(Checkout.objects.latest("created_at").psp_session_id)
    waiting = page(client, BILLING)
    assert "A change waits for its payment" in waiting
    assert str(Checkout.objects.latest("created_at").psp_session_url) in waiting

    assert shop.standin is not None
    shop.standin.expire(session)

    back = client.get(f"/checkout/return/?session_id={session}")
    assert back.headers["Location"] == CHANGE
    assert "A change waits for its payment" not in page(client, BILLING)


def test_a_smaller_plan_is_scheduled_shown_and_taken_back(live: Subscription, client: Client) -> None:
    looked = page(client, f"{CHANGE}?review=1&plan=s")
    assert "end of the period that you have paid" in looked

    assert client.post(CHANGE, hidden(looked)).headers["Location"] == BILLING
    shown = page(client, BILLING)
    assert "A change is scheduled" in shown
    assert "OMR\u00a020.000" in shown
    assert client.post(DROP).headers["Location"] == BILLING

    assert SubscriptionChange.objects.get().state == "dropped"
    assert "A change is scheduled" not in page(client, BILLING)


def test_what_goes_is_named_before_it_goes(live: Subscription, shop: Shop, client: Client) -> None:
    install(shop, "wordpress")

    looked = page(client, f"{CHANGE}?review=1&remove=wordpress")

    assert "you lose access to their data" in looked
    assert 'name="remove" value="wordpress"' in looked


def test_what_does_not_fit_is_said_and_cannot_be_confirmed(live: Subscription, shop: Shop, client: Client) -> None:
    before = untouched(shop)

    looked = page(client, f"{CHANGE}?review=1&plan=s&add=bp-bookstack", 409)

    assert "does not fit this Plan" in looked
    assert "1268 MiB needed, 1024 MiB in this plan" in looked
    assert "Schedule the change" not in looked
    sent_all_the_same = {"plan": "s", "add": ["bp-bookstack"], "key": uuid.uuid4().hex}
    assert client.post(CHANGE, sent_all_the_same).status_code == 409
    assert untouched(shop) == before


def test_a_price_that_moved_is_confirmed_again(live: Subscription, shop: Shop, client: Client) -> None:
    looked = hidden(page(client, f"{CHANGE}?review=1&plan=l"))
    before = untouched(shop)

    answer = client.post(CHANGE, {**looked, "quote": "0" * 64})

    assert answer.status_code == 409
    assert "The amount changed" in answer.content.decode()
    assert untouched(shop) == before


@pytest.mark.parametrize(("plan", "sentence"), [("m", "like that already"), ("nowhere", "is not available")])
def test_nothing_chosen_asks_again(live: Subscription, shop: Shop, client: Client, plan: str, sentence: str) -> None:
    before = untouched(shop)

    assert sentence in page(client, f"{CHANGE}?review=1&plan={plan}", 422)
    sent = client.post(CHANGE, {"plan": plan, "key": uuid.uuid4().hex})

    assert (sent.status_code, sentence in sent.content.decode()) == (422, True)
    assert untouched(shop) == before


def test_a_voucher_is_counted_before_it_is_used(shop: Shop, client: Client) -> None:
    stock(shop)
    client.force_login(shop.buyer)
    half = timezone.now() + timedelta(minutes=1)
    in_period(subscribe(shop, credit=PLAN_MINOR), half - timedelta(days=15), half + timedelta(days=15))
    looked = hidden(page(client, f"{CHANGE}?review=1&plan=l"))
    code, before = shop.code(shop.voucher(10_000)), untouched(shop)

    counted = client.post(CHANGE, {**looked, "code": code, "use_code": "1"}).content.decode()

    assert "OMR\u00a05.000" in counted
    wrong = client.post(CHANGE, {**looked, "code": "WRONG-CODE-HERE", "use_code": "1"})
    assert wrong.status_code == 404
    assert untouched(shop) == before


def test_ended_and_kept(live: Subscription, client: Client) -> None:
    assert "everything runs as before" in page(client, CANCEL)

    assert client.post(CANCEL).headers["Location"] == BILLING
    assert "This subscription ends on" in page(client, BILLING)
    assert client.post(RESUME).headers["Location"] == BILLING

    html = page(client, BILLING)
    assert "This subscription ends on" not in html
    assert "Your subscription goes on." in html


@pytest.mark.parametrize("address", [CHANGE, CANCEL])
def test_who_may_not_change_is_told_and_strangers_find_nothing(
    live: Subscription, shop: Shop, client: Client, address: str
) -> None:
    client.force_login(factories.MembershipFactory.create(organization=shop.organization, role="org-viewer").user)
    assert "Not for your role" in page(client, address, 403)
    assert f'href="{CHANGE}"' not in page(client, BILLING)

    client.force_login(factories.MembershipFactory.create(role=Membership.Role.ADMIN).user)
    assert client.get(address).status_code == 404


#: What the administrator does before, so that the act would have something to do.
BEFORE = {CHANGE: (), DROP: (f"{CHANGE}?review=1&plan=s",), CANCEL: (), RESUME: (CANCEL,)}


@pytest.mark.parametrize("address", BEFORE)
def test_what_others_send_changes_nothing(live: Subscription, shop: Shop, client: Client, address: str) -> None:
    wish = hidden(page(client, f"{CHANGE}?review=1&plan=l"))
    for form in BEFORE[address]:
        client.post(form.partition("?")[0], hidden(page(client, form)))
    before = untouched(shop)
    viewer = factories.MembershipFactory.create(organization=shop.organization, role="org-viewer").user
    stranger = factories.MembershipFactory.create(role=Membership.Role.ADMIN).user

    for person, status in ((viewer, 403), (stranger, 404)):
        client.force_login(person)
        assert client.post(address, wish).status_code == status
        assert untouched(shop) == before

    client.force_login(shop.buyer)
    assert client.post(address, wish).status_code == 303
    assert untouched(shop) != before
