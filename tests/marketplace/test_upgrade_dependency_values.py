"""What Applications tell the services they need arrives in what is rendered, below what a person set there."""

from typing import Any

import pytest

from marketplace.manifests.dependency_values import Party, dependency_values
from marketplace.manifests.facts import ManifestsRefused
from marketplace.models import Application
from tenancy.models import Organization, Sovereign, User
from tests.marketplace.deliver_rows import LATER, Desk
from tests.marketplace.render_blueprints import ENVIRONMENT
from tests.marketplace.upgrade_rows import configure, needs, publish, ready, settings_of, shown_of

NAME = "{{ .application.name }}"
LIST = {"type": "array", "title": "Databases", "items": {"type": "string"}, "default": []}


def told(*parties: Party, name: str = "sql") -> dict[str, Any]:
    """Return what one Application is told."""
    return dependency_values(ENVIRONMENT, parties)[name]


def party(application: str, values: dict[str, Any], target: str = "sql", **more: Any) -> Party:
    return Party(application=application, tells=((target, values),), **more)


def service(*properties: str, **more: Any) -> Party:
    known = frozenset(properties or {"databases", "mode", "limits"})
    return Party(application="sql", properties=known, **more)


def test_a_path_becomes_its_typed_value_and_other_text_stays() -> None:
    values = {
        "databases": [NAME, "{{ .environment.name }}", "{{ .environment.envType }}", "{{ .organization.slug }}"],
        "mode": "{{ .config.cache.mode }}",
        "limits": {"connections": "{{ .config.workers }}", "text": "plain {{ .application.name }}", "fixed": 3},
    }
    config = {"cache": {"mode": True}}

    assert told(party("wiki", values, config=config, defaults={"workers": 8}), service()) == {
        "databases": ["wiki", "acme-prod", "prod", "acme"],
        "mode": True,
        "limits": {"connections": 8, "text": "plain {{ .application.name }}", "fixed": 3},
    }


def test_what_is_not_set_is_not_told() -> None:
    values = {"mode": "{{ .config.mode }}", "databases": [NAME, "{{ .config.more }}"]}

    assert told(party("wiki", values), service()) == {"databases": ["wiki"]}


def test_what_a_version_does_not_know_is_not_told() -> None:
    assert told(party("wiki", {"databases": [NAME], "mode": "x"}), service("databases")) == {"databases": ["wiki"]}


def test_lists_are_united_in_the_order_of_the_names() -> None:
    one = party("wiki", {"databases": [NAME, "common"]})
    other = party("blog", {"databases": ["common", NAME]})

    assert told(one, other, service()) == told(service(), other, one) == {"databases": ["common", "blog", "wiki"]}


def test_objects_are_merged_and_equal_values_agree() -> None:
    one = party("blog", {"limits": {"memory": 1, "same": "x"}})
    other = party("wiki", {"limits": {"disk": 2, "same": "x"}})

    assert told(one, other, service()) == {"limits": {"memory": 1, "same": "x", "disk": 2}}


@pytest.mark.parametrize("value", ["fast", True, 1, ["slow"]])
def test_two_different_values_are_refused_with_both_names(value: Any) -> None:
    one, other = party("blog", {"mode": "slow"}), party("wiki", {"mode": value})

    with pytest.raises(ManifestsRefused) as refused:
        told(one, other, service())

    assert refused.value.message == "blog and wiki want different values of mode for sql. Change one of them."


def test_the_first_of_an_object_is_named() -> None:
    one, other = party("blog", {"limits": {"memory": 1}}), party("wiki", {"limits": {"memory": 2}})

    with pytest.raises(ManifestsRefused, match=r"blog and wiki want different values of limits\.memory for sql"):
        told(one, other, service())


def test_what_is_told_can_be_passed_on() -> None:
    first = party("wiki", {"mode": NAME}, target="proxy")
    proxy = party("proxy", {"mode": "{{ .config.mode }}"}, properties=frozenset({"mode"}))

    assert told(service(), proxy, first) == {"mode": "wiki"}


@pytest.fixture
def desk(sovereign: Sovereign, organization: Organization, org_admin: User, catalyst_home: Any) -> Desk:
    """Sell two Applications that have a database each on one server."""
    publish("sql", "1.0.0", kind="service", spec={"configSchema": _sql()}, shown="config.databases")
    mode = {"mode": "{{ .config.mode }}"}
    for name in ("wiki", "blog"):
        edge = needs("sql", "^1.0", "db", values={"databases": [NAME], **mode})
        publish(name, "1.0.0", depends=[edge], spec={"configSchema": settings_of("mode")})
    desk = Desk(organization, org_admin)
    ready(desk, desk.deliver(desk.order("OMN-2026-000001", "bp-wiki")))
    return desk


def _sql() -> dict[str, Any]:
    return settings_of(databases=LIST, mode={"type": "string", "title": "Mode", "enum": ["fast", "safe"]})


@pytest.mark.django_db(transaction=True)
def test_a_service_is_rendered_with_what_it_is_told(desk: Desk) -> None:
    assert """values: '["wiki"]'""" in shown_of(desk, "shared-sql").replace('"[\\"wiki\\"]"', """'["wiki"]'""")

    desk.deliver(desk.order("OMN-2026-000002", "bp-blog"), now=LATER)

    assert "blog" in shown_of(desk, "shared-sql")
    assert shown_of(desk, "shared-sql").index("blog") < shown_of(desk, "shared-sql").index('wiki\\"]')
    intent = desk.tree()["apps/shared-sql/application.yaml"].decode()
    assert "config: {}" in intent
    assert Application.objects.get(slug="shared-sql").config == {}


@pytest.mark.django_db(transaction=True)
def test_what_a_person_sets_there_wins(desk: Desk) -> None:
    configure(desk, "shared-sql", {"databases": ["mine"]})

    assert "mine" in shown_of(desk, "shared-sql")
    assert '\\"wiki\\"' not in shown_of(desk, "shared-sql")


@pytest.mark.django_db(transaction=True)
def test_a_change_that_contradicts_another_application_is_refused(desk: Desk) -> None:
    desk.deliver(desk.order("OMN-2026-000002", "bp-blog"), now=LATER)
    configure(desk, "blog", {"mode": "fast"})
    before = desk.environment().head_commit

    with pytest.raises(ManifestsRefused) as refused:
        configure(desk, "wiki", {"mode": "safe"})

    assert refused.value.message == "blog and wiki want different values of mode for shared-sql. Change one of them."
    assert desk.environment().head_commit == before
    assert Application.objects.get(slug="wiki").config == {}


@pytest.mark.django_db(transaction=True)
def test_an_order_that_contradicts_what_runs_fails_with_both_names(desk: Desk) -> None:
    configure(desk, "wiki", {"mode": "safe"})
    order = desk.order("OMN-2026-000002", "bp-blog", **{"bp-blog": {"mode": "fast"}})

    change = desk.deliver(order, now=LATER)

    assert (change.state, change.commit) == ("failed", "")
    assert change.status_reason == ("blog and wiki want different values of mode for shared-sql. Change one of them.")


@pytest.mark.django_db(transaction=True)
def test_a_value_that_does_not_fit_is_refused(desk: Desk) -> None:
    with pytest.raises(ManifestsRefused) as refused:
        configure(desk, "wiki", {"mode": "other"})

    assert refused.value.message == (
        "shared-sql is told a value that does not fit: mode: Choose one of these: fast, safe."
    )
