"""Billing's addresses outside the API: public pages carry the language in the path, personal ones do not."""

from django.urls import path

from billing.views import carts, checkout_return, console, order, redeem, review, steps, webhooks

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
    path("console/<slug:slug>/billing/", console.billing, name="console-billing"),
]

#: Called by machines: no language in the path, no session.
webhook_urlpatterns = [path("webhooks/stripe/", webhooks.stripe_webhook, name="stripe-webhook")]
