"""Billing's addresses outside the API."""

from django.urls import path

from billing.views import webhooks

#: Called by machines: no language in the path, no session.
webhook_urlpatterns = [path("webhooks/stripe/", webhooks.stripe_webhook, name="stripe-webhook")]
