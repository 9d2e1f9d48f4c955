"""Reading ``blueprint.yaml``: one strict parser for publishing, pages and Git.

Source: blueprints.md §2 and §3 of the design.
"""

from marketplace.services.blueprint_contract.parse import parse_contract, read_contract
from marketplace.services.blueprint_contract.reader import ContractRefused, Finding
from marketplace.services.blueprint_contract.shape import Card, Contract, Dependency, Endpoint, Exposes

__all__ = [
    "Card",
    "Contract",
    "ContractRefused",
    "Dependency",
    "Endpoint",
    "Exposes",
    "Finding",
    "parse_contract",
    "read_contract",
]
