"""Stripe as data."""

from temula.inbound.kit.manifest import Credential, Manifest

MANIFEST = Manifest(
    kind="payments",
    name="stripe",
    title="Stripe",
    documentation="https://docs.stripe.com/api",
    capabilities=("charges", "refunds"),
    credentials=(
        Credential(
            "secret_key",
            "Secret or restricted key",
            secret=True,
            prefixes={"live": ("sk_live_", "rk_live_"), "sandbox": ("sk_test_", "rk_test_")},
        ),
        Credential(
            "webhook_secret",
            "Signing secret of the webhook endpoint (two, separated by a comma, while one is rolled)",
            secret=True,
            prefixes={"live": ("whsec_",), "sandbox": ("whsec_",)},
        ),
    ),
    callbacks=(
        "checkout.session.completed",
        "checkout.session.async_payment_succeeded",
        "checkout.session.async_payment_failed",
        "checkout.session.expired",
        "payment_intent.payment_failed",
        "refund.created",
        "refund.updated",
        "refund.failed",
    ),
    api_base="https://api.stripe.com",
    deadline=20.0,
    # Stripe documents no size; a megabyte is many times its largest event.
    callback_limit=1024 * 1024,
)
