"""Billing's addresses outside the API: public pages carry the language in the path, personal ones do not."""

from django.urls import path

from billing.views import (
    applications,
    blueprints,
    cards,
    carts,
    checkout_return,
    configure,
    console,
    invoices,
    order,
    redeem,
    review,
    steps,
    subscription,
    subscription_change,
    webhooks,
)

urlpatterns = [
    path("redeem/", redeem.redeem, name="redeem"),
    path("redeem/order/", redeem.redeem_in_order, name="redeem-in-order"),
    path("redeem/balance/", redeem.redeem_to_organization, name="redeem-to-balance"),
    path("cart/add/", carts.cart_add, name="cart-add"),
    path("cart/remove/", carts.cart_remove, name="cart-remove"),
    path("checkout/plan/", steps.plan, name="checkout-plan"),
    path("checkout/apps/", steps.apps, name="checkout-apps"),
    path("checkout/addons/", steps.addons, name="checkout-addons"),
    path("checkout/addons/slug/", steps.slug_check, name="checkout-slug"),
    path("checkout/review/", review.review, name="checkout-review"),
    path("checkout/voucher/", review.voucher, name="checkout-voucher"),
    path("checkout/pay/", review.pay, name="checkout-pay"),
    path("checkout/cancel/", review.cancel, name="checkout-cancel"),
    path("checkout/return/", checkout_return.checkout_return, name="checkout-return"),
]

personal_urlpatterns = [
    path("orders/<str:number>/", order.order_page, name="order"),
    path("console/<slug:slug>/applications/", console.applications, name="console-applications"),
    path(
        "console/<slug:slug>/applications/<slug:env_type>/<slug:application>/",
        applications.application_page,
        name="console-application",
    ),
    path(
        "console/<slug:slug>/applications/<slug:env_type>/<slug:application>/configure/",
        configure.configure,
        name="console-configure",
    ),
    path(
        "console/<slug:slug>/applications/<slug:env_type>/<slug:application>/upgrade/",
        applications.upgrade,
        name="console-upgrade",
    ),
    path("console/<slug:slug>/blueprints/<slug:blueprint>/", blueprints.blueprint, name="console-blueprint"),
    path(
        "console/<slug:slug>/blueprints/<slug:blueprint>/<str:version>/<slug:name>/",
        blueprints.version_step,
        name="console-version-step",
    ),
    path("console/<slug:slug>/billing/", console.billing, name="console-billing"),
    path("console/<slug:slug>/billing/details/", invoices.billing_details, name="console-billing-details"),
    path("console/<slug:slug>/invoices/", invoices.invoices, name="console-invoices"),
    path("console/<slug:slug>/invoices/<str:number>.pdf", invoices.invoice_pdf, name="console-invoice-pdf"),
    path("console/<slug:slug>/invoices/<str:number>/", invoices.invoice, name="console-invoice"),
    path("console/<slug:slug>/credit-notes/<str:number>.pdf", invoices.credit_note_pdf, name="console-credit-note-pdf"),
    path("console/<slug:slug>/billing/card/", cards.change_card, name="console-card"),
    path("console/<slug:slug>/billing/card/return/", cards.card_return, name="console-card-return"),
    path("console/<slug:slug>/billing/<slug:env_type>/change/", subscription_change.change, name="console-change"),
    path("console/<slug:slug>/billing/<slug:env_type>/change/drop/", subscription.drop, name="console-change-drop"),
    path("console/<slug:slug>/billing/<slug:env_type>/cancel/", subscription.cancel, name="console-cancel"),
    path("console/<slug:slug>/billing/<slug:env_type>/resume/", subscription.resume, name="console-resume"),
]

#: Called by machines: no language in the path, no session.
webhook_urlpatterns = [path("webhooks/stripe/", webhooks.stripe_webhook, name="stripe-webhook")]
