"""Stripe's currencies, their odd units, and the least and most it charges; see https://docs.stripe.com/currencies."""

from emulators.payments.stripe.errors import Refusal
from emulators.payments.stripe.forms import Fields

CODES = """
    usd aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bhd bif bmd bnd bob brl bsd bwp byn bzd cad cdf chf
    clp cny cop crc cve czk djf dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gnf gtq gyd hkd hnl htg huf idr ils
    inr isk jmd jod jpy kes kgs khr kmf krw kwd kyd kzt lak lbp lkr lrd lsl mad mdl mga mkd mmk mnt mop mur mvr mwk
    mxn myr mzn nad ngn nio nok npr nzd omr pab pen pgk php pkr pln pyg qar ron rsd rub rwf sar sbd scr sek sgd shp
    sle sos srd std szl thb tjs tnd top try ttd twd tzs uah ugx uyu uzs vnd vuv wst xaf xcd xcg xof xpf yer zar zmw
"""
KNOWN = frozenset(CODES.split())
WITHOUT_CENTS = "bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf"
ZERO_DECIMAL = frozenset(WITHOUT_CENTS.split())
THREE_DECIMAL = frozenset({"bhd", "jod", "kwd", "omr", "tnd"})
LEAST = {
    "usd": 50, "aed": 200, "aud": 50, "brl": 50, "cad": 50, "chf": 50, "dkk": 250, "eur": 50, "gbp": 30, "hkd": 400,
    "huf": 17500, "inr": 50, "jpy": 50, "mxn": 1000, "myr": 200, "nok": 300, "nzd": 50, "pln": 200, "ron": 200,
    "sek": 300, "sgd": 50, "thb": 1000,
}  # fmt: skip
MOST = 99_999_999


def currency(fields: Fields, name: str = "currency") -> str:
    code = fields.need_text(name).lower()
    if code not in KNOWN:
        message = f"Invalid currency: {code}. Stripe currently supports these currencies: {', '.join(sorted(KNOWN))}"
        raise Refusal(message, param=fields.name(name))
    return code


def check_amount(amount: int, code: str, param: str) -> None:
    """Refuses what cannot be charged; see https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts."""
    if amount > MOST:
        message = f"Amount must be no more than {shown(MOST, code)}"
        raise Refusal(message, code="amount_too_large", param=param)
    least = LEAST.get(code, 1)
    if amount < least:
        message = f"Amount must be at least {shown(least, code)}"
        raise Refusal(message, code="amount_too_small", param=param)
    if code in THREE_DECIMAL and amount % 10:
        message = f"Invalid amount: {code.upper()} amounts must be a multiple of 10"
        raise Refusal(message, code="parameter_invalid_integer", param=param)


def shown(amount: int, code: str) -> str:
    digits = 0 if code in ZERO_DECIMAL else 3 if code in THREE_DECIMAL else 2
    return f"{code.upper()} {amount / 10**digits:,.{digits}f}"
