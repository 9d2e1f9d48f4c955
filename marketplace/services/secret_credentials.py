"""What a backing service issues to an Application: the entry that both of them read.

Only the password is a secret of its own; the rest follows from the rows and stands beside it, so that a program finds
everything in one place. Source: docs/blueprint-manifests.md, "Secrets"; blueprints.md §2 of the design
(``exposes.connectionSecret``).
"""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from marketplace.models import Application, BlueprintVersion
from marketplace.selectors.installed import standing_applications
from marketplace.services.changes_desired import environment_facts

PASSWORD: Final = "password"  # noqa: S105  (the name of a property)


def issued_keys(version: BlueprintVersion) -> tuple[str, ...]:
    """Return what a service tells its dependents: some of url, host, port, username, password, database."""
    exposes = (version.contract.get("spec") or {}).get("exposes") or {}
    return tuple((exposes.get("connectionSecret") or {}).get("keys") or ())


def credential_facts(application: Application, issuer: str, data: Mapping[str, Any]) -> dict[str, str]:
    """Return what stands beside the password; nothing when the service is gone.

    User and database are called like the Application. An address is written like ``postgres://user:password@host:5432/
    database``, with the name of the service's first endpoint in front.
    """
    service = standing_applications(application.environment_id).filter(slug=issuer).last()
    if service is None:
        return {}
    keys = issued_keys(service.blueprint_version)
    facts = _facts(service, application)
    if "url" in keys:
        facts["url"] = _url(service, facts, str(data.get(PASSWORD, "")), has_database="database" in keys)
    return {key: value for key, value in facts.items() if key in keys}


def _facts(service: Application, application: Application) -> dict[str, str]:
    host = environment_facts(application.environment).service_host(service.slug)
    port = _endpoint(service).get("port")
    return {
        "host": host,
        "port": "" if port is None else str(port),
        "username": application.slug,
        "database": application.slug,
    }


def _url(service: Application, facts: Mapping[str, str], password: str, *, has_database: bool) -> str:
    scheme = _endpoint(service).get("name", "tcp")
    path = f"/{facts['database']}" if has_database else ""
    return f"{scheme}://{facts['username']}:{quote(password, safe='')}@{facts['host']}:{facts['port']}{path}"


def _endpoint(service: Application) -> Mapping[str, Any]:
    exposes = (service.blueprint_version.contract.get("spec") or {}).get("exposes") or {}
    endpoints = exposes.get("endpoints") or [{}]
    first: Mapping[str, Any] = endpoints[0]
    return first
