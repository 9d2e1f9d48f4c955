"""What happens to a subscription and its money after the sale: the controls of a test."""

from typing import Any

from catalyst.local.sandbox_stripe.account import Account, visible
from catalyst.local.sandbox_stripe.clock import Clock
from catalyst.local.sandbox_stripe.due import run_due
from catalyst.local.sandbox_stripe.invoicing import collect_invoice, finalize_invoice, give_up_invoice, void_invoice
from catalyst.local.sandbox_stripe.payment import NotOpen, pay_session
from catalyst.local.sandbox_stripe.reversals import close_dispute, fail_refund, open_dispute
from catalyst.local.sandbox_stripe.wire import Json


class LifeControls:
    """Renewals, cards, refunds and disputes; each returns the object as the API shows it."""

    account: Account
    clock: Clock

    # --- renewals ---------------------------------------------------------------------------------------------------
    def renew(self, subscription_id: str) -> Json:
        """Move the clock to the end of the period and return the latest invoice: the new draft.

        A subscription that ends there has no new one.
        """
        subscription = self.account.find("subscription", subscription_id)
        missing = subscription["items"]["data"][0]["current_period_end"] - self.clock.now()
        if missing > 0:
            self.clock.advance(missing)
        run_due(self.account)
        return self._object("invoice", self.account.find("subscription", subscription_id)["latest_invoice"])

    def finalize(self, invoice_id: str) -> Json:
        """Open a draft without collecting it (one with nothing to collect is paid)."""
        with self.account.store.transaction():
            finalize_invoice(self.account, self.account.find("invoice", invoice_id))
        return self._object("invoice", invoice_id)

    def collect(self, invoice_id: str, *, succeeds: bool = True) -> Json:
        """Try to collect an invoice now, opened first when it is a draft; the outcome is the caller's.

        :raises NotOpen: it is paid, void or uncollectible.
        """
        with self.account.store.transaction():
            invoice = self._opened(invoice_id)
            collect_invoice(self.account, invoice, succeeds=succeeds)
        return self._object("invoice", invoice_id)

    def void(self, invoice_id: str) -> Json:
        """Void an invoice, opened first when it is a draft."""
        with self.account.store.transaction():
            void_invoice(self.account, self._opened(invoice_id))
        return self._object("invoice", invoice_id)

    def mark_uncollectible(self, invoice_id: str) -> Json:
        """Give an invoice up, opened first when it is a draft."""
        with self.account.store.transaction():
            give_up_invoice(self.account, self._opened(invoice_id))
        return self._object("invoice", invoice_id)

    # --- cards ------------------------------------------------------------------------------------------------------
    def add_card(self, session_id: str) -> Json:
        """Complete a setup session as the customer and return it; its ``setup_intent`` has the card."""
        pay_session(self.account, session_id)
        return self._object("checkout.session", session_id)

    def decline(self, customer_id: str) -> None:
        """Let every card of a customer fail from now on, where nobody stands at the card page."""
        with self.account.store.transaction():
            self.account.save(self.account.find("customer", customer_id), _declines=True)

    def accept(self, customer_id: str) -> None:
        """Let the customer's cards work again."""
        with self.account.store.transaction():
            self.account.save(self.account.find("customer", customer_id), _declines=False)

    # --- money that goes back ---------------------------------------------------------------------------------------
    def fail_refund(self, refund_id: str) -> Json:
        """Let a refund fail after it was reported as succeeded."""
        return self._shown(fail_refund(self.account, refund_id))

    def dispute(self, paid: str, amount: int | None = None) -> Json:
        """Dispute a charge or the charge of a payment intent, by default all that was not refunded."""
        return self._shown(open_dispute(self.account, paid, amount))

    def close_dispute(self, dispute_id: str, *, won: bool) -> Json:
        """Let the bank decide a dispute."""
        return self._shown(close_dispute(self.account, dispute_id, won=won))

    def _opened(self, invoice_id: str) -> Json:
        invoice = self.account.find("invoice", invoice_id)
        if invoice["status"] == "draft":
            finalize_invoice(self.account, invoice)
        if invoice["status"] not in ("open", "uncollectible"):
            raise NotOpen(invoice["status"])
        return invoice

    def _object(self, kind: str, id_: str) -> Json:
        return self._shown(self.account.find(kind, id_))

    def _shown(self, thing: Any) -> Json:
        shown: Json = visible(thing)
        return shown
