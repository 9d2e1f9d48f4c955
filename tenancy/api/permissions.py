"""Every (route, method) of the API declares one permission; what declares none is denied.

The settings name this module as a default of the framework's views, so it may not import them.
"""

from typing import TYPE_CHECKING, Any

from rest_framework.exceptions import MethodNotAllowed
from rest_framework.permissions import SAFE_METHODS, AllowAny, BasePermission
from rest_framework.request import Request

from tenancy.api.authentication import token_of
from tenancy.selectors.permissions import ORGANIZATION_PERMISSIONS, SOVEREIGN_PERMISSIONS, can, token_allows

if TYPE_CHECKING:
    from rest_framework.views import APIView

PUBLIC = "public"
SIGNED_IN = "signed-in"


class DeclaredPermission(BasePermission):
    """Ask the permission that the view declares for the method.

    A permission inside an Organization is asked by ``get_organization``, which alone knows the Organization; here only
    "who are you" is asked. A permission of the Sovereign's staff is asked here.
    """

    def has_permission(self, request: Request, view: "APIView") -> bool:
        method = str(request.method)
        permission = declared_permission(view, method)
        if permission is None:
            return _refuse_undeclared(view, method)
        if permission == PUBLIC:
            return True
        if not request.user.is_authenticated:
            return False
        if permission == SIGNED_IN:
            return _may_act_as_person(request)
        if permission in ORGANIZATION_PERMISSIONS:
            return True
        return permission in SOVEREIGN_PERMISSIONS and _may_as_staff(request, permission)


def declared_permission(view: Any, method: str) -> str | None:
    """Return what a view or view class declares for a method; HEAD is GET, and ``AllowAny`` alone says ``public``."""
    declared: dict[str, str] = getattr(view, "required_permissions", {})
    if not declared and list(view.permission_classes) == [AllowAny]:
        return PUBLIC
    return declared.get("GET" if method == "HEAD" else method)


def _refuse_undeclared(view: "APIView", method: str) -> bool:
    if method == "OPTIONS" or not hasattr(view, method.lower()):
        raise MethodNotAllowed(method)
    return False


def _may_act_as_person(request: Request) -> bool:
    token = token_of(request)
    if token is None or request.method in SAFE_METHODS:
        return True
    # A token of one Organization, or with listed scopes, reads as its owner but founds nothing.
    return not (token.organization_id or token.scopes or token.env_type)


def _may_as_staff(request: Request, permission: str) -> bool:
    token = token_of(request)
    if token is not None and (token.organization_id or not token_allows(token, permission)):
        return False
    return can(request.user, permission)
