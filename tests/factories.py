"""Rows for tests, straight through the models: what a service would refuse, the database still refuses here."""

import secrets
from datetime import timedelta
from typing import Any

import factory
from django.utils import timezone
from factory.django import DjangoModelFactory

from catalyst.core.crypto import seal
from marketplace.models import AddOn, Blueprint, BlueprintVersion, Category, Plan, Price
from tenancy.models import Environment, Membership, Organization, Sovereign, User


class UserFactory(DjangoModelFactory):
    class Meta:
        model = User

    email = factory.Sequence(lambda n: f"person{n}@example.com")
    display_name = factory.Sequence(lambda n: f"Person {n}")
    password = "!no-password"


class SovereignFactory(DjangoModelFactory):
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


class OrganizationFactory(DjangoModelFactory):
    class Meta:
        model = Organization

    slug = factory.Sequence(lambda n: f"company-{n}")
    name = factory.Sequence(lambda n: f"Company {n}")


class MembershipFactory(DjangoModelFactory):
    class Meta:
        model = Membership

    organization = factory.SubFactory(OrganizationFactory)
    user = factory.SubFactory(UserFactory)
    role = Membership.Role.ADMIN


def _sealed_flux_key(environment: Any) -> str:
    place = f"tenancy_environment:{environment.uuid}:flux_key"
    return seal(secrets.token_hex(32), place=place, scope=f"organization:{environment.organization.pk}")


class EnvironmentFactory(DjangoModelFactory):
    class Meta:
        model = Environment

    organization = factory.SubFactory(OrganizationFactory)
    env_type = "prod"
    uuid = factory.Faker("uuid4", cast_to=None)
    name = factory.LazyAttribute(lambda row: f"{row.organization.slug}-{row.env_type}")
    status = Environment.Status.READY
    flux_key_sealed = factory.LazyAttribute(_sealed_flux_key)


class CategoryFactory(DjangoModelFactory):
    class Meta:
        model = Category
        django_get_or_create = ("slug",)

    slug = "cms"
    title_en = "Websites"
    title_ar = "مواقع"


class PlanFactory(DjangoModelFactory):
    class Meta:
        model = Plan

    slug = factory.Sequence(lambda n: f"plan-{n}")
    title_en = factory.Sequence(lambda n: f"Plan {n}")
    title_ar = factory.Sequence(lambda n: f"باقة {n}")
    vcpu_milli = 4000
    memory_mib = 8192
    disk_gib = 100
    state = "now"


class AddOnFactory(DjangoModelFactory):
    class Meta:
        model = AddOn

    slug = factory.Sequence(lambda n: f"addon-{n}")
    title_en = factory.Sequence(lambda n: f"Add-on {n}")
    title_ar = factory.Sequence(lambda n: f"إضافة {n}")
    category = AddOn.Shelf.RELIABILITY
    state = "now"


class BlueprintFactory(DjangoModelFactory):
    class Meta:
        model = Blueprint

    slug = factory.Sequence(lambda n: f"app-{n}")
    name = factory.LazyAttribute(lambda row: f"bp-{row.slug}")
    title = factory.Sequence(lambda n: f"App {n}")
    category = factory.SubFactory(CategoryFactory)
    state = "now"
    memory_mib = 512
    cpu_milli = 250
    disk_gib = 5


class BlueprintVersionFactory(DjangoModelFactory):
    class Meta:
        model = BlueprintVersion

    blueprint = factory.SubFactory(BlueprintFactory)
    version = "1.0.0"
    major, minor, patch = 1, 0, 0
    contract = factory.LazyFunction(dict)
    files = factory.LazyFunction(dict)
    digest = factory.LazyFunction(lambda: f"sha256:{secrets.token_hex(32)}")


class PriceFactory(DjangoModelFactory):
    class Meta:
        model = Price

    kind = Price.Kind.PLAN
    reference = "plan"
    currency_id = "OMR"
    amount_minor = 12500
    valid_from = factory.LazyFunction(lambda: timezone.now() - timedelta(days=1))
