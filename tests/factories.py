# mypy: disable-error-code="no-untyped-call"
"""Rows for tests, straight through the models: what a service would refuse, the database still refuses here."""

import secrets
from datetime import timedelta
from typing import Any

from django.utils import timezone
from factory.declarations import LazyAttribute, LazyFunction, Sequence, SubFactory
from factory.django import DjangoModelFactory
from factory.faker import Faker

from catalyst.core.crypto import seal
from marketplace.models import AddOn, Blueprint, BlueprintVersion, Category, Plan, Price
from tenancy.models import Domain, Environment, Membership, Organization, Sovereign, User


class UserFactory(DjangoModelFactory[User]):
    class Meta:
        model = User

    email = Sequence(lambda n: f"person{n}@example.com")
    display_name = Sequence(lambda n: f"Person {n}")
    password = "!no-password"


class SovereignFactory(DjangoModelFactory[Sovereign]):
    class Meta:
        model = Sovereign
        django_get_or_create = ("id",)

    id = 1
    name = "Oman Cloud"
    name_ar = "سحابة عمان"
    domain = "cloud.example.om"
    currency_id = "OMR"
    languages = ["en", "ar"]
    order_prefix = "OMN"
    support_email = "support@example.com"


class OrganizationFactory(DjangoModelFactory[Organization]):
    class Meta:
        model = Organization

    slug = Sequence(lambda n: f"company-{n}")
    name = Sequence(lambda n: f"Company {n}")


class MembershipFactory(DjangoModelFactory[Membership]):
    class Meta:
        model = Membership

    organization = SubFactory(OrganizationFactory)
    user = SubFactory(UserFactory)
    role = Membership.Role.ADMIN


def _sealed_flux_key(environment: Any) -> str:
    place = f"tenancy_environment:{environment.uuid}:flux_key"
    return seal(secrets.token_hex(32), place=place, scope=f"organization:{environment.organization.pk}")


class EnvironmentFactory(DjangoModelFactory[Environment]):
    class Meta:
        model = Environment

    organization = SubFactory(OrganizationFactory)
    env_type = "prod"
    uuid = Faker("uuid4", cast_to=None)
    name = LazyAttribute(lambda row: f"{row.organization.slug}-{row.env_type}")
    status = Environment.Status.READY
    flux_key_sealed = LazyAttribute(_sealed_flux_key)


class DomainFactory(DjangoModelFactory[Domain]):
    class Meta:
        model = Domain

    organization = SubFactory(OrganizationFactory)
    name = Sequence(lambda n: f"company-{n}.com")
    token = LazyFunction(lambda: secrets.token_urlsafe(24))
    state = Domain.State.VERIFIED
    verified_at = LazyFunction(timezone.now)


class CategoryFactory(DjangoModelFactory[Category]):
    class Meta:
        model = Category
        django_get_or_create = ("slug",)

    slug = "cms"
    title_en = "Websites"
    title_ar = "مواقع"


class PlanFactory(DjangoModelFactory[Plan]):
    class Meta:
        model = Plan

    slug = Sequence(lambda n: f"plan-{n}")
    title_en = Sequence(lambda n: f"Plan {n}")
    title_ar = Sequence(lambda n: f"باقة {n}")
    vcpu_milli = 4000
    memory_mib = 8192
    disk_gib = 100
    state = "now"


class AddOnFactory(DjangoModelFactory[AddOn]):
    class Meta:
        model = AddOn

    slug = Sequence(lambda n: f"addon-{n}")
    title_en = Sequence(lambda n: f"Add-on {n}")
    title_ar = Sequence(lambda n: f"إضافة {n}")
    category = AddOn.Shelf.RELIABILITY
    state = "now"


class BlueprintFactory(DjangoModelFactory[Blueprint]):
    class Meta:
        model = Blueprint

    slug = Sequence(lambda n: f"app-{n}")
    name = LazyAttribute(lambda row: f"bp-{row.slug}")
    title = Sequence(lambda n: f"App {n}")
    category = SubFactory(CategoryFactory)
    state = "now"
    memory_mib = 512
    cpu_milli = 250
    disk_gib = 5


class BlueprintVersionFactory(DjangoModelFactory[BlueprintVersion]):
    class Meta:
        model = BlueprintVersion

    blueprint = SubFactory(BlueprintFactory)
    version = "1.0.0"
    major, minor, patch = 1, 0, 0
    contract = LazyFunction(dict)
    files = LazyFunction(dict)
    digest = LazyFunction(lambda: f"sha256:{secrets.token_hex(32)}")


class PriceFactory(DjangoModelFactory[Price]):
    class Meta:
        model = Price

    kind = Price.Kind.PLAN
    reference = "plan"
    currency_id = "OMR"
    amount_minor = 12500
    valid_from = LazyFunction(lambda: timezone.now() - timedelta(days=1))
