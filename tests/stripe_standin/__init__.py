"""Stripe for tests: real HTTP, Stripe's idempotency contract, scripted faults, signed events in any order.

The core is ``catalyst.local.sandbox_stripe`` (the same that ``make run`` starts); this package adds what tests need.

Start
    ``with StripeStandIn() as standin`` or the fixture ``stripe_standin`` (``tests.stripe_standin.plugin``): a fresh one
    per test, at ``standin.url`` (the value of ``STRIPE_API_BASE``). Arguments: ``port=0``, ``keys={"sk_test_standin"}``
    (also ``standin.keys``, a set that may change: discard a key to revoke it), ``validate=True``.
    ``standin.client(key=…, timeout=4.0)`` is the official client. ``with standin.outage():`` refuses connections.
    ``standin.stop()`` / ``start()`` keep port and memory. As a process: ``python -m tests.stripe_standin --port P``,
    steered by ``POST /_standin/<method>`` (module ``control``).

Operations (the names that ``script`` and the call log use; ``"*"`` means any)
    customers.create retrieve update list · products.create retrieve list · coupons.create retrieve delete list ·
    checkout.sessions.create retrieve list expire line_items (modes payment, setup, subscription) · subscriptions.create
    retrieve update list cancel · invoices.retrieve list finalize pay void mark_uncollectible · invoiceitems.create
    retrieve list · invoice_payments.list · payment_intents.retrieve · setup_intents.retrieve · payment_methods.retrieve
    list · billing_portal.sessions.create · charges.retrieve · refunds.create retrieve list · disputes.retrieve list ·
    events.retrieve list

Faults: ``standin.script("checkout.sessions.create", Fault.DROP_AFTER, times=1, skip=0, seconds=0.0, retry_after=None,
    code="")`` hits ``times`` calls (None: until ``clear_faults()``) after ``skip`` ones passed; ``code`` replaces the
    code of a refusal (a refund without funds: ``ERROR_400`` with ``balance_insufficient``).

    ===========================  ========================================================  ===========  =============
    Fault                        what happens                                              effect       stored by key
    ===========================  ========================================================  ===========  =============
    DROP_BEFORE RESET_BEFORE     connection closed / TCP reset                             no           no
    DROP_AFTER RESET_AFTER       the same, the reply is lost                               yes          yes
    DELAY_BEFORE                 ``seconds`` with the key in use (a repeat gets 409)       yes, late    yes
    DELAY_AFTER                  done, the reply comes ``seconds`` late                    yes          yes
    STORED_500_WITHOUT_EFFECT    500, repeated for the key's life                          no           yes
    STORED_500_WITH_EFFECT       the same, the object exists                               yes          yes
    ERROR_400 ERROR_402          refusal by the endpoint                                   no           yes
    ERROR_401 403 409 429        refusal at the door, ``retry_after`` → Retry-After        no           no
    ERROR_500 503                the same, a server error                                  no           no
    ===========================  ========================================================  ===========  =============

Customer
    ``pay(id)`` by card · ``pay_later(id)`` complete but unpaid, then ``settle(id)`` or ``fail(id)`` · ``expire(id)``;
    each returns the session and raises ``catalyst.local.sandbox_stripe.payment.NotOpen`` when it is too late.
    ``standin.clock.advance(seconds)`` moves Stripe's clock: sessions expire, idempotency keys are forgotten after 24 h.
    Event ``created`` and ``expires_at`` follow that clock; signatures use real time unless ``timestamp=`` is given.
    ``add_card(id)`` completes a setup session · ``decline(customer)`` / ``accept(customer)``: what the saved card does.

Renewals
    By the clock: at the period's end a draft (``invoice.created``; what it bills stands on its lines, its own period is
    the one that passed), an hour later opened and collected from the subscription's card, else the customer's; a
    failure makes the subscription past_due and is tried again 1, 3, 5 and 7 days after the first one. By hand, each
    returning the invoice: ``renew(subscription)`` moves the clock to the period's end · ``finalize(invoice)`` ·
    ``collect(invoice, succeeds=True)`` · ``void(invoice)`` · ``mark_uncollectible(invoice)``. The last three open a
    draft first. As at Stripe, opening settles the customer's balance: a sum below zero becomes a credit, and one too
    small for a card waits on the balance.
    Not modeled: prorations (pass ``proration_behavior=none``), coupons on renewals, taxes; a voided or given-up invoice
    leaves its subscription's status as it is.

Money that goes back
    ``fail_refund(id)`` after it succeeded · ``dispute(charge or payment intent, amount=None)`` ·
    ``close_dispute(id, won=…)``; a disputed charge is not refundable unless the dispute was won.

What happened
    ``get(kind, id)`` · ``all(kind, **equal)`` · ``sessions(status="open")`` (the payable ones) ·
    ``captured_minor("omr")`` · ``refunded_minor("omr")`` · ``tamper(kind, id, amount_total=1)``; kinds are the values
    of Stripe's ``object``: ``checkout.session``, ``subscription``, ``refund``, …
    ``calls.count(operation, key)``, ``calls.effect_count(operation, key)`` (external effects, replays left out),
    ``calls.find(operation, key)`` → ``Call`` (operation, method, path, idempotency_key, parameters, status (0: no
    reply), is_replayed, has_effect, fault), ``calls.counts()`` per (method, path, key), ``calls.clear()``.

Events (never sent by themselves)
    ``events(*types)`` emitted so far, oldest first · ``build_event(type, thing, id_=…, stored=False)`` ·
    ``signed(event, secret=…, timestamp=…)`` → (body, headers) for a test client · ``deliver(event, url, …)`` → status.
    Order, repetition and delay are the caller's: permute, call twice, call later. ``webhook_secret`` signs.

Shapes
    With ``validate`` every request and reply is checked against Stripe's OpenAPI document with closed objects; a
    violation is answered by 400 and kept in ``violations``, and the fixture fails the test unless it clears them.
    ``openapi.check_object(kind, thing)`` checks one object.
"""

from tests.stripe_standin.calls import Call
from tests.stripe_standin.faults import Fault
from tests.stripe_standin.standin import DEFAULT_KEY, DEFAULT_WEBHOOK_SECRET, StripeStandIn

__all__ = ["DEFAULT_KEY", "DEFAULT_WEBHOOK_SECRET", "Call", "Fault", "StripeStandIn"]
