"""The audit trail of an Organization to take away."""

from typing import Any, cast

from django.http import HttpResponseBase, StreamingHttpResponse
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request

from catalyst.core.errors import DomainError
from catalyst.core.http.views import ApiView
from tenancy.api.scoping import get_organization
from tenancy.models import User
from tenancy.services.audit_export import begin_audit_export, write_audit_csv, write_audit_json

_EXPORT = "audit.export"
_WRITERS = {
    "csv": (write_audit_csv, "text/csv; charset=utf-8"),
    "json": (write_audit_json, "application/json"),
}


class FormatUnknown(DomainError):
    """The trail is given as CSV or as JSON."""

    code = "format_unknown"


class AuditEntryOutput(serializers.Serializer[Any]):
    """One row. ``hash`` is over ``prev_hash`` and the row; docs/security.md says how."""

    seq = serializers.IntegerField()
    at = serializers.DateTimeField()
    actor = serializers.CharField()
    name = serializers.CharField()
    action = serializers.CharField()
    target = serializers.CharField()
    detail = serializers.DictField()
    request_id = serializers.CharField()
    prev_hash = serializers.CharField()
    hash = serializers.CharField()


class AuditOutput(serializers.Serializer[Any]):
    entries = AuditEntryOutput(many=True)


class _FormatIsOurs(BaseContentNegotiation):
    """``?format=`` names the file here; refusals are problem documents whatever it says."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        return parsers[0]

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> Any:
        return renderers[0], renderers[0].media_type


class AuditExportView(ApiView):
    required_permissions = {"GET": _EXPORT}
    content_negotiation_class = _FormatIsOurs

    @extend_schema(
        parameters=[OpenApiParameter("format", str, enum=sorted(_WRITERS), default="json")],
        responses={(200, "application/json"): AuditOutput, (200, "text/csv"): OpenApiTypes.STR},
    )
    def get(self, request: Request, slug: str) -> HttpResponseBase:
        """Take the whole audit trail away, oldest entry first. That this was done stands in the trail."""
        organization = get_organization(request, slug, _EXPORT)
        form = request.query_params.get("format", "json")
        if form not in _WRITERS:
            raise FormatUnknown(_("Ask for csv or json."), pointer="/format")
        write, content_type = _WRITERS[form]
        export = begin_audit_export(organization=organization, actor=cast(User, request.user), form=form)
        answer = StreamingHttpResponse(write(export), content_type=content_type)
        answer["Content-Disposition"] = f'attachment; filename="audit-{organization.slug}.{form}"'
        answer["Cache-Control"] = "no-store"
        return answer
