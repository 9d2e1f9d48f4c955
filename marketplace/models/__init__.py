"""The catalogue, what is installed from it, and what was observed of that."""

from marketplace.models.application import (
    Application,
    ApplicationEdit,
    ApplicationStatus,
    Change,
    FluxMessage,
)
from marketplace.models.blueprint import Blueprint, BlueprintVersion, SourceRepository
from marketplace.models.catalogue import AddOn, Availability, Bundle, Category, Industry, Plan, Price
from marketplace.models.cluster_look import ClusterLook, GitHint
from marketplace.models.job import Job, JobLine, JobState, JobStep
from marketplace.models.preview import ChangeApproval, ChangePreview, EnvironmentPolicy
from marketplace.models.publisher import CatalogueIndex, TrustedKey
from marketplace.models.read_tables import ChangeSummary, EnvironmentSummary, JobSummary
from marketplace.models.secret import ApplicationSecret, TypedSecret
from marketplace.models.soak import ReadySpan

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
    "CatalogueIndex",
    "Category",
    "Change",
    "ChangeApproval",
    "ChangePreview",
    "ChangeSummary",
    "ClusterLook",
    "EnvironmentPolicy",
    "EnvironmentSummary",
    "FluxMessage",
    "GitHint",
    "Industry",
    "Job",
    "JobLine",
    "JobState",
    "JobStep",
    "JobSummary",
    "Plan",
    "Price",
    "ReadySpan",
    "SourceRepository",
    "TrustedKey",
    "TypedSecret",
]
