"""Clone and fetch of the platform's own repository, for staff and for the host clusters."""

from django.db import connection
from django.http import HttpRequest, HttpResponseBase
from django.views.decorators.csrf import csrf_exempt

from catalyst.core.errors import DomainError
from catalyst.core.gitops.http_backend import serve
from marketplace.services.platform_repository import platform_repository_path
from marketplace.views.git_access import ask_for_token, check_staff, missing, plain_text, token_of


@csrf_exempt
def platform_repository(request: HttpRequest, path_info: str) -> HttpResponseBase:
    """Serve ``system/catalyst-config``, never a push. Whoever is no staff gets the 404 of what does not exist."""
    token = token_of(request)
    if token is None:
        return ask_for_token()
    path = platform_repository_path()
    try:
        check_staff(token, "platform.view", visible="platform.view")
        if not path.exists():
            raise missing()
    except DomainError as error:
        return plain_text(error.status, error.message)
    if not connection.in_atomic_block:
        connection.close()  # a clone may take long and needs no database
    return serve(request, path, f"/{path_info}", request.META.get("QUERY_STRING", ""))
