"""A stand-in for Stripe on one machine, labelled "Sandbox: no money moves".

It speaks the part of Stripe's API that Catalyst uses (``api`` lists the operations), serves the card page of its own
sessions, and posts signed webhooks. ``python -m catalyst.local.sandbox_stripe --help`` starts it; the tests run the
same core with scripted faults (``tests/stripe_standin``). It needs no development package and refuses production.
"""
