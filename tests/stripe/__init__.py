"""Tests of the Stripe stand-in itself, through the official library over real HTTP."""
