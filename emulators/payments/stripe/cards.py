"""Stripe's published test cards and what each does; only brand and last four digits are ever kept.

See https://docs.stripe.com/testing.
"""

from dataclasses import dataclass

from emulators.payments.stripe.errors import Json


@dataclass(frozen=True, slots=True)
class Card:
    """A test card: what is shown of it, and why it is declined, if it is."""

    brand: str
    last4: str
    code: str | None = None
    decline_code: str | None = None
    message: str = ""

    def details(self) -> Json:
        return {
            "type": "card",
            "card": {
                "brand": self.brand,
                "last4": self.last4,
                "exp_month": 12,
                "exp_year": 2034,
                "funding": "credit",
                "country": "US",
                "network": self.brand,
                "three_d_secure": None,
                "wallet": None,
            },
        }


GOOD = Card("visa", "4242")
DECLINED = Card("visa", "0002", "card_declined", "generic_decline", "Your card was declined.")
POOR = Card("visa", "9995", "card_declined", "insufficient_funds", "Your card has insufficient funds.")
LOST = Card("visa", "9987", "card_declined", "lost_card", "Your card was declined.")
STOLEN = Card("visa", "9979", "card_declined", "stolen_card", "Your card was declined.")
EXPIRED = Card("visa", "0069", "expired_card", "expired_card", "Your card has expired.")
WRONG_CVC = Card("visa", "0127", "incorrect_cvc", "incorrect_cvc", "Your card's security code is incorrect.")
TROUBLED = Card("visa", "0119", "processing_error", "processing_error", "An error occurred while processing your card.")

BY_NUMBER = {
    "4242424242424242": GOOD,
    "5555555555554444": Card("mastercard", "4444"),
    "378282246310005": Card("amex", "0005"),
    "4000000000000002": DECLINED,
    "4000000000009995": POOR,
    "4000000000009987": LOST,
    "4000000000009979": STOLEN,
    "4000000000000069": EXPIRED,
    "4000000000000127": WRONG_CVC,
    "4000000000000119": TROUBLED,
}
BY_TOKEN = {
    "pm_card_visa": GOOD,
    "pm_card_mastercard": BY_NUMBER["5555555555554444"],
    "pm_card_amex": BY_NUMBER["378282246310005"],
    "pm_card_chargeDeclined": DECLINED,
    "pm_card_visa_chargeDeclined": DECLINED,
    "pm_card_chargeDeclinedInsufficientFunds": POOR,
    "pm_card_visa_chargeDeclinedInsufficientFunds": POOR,
    "pm_card_chargeDeclinedLostCard": LOST,
    "pm_card_chargeDeclinedStolenCard": STOLEN,
    "pm_card_chargeDeclinedExpiredCard": EXPIRED,
    "pm_card_chargeDeclinedIncorrectCvc": WRONG_CVC,
    "pm_card_chargeDeclinedProcessingError": TROUBLED,
}
