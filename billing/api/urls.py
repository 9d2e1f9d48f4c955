from django.urls import include, path

from billing.api.views import account, buying, cards, invoices, reports, staff, subscriptions, vouchers

_organization = [
    path("quotes/", buying.QuoteListView.as_view()),
    path("checkouts/", buying.CheckoutListView.as_view()),
    path("checkouts/<uuid:checkout_id>/", buying.CheckoutView.as_view()),
    path("checkouts/<uuid:checkout_id>/cancel/", buying.CheckoutCancelView.as_view()),
    path("billing-portal/", cards.BillingPortalView.as_view()),
    path("balance/", account.BalanceView.as_view()),
    path("ledger/", account.LedgerView.as_view()),
    path("vouchers/redeem/", account.VoucherRedeemView.as_view()),
    path("orders/", account.OrderListView.as_view()),
    path("orders/<str:number>/", account.OrderView.as_view()),
    path("invoices/", invoices.InvoiceListView.as_view()),
    path("invoices/<str:number>.pdf", invoices.InvoicePdfView.as_view()),
    path("invoices/<str:number>/", invoices.InvoiceView.as_view()),
    path("credit-notes/<str:number>.pdf", invoices.CreditNotePdfView.as_view()),
    path("billing-details/", invoices.BillingDetailsView.as_view()),
    path("subscription/", subscriptions.SubscriptionView.as_view()),
    path("subscription/change/", subscriptions.SubscriptionChangeView.as_view()),
    path("subscription/cancel/", subscriptions.SubscriptionCancelView.as_view()),
    path("subscription/resume/", subscriptions.SubscriptionResumeView.as_view()),
]

urlpatterns = [
    path("organizations/<slug:slug>/", include(_organization)),
    path("vouchers/redeem-preview/", vouchers.VoucherPreviewView.as_view()),
    path("vouchers/", vouchers.VoucherListView.as_view()),
    path("vouchers/<str:code>/", vouchers.VoucherView.as_view()),
    path("reports/revenue/", reports.RevenueReportView.as_view()),
    path("settings/billing/", staff.BillingSettingsView.as_view()),
    path("orders/", staff.StaffOrderListView.as_view()),
]
