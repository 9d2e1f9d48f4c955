"""Tokens over HTTP, personal and of an Organization. Only a session manages them; no token makes another."""

from http import HTTPStatus
from typing import Any, cast
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from catalyst.core.errors import NotFound, PermissionRefused
from catalyst.core.http.pagination import NewestFirst, page_of
from catalyst.core.http.serializers import StrictSerializer
from catalyst.core.http.views import ApiView
from tenancy.api.authentication import token_of
from tenancy.api.permissions import SIGNED_IN
from tenancy.api.scoping import get_organization
from tenancy.models import ApiToken, User
from tenancy.selectors.team import organization_tokens, own_tokens
from tenancy.services.tokens import create_token, revoke_token


class CreateTokenInput(StrictSerializer):
    """No ``scopes`` means all that you may do yourself, no ``env_type`` every Environment."""

    name = serializers.CharField(max_length=80)
    expires_at = serializers.DateTimeField()
    scopes: Any = serializers.ListField(child=serializers.CharField(max_length=40), max_length=60, default=list)
    env_type = serializers.CharField(max_length=4, default="", allow_blank=True)


class TokenOutput(serializers.Serializer[Any]):
    """Without its text: that is shown once."""

    id = serializers.UUIDField(source="uuid", read_only=True)
    name = serializers.CharField(read_only=True)
    hint = serializers.CharField(read_only=True)
    owner = serializers.EmailField(source="user.email", read_only=True)
    scopes: Any = serializers.ListField(child=serializers.CharField(), read_only=True)
    env_type = serializers.CharField(read_only=True)
    created_at = serializers.DateTimeField(read_only=True)
    expires_at = serializers.DateTimeField(allow_null=True, read_only=True)
    last_used_at = serializers.DateTimeField(allow_null=True, read_only=True)


class NewTokenOutput(TokenOutput):
    token = serializers.CharField(source="plaintext", read_only=True, help_text="Shown now and never again.")


class OrganizationTokenListView(ApiView):
    required_permissions = {"GET": "token.revoke", "POST": "token.create"}

    @extend_schema(operation_id="v1_organizations_tokens_list", responses=page_of(TokenOutput))
    def get(self, request: Request, slug: str) -> Response:
        """List the live tokens that act only in this Organization."""
        organization = get_organization(request, slug, "token.revoke")
        return _page(self, request, organization_tokens(organization))

    @extend_schema(request=CreateTokenInput, responses={201: NewTokenOutput})
    def post(self, request: Request, slug: str) -> Response:
        """Make a token that acts only in this Organization, for you."""
        organization = get_organization(request, slug, "token.create")
        data = CreateTokenInput.read(request.data)
        return _created(
            *create_token(**data, organization=organization, owner=cast(User, request.user), now=timezone.now())
        )


class OrganizationTokenView(ApiView):
    required_permissions = {"DELETE": "token.revoke"}

    @extend_schema(responses={204: None})
    def delete(self, request: Request, slug: str, token_id: UUID) -> Response:
        """Revoke a token of this Organization, whoever owns it."""
        organization = get_organization(request, slug, "token.revoke")
        return _revoked(request, organization_tokens(organization).filter(uuid=token_id).first())


class TokenListView(ApiView):
    required_permissions = {"GET": SIGNED_IN, "POST": SIGNED_IN}

    @extend_schema(operation_id="v1_tokens_list", responses=page_of(TokenOutput))
    def get(self, request: Request) -> Response:
        """List your live personal tokens."""
        return _page(self, request, own_tokens(_person(request)))

    @extend_schema(request=CreateTokenInput, responses={201: NewTokenOutput})
    def post(self, request: Request) -> Response:
        """Make a personal token: it acts as you in all of your Organizations."""
        person = _person(request)
        data = CreateTokenInput.read(request.data)
        return _created(*create_token(**data, owner=person, now=timezone.now()))


class TokenView(ApiView):
    required_permissions = {"DELETE": SIGNED_IN}

    @extend_schema(responses={204: None})
    def delete(self, request: Request, token_id: UUID) -> Response:
        """Revoke one of your personal tokens."""
        return _revoked(request, own_tokens(_person(request)).filter(uuid=token_id).first())


def _person(request: Request) -> User:
    """Return who is signed in by a session.

    :raises PermissionRefused: a token asks.
    """
    if token_of(request) is not None:
        raise PermissionRefused(_("This token may not do this."))
    return cast(User, request.user)


def _page(view: ApiView, request: Request, tokens: QuerySet[ApiToken]) -> Response:
    paginator = NewestFirst()
    page = paginator.paginate_queryset(tokens, request, view=view)
    return paginator.get_paginated_response(TokenOutput(page, many=True).data)


def _created(token: ApiToken, plaintext: str) -> Response:
    shown = TokenOutput(token).data | {"token": plaintext}
    return Response(shown, status=HTTPStatus.CREATED, headers={"Cache-Control": "no-store"})


def _revoked(request: Request, token: ApiToken | None) -> Response:
    if token is None:
        raise NotFound(_("Not found."))
    revoke_token(token_id=token.pk, actor=cast(User, request.user), now=timezone.now())
    return Response(status=HTTPStatus.NO_CONTENT)
