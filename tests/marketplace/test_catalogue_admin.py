"""Staff curate the catalogue: a form saves what it changed, prices gain versions, nothing is deleted."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from marketplace.models import Blueprint, Plan, Price
from tenancy.models import User
from tests.marketplace.catalogue_rows import a_person, load_catalogue

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sovereign")]


@pytest.fixture(autouse=True)
def _catalogue(sovereign: object) -> None:
    load_catalogue()


def signed_in(role: str) -> Client:
    client = Client()
    client.force_login(a_person(staff_role=role))
    return client


@pytest.fixture
def administrator() -> Client:
    return signed_in(User.StaffRole.ADMIN)


def form_of(client: Client, path: str) -> dict[str, Any]:
    """The values that the form shows, as a browser would send them back."""
    form = client.get(path).context["adminform"].form
    values = {name: form[name].value() for name in form.fields}
    sent = {name: "" if value is None else value for name, value in values.items() if value is not False}
    sent |= {name: ",".join(value) for name, value in sent.items() if isinstance(value, list)}
    for prefix in ("versions",):
        sent |= {f"{prefix}-TOTAL_FORMS": "0", f"{prefix}-INITIAL_FORMS": "0"}
    return sent


def change_path(row: Any) -> str:
    return reverse(f"admin:marketplace_{row._meta.model_name}_change", args=[row.pk])


@pytest.mark.parametrize("model", ["category", "industry", "plan", "addon", "bundle", "blueprint", "price"])
def test_every_list_opens(administrator: Client, model: str) -> None:
    assert administrator.get(reverse(f"admin:marketplace_{model}_changelist")).status_code == 200


def test_edit_saves_what_changed_and_marks_the_row(administrator: Client) -> None:
    plan = Plan.objects.get(slug="m")
    sent = form_of(administrator, change_path(plan)) | {"title_en": "Medium"}

    answer = administrator.post(change_path(plan), sent)

    assert answer.status_code == 302
    after = Plan.objects.get(slug="m")
    assert (after.title_en, after.memory_mib, after.title_ar) == ("Medium", 8192, plan.title_ar)
    assert after.edited_at is not None
    load_catalogue()
    assert Plan.objects.get(slug="m").title_en == "Medium"


def test_edit_never_touches_what_the_form_does_not_show(administrator: Client) -> None:
    row = Blueprint.objects.get(name="bp-umami")
    sent = form_of(administrator, change_path(row)) | {"tagline_en": "Numbers"}
    assert not {"icon", "license", "memory_mib", "name", "slug", "source"} & set(sent)

    assert administrator.post(change_path(row), sent).status_code == 302

    after = Blueprint.objects.get(name="bp-umami")
    assert after.tagline_en == "Numbers"
    assert (after.icon, after.license, after.memory_mib) == (row.icon, row.license, row.memory_mib)


def test_nothing_can_be_deleted(administrator: Client) -> None:
    plan = Plan.objects.get(slug="m")

    assert (
        administrator.post(reverse("admin:marketplace_plan_delete", args=[plan.pk]), {"post": "yes"}).status_code == 403
    )
    assert Plan.objects.filter(slug="m").exists()


def test_retire_and_restore(administrator: Client) -> None:
    plan = Plan.objects.get(slug="m")
    path = reverse("admin:marketplace_plan_changelist")

    administrator.post(path, {"action": "retire_rows", "_selected_action": [plan.pk]})
    assert Plan.objects.get(slug="m").is_retired()

    administrator.post(path, {"action": "restore_rows", "_selected_action": [plan.pk]})
    assert not Plan.objects.get(slug="m").is_retired()


def test_price_is_added_as_a_new_version(administrator: Client) -> None:
    sent = {"kind": "plan", "reference": "m", "currency": "OMR", "amount_minor": "9500"}

    answer = administrator.post(reverse("admin:marketplace_price_add"), sent)

    assert answer.status_code == 302
    prices = Price.objects.filter(kind="plan", reference="m").order_by("valid_from")
    assert list(prices.values_list("amount_minor", flat=True)) == [9000, 9500]
    assert prices[1].set_by is not None


@pytest.mark.parametrize("changes", [{"amount_minor": "9505"}, {"reference": "xxl"}, {"amount_minor": ""}])
def test_bad_price_is_refused_beside_its_field(administrator: Client, changes: dict[str, str]) -> None:
    sent = {"kind": "plan", "reference": "m", "currency": "OMR", "amount_minor": "9500", **changes}
    before = Price.objects.count()

    answer = administrator.post(reverse("admin:marketplace_price_add"), sent)

    assert answer.status_code == 200
    assert set(answer.context["adminform"].form.errors) == set(changes)
    assert Price.objects.count() == before


def test_price_is_never_edited(administrator: Client) -> None:
    price = Price.objects.get(kind="plan", reference="m")

    answer = administrator.post(change_path(price), {"amount_minor": "10"})

    assert answer.status_code == 403
    assert Price.objects.get(pk=price.pk).amount_minor == 9000


def test_support_agent_reads_and_changes_nothing() -> None:
    agent = signed_in(User.StaffRole.SUPPORT)
    plan = Plan.objects.get(slug="m")

    assert agent.get(change_path(plan)).status_code == 200
    assert agent.post(change_path(plan), {"title_en": "Medium"}).status_code == 403
    assert agent.get(reverse("admin:marketplace_price_add")).status_code == 403
    assert Plan.objects.get(slug="m").title_en == "M"


def test_customer_sees_nothing() -> None:
    answer = signed_in(User.StaffRole.NONE).get(reverse("admin:marketplace_plan_changelist"))

    assert answer.status_code in {302, 403}
