"""Stripe: hosted Checkout, PaymentIntents, refunds and signed events (https://docs.stripe.com/api)."""
