"""The catalogue, what is installed from it, and what was observed of that."""

from marketplace.models.application import (
    Application,
    ApplicationEdit,
    ApplicationSecret,
    ApplicationStatus,
    Change,
    FluxMessage,
)
from marketplace.models.blueprint import Blueprint, BlueprintVersion, SourceRepository
from marketplace.models.catalogue import AddOn, Availability, Bundle, Category, Industry, Plan, Price
from marketplace.models.publisher import TrustedKey

__all__ = [
    "AddOn",
    "Application",
    "ApplicationEdit",
    "ApplicationSecret",
    "ApplicationStatus",
    "Availability",
    "Blueprint",
    "BlueprintVersion",
    "Bundle",
    "Category",
    "Change",
    "FluxMessage",
    "Industry",
    "Plan",
    "Price",
    "SourceRepository",
    "TrustedKey",
]
