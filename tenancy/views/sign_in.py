"""Signing in and out: an address, a code, done. New and known people take the same two steps."""

from allauth.account.adapter import get_adapter
from allauth.account.internal.flows.logout import logout
from allauth.core.internal.cryptokit import compare_user_code
from allauth.core.ratelimit import consume
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from tenancy.forms.sign_in import SignInCodeForm, SignInForm
from tenancy.views.sign_in_process import SignInProcess


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def sign_in(request: HttpRequest) -> HttpResponseBase:
    """Ask for an e-mail address and send a code to it, known or not."""
    target = _next_of(request)
    if request.user.is_authenticated:
        return redirect(target or settings.LOGIN_REDIRECT_URL)
    form = SignInForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        email = form.cleaned_data["email"]
        if not consume(request, action="request_login_code", key=email):
            return render(request, "429.html", status=429)
        SignInProcess.start(request=request, email=email)
        return redirect(_with_next("account_confirm_login_code", target))
    return render(request, "account/login.html", {"form": form, "next": target}, status=422 if form.errors else 200)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def confirm_code(request: HttpRequest) -> HttpResponseBase:
    """Ask for the code and sign in whoever has it."""
    target = _next_of(request)
    if request.user.is_authenticated:
        return redirect(target or settings.LOGIN_REDIRECT_URL)
    process = SignInProcess.pending(request)
    if process is None:
        messages.info(request, _("That code is no longer valid. Ask for a new one."))
        return redirect(_with_next("account_login", target))
    form = SignInCodeForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        if compare_user_code(actual=form.cleaned_data["code"], expected=process.code):
            return process.finish(target or None)
        if not process.record_invalid_attempt():
            messages.error(request, _("Too many wrong codes. Ask for a new one."))
            return redirect(_with_next("account_login", target))
        form.add_error("code", _("This code is not right. Check the newest e-mail from us."))
    context = {"form": form, "next": target, "email": process.state["email"]}
    return render(request, "account/confirm_login_code.html", context, status=422 if form.errors else 200)


@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    """End the session."""
    logout(request)
    return redirect("home")


@require_safe
def inactive(request: HttpRequest) -> HttpResponse:
    """Tell a person whose account was closed; only its owner gets here, after the code."""
    return render(request, "account/account_inactive.html", status=403)


def _next_of(request: HttpRequest) -> str:
    """Return where to go afterwards, a path of this site or nothing."""
    target = request.POST.get("next") or request.GET.get("next") or ""
    return target if get_adapter().is_safe_url(target) else ""


def _with_next(name: str, target: str) -> str:
    return f"{reverse(name)}?{urlencode({'next': target})}" if target else reverse(name)
