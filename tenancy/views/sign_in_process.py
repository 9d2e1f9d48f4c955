"""One code for everybody: whoever proves an address is let in, and only then do we look whether we know it.

The sign-in library has two journeys, sign in and sign up, and can only hide which one it took. Here there is nothing
to hide: until the code is right, no row is read or written for the address.
"""

from smtplib import SMTPException

from allauth.account.adapter import get_adapter
from allauth.account.internal.flows.login import perform_login, record_authentication
from allauth.account.internal.flows.login_by_code import LoginCodeVerificationProcess
from allauth.account.models import Login
from allauth.account.stages import LoginByCodeStage, LoginStageController
from django.http import HttpRequest, HttpResponse
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from catalyst.core.errors import Unavailable
from tenancy.services.confirm_email import confirm_email


class SignInProcess(LoginCodeVerificationProcess):  # type: ignore[misc]  # the library has no types
    """The library's code process, with the account resolved at its end instead of its beginning."""

    @classmethod
    def start(cls, *, request: HttpRequest, email: str) -> None:
        """Send a code to an address and remember in the session that it is awaited.

        :raises Unavailable: the mail server did not take the message.
        """
        login = Login(user=None, email=email)
        login.state["stages"] = {"current": LoginByCodeStage.key}
        stage = LoginByCodeStage(LoginStageController(request, login), request, login)
        stage.state.update(cls.initial_state(user=None, email=email), initiated_by_user=True)
        process = cls(stage)
        process.send()
        process.persist()

    @classmethod
    def pending(cls, request: HttpRequest) -> "SignInProcess | None":
        """Return the process this browser has begun, unless it is too old."""
        stage = LoginStageController.enter(request, LoginByCodeStage.key)
        return cls(stage).abort_if_invalid() if stage else None

    def send_by_email(self, email: str, skip_enumeration_mails: bool = False) -> None:
        context = {"request": self.request, "code": self.generate_code()}
        try:
            get_adapter().send_mail("account/email/login_code", email, context)
        except (OSError, SMTPException):
            raise Unavailable(_("We could not send the e-mail.")) from None

    def finish(self, redirect_url: str | None) -> HttpResponse:
        email = self.state["email"]
        user = confirm_email(email=email, language=get_language() or "en")
        record_authentication(self.request, user, method="code", email=email)
        response: HttpResponse = perform_login(self.request, Login(user=user, redirect_url=redirect_url, email=email))
        return response
