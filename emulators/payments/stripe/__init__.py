"""Stripe, as its documentation describes it: Checkout, refunds, events and signed webhooks, with faults to order.

See https://docs.stripe.com/api.
"""

from emulators.payments.stripe.delivery import Retries
from emulators.payments.stripe.sandbox import StripeEmulator

__all__ = ["Retries", "StripeEmulator", "stand_in"]


def stand_in(state: str, host: str, port: int, public_url: str | None, settings: dict[str, str]) -> StripeEmulator:
    """What the command line starts; its settings are `retry-first`, `retry-cap`, `retry-tries` and `timeout`."""
    unknown = settings.keys() - {"retry-first", "retry-cap", "retry-tries", "timeout"}
    if unknown:
        raise SystemExit(f"Stripe's stand-in has no setting {', '.join(sorted(unknown))}.")
    retries = Retries(
        first=float(settings.get("retry-first", Retries.first)),
        cap=float(settings.get("retry-cap", Retries.cap)),
        tries=int(settings.get("retry-tries", Retries.tries)),
        timeout=float(settings.get("timeout", Retries.timeout)),
    )
    return StripeEmulator(state, host, port, retries=retries, public_url=public_url)
