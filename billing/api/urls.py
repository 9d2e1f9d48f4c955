from django.urls import include, path

from billing.api.views import account, buying, staff, vouchers

_organization = [
    path("quotes/", buying.QuoteListView.as_view()),
    path("checkouts/", buying.CheckoutListView.as_view()),
    path("checkouts/<uuid:checkout_id>/", buying.CheckoutView.as_view()),
    path("checkouts/<uuid:checkout_id>/cancel/", buying.CheckoutCancelView.as_view()),
    path("balance/", account.BalanceView.as_view()),
    path("ledger/", account.LedgerView.as_view()),
    path("vouchers/redeem/", account.VoucherRedeemView.as_view()),
    path("orders/", account.OrderListView.as_view()),
    path("orders/<str:number>/", account.OrderView.as_view()),
    path("subscription/", account.SubscriptionView.as_view()),
]

urlpatterns = [
    path("organizations/<slug:slug>/", include(_organization)),
    path("vouchers/redeem-preview/", vouchers.VoucherPreviewView.as_view()),
    path("vouchers/", vouchers.VoucherListView.as_view()),
    path("vouchers/<str:code>/", vouchers.VoucherView.as_view()),
    path("settings/billing/", staff.BillingSettingsView.as_view()),
    path("orders/", staff.StaffOrderListView.as_view()),
]
