"""Money: whole minor units and an ISO 4217 code; no floats, no mixing of currencies, no cent lost in a split."""

import re
from collections.abc import Sequence
from typing import Final

import msgspec

LARGEST: Final = 2**53 - 1  # what a JSON number carries exactly everywhere; well inside PostgreSQL's bigint

# ISO 4217, table A.1, by decimals. Left out: metals, testing and units of account, which have no minor unit.
_BY_DECIMALS: Final = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    2: """AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW
          CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF
          IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK
          MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP
          SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XCD XCG YER
          ZAR ZMW ZWG""",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
DECIMALS: Final = {code: decimals for decimals, codes in _BY_DECIMALS.items() for code in codes.split()}

_DECIMAL_STRING: Final = re.compile(r"(-?)([0-9]{1,16})(?:\.([0-9]{1,16}))?")


class UnknownCurrency(ValueError):
    """Not an ISO 4217 code in use, in upper case."""


class CurrencyMismatch(ValueError):
    """Two currencies were added or compared: convert first, or keep them apart."""


class AmountOutOfRange(ValueError):
    """Beyond what a JSON number carries exactly."""


class Money(msgspec.Struct, frozen=True):
    minor: int
    currency: str

    def __post_init__(self) -> None:
        if type(self.minor) is not int:  # bool is an int to isinstance
            raise TypeError(f"an amount is a whole number of minor units, not {type(self.minor).__name__}")
        if self.currency not in DECIMALS:
            raise UnknownCurrency(f"{self.currency!r} is not an ISO 4217 code in use, such as 'MYR'")
        if not -LARGEST <= self.minor <= LARGEST:
            raise AmountOutOfRange(f"an amount is within {LARGEST} minor units either way")

    @classmethod
    def zero(cls, currency: str) -> "Money":
        return cls(0, currency)

    @classmethod
    def from_decimal_string(cls, text: str, currency: str) -> "Money":
        """Reads `12.5` or `-0.05`, exactly: digits beyond the currency's decimals are an error unless they are zero."""
        decimals = cls.zero(currency).decimals
        match = _DECIMAL_STRING.fullmatch(text)
        if match is None:
            raise ValueError(f"{text[:40]!r} is not an amount such as '12.50'")
        sign, whole, fraction = match.group(1), match.group(2), match.group(3) or ""
        if fraction[decimals:].strip("0"):
            raise ValueError(f"{text!r} has more than the {decimals} decimals of {currency}")
        minor = int(whole + fraction[:decimals].ljust(decimals, "0"))
        return cls(-minor if sign else minor, currency)

    @property
    def decimals(self) -> int:
        return DECIMALS[self.currency]

    def decimal_string(self) -> str:
        if not self.decimals:
            return str(self.minor)
        whole, fraction = divmod(abs(self.minor), 10**self.decimals)
        return f"{'-' if self.minor < 0 else ''}{whole}.{fraction:0{self.decimals}d}"

    def format(self) -> str:
        """`MYR 12.50`: for logs, files and mail without a locale."""
        return f"{self.currency} {self.decimal_string()}"

    def __str__(self) -> str:
        return self.format()

    def __add__(self, other: "Money") -> "Money":
        return Money(self.minor + self._same(other), self.currency)

    def __sub__(self, other: "Money") -> "Money":
        return Money(self.minor - self._same(other), self.currency)

    def __mul__(self, times: int) -> "Money":
        if type(times) is not int:
            return NotImplemented
        return Money(self.minor * times, self.currency)

    __rmul__ = __mul__

    def __neg__(self) -> "Money":
        return Money(-self.minor, self.currency)

    # Equality is the struct's own: MYR 0.00 and JPY 0 differ. Order across currencies has no answer, so it raises.
    def __lt__(self, other: "Money") -> bool:
        return self.minor < self._same(other)

    def __le__(self, other: "Money") -> bool:
        return self.minor <= self._same(other)

    def __gt__(self, other: "Money") -> bool:
        return self.minor > self._same(other)

    def __ge__(self, other: "Money") -> bool:
        return self.minor >= self._same(other)

    def split(self, parts: int) -> list["Money"]:
        return self.allocate([1] * parts)

    def allocate(self, weights: Sequence[int]) -> list["Money"]:
        """Shares in proportion to the weights that add up to the whole: each is at most one minor unit off.

        What rounding leaves over goes to those who lost most by it, the first among equals; a weight of 0 gets nothing.
        """
        whole = sum(weights)
        if whole <= 0 or min(weights) < 0:
            raise ValueError("shares need weights of zero or more, and one above zero")
        sign = -1 if self.minor < 0 else 1  # a refund splits as its payment did
        shares = [abs(self.minor) * weight // whole for weight in weights]
        lost = [abs(self.minor) * weight % whole for weight in weights]
        left = abs(self.minor) - sum(shares)
        for index in sorted(range(len(weights)), key=lambda i: -lost[i])[:left]:
            shares[index] += 1
        return [Money(sign * share, self.currency) for share in shares]

    def _same(self, other: "Money") -> int:
        if not isinstance(other, Money):
            raise TypeError(f"money goes with money, not with {type(other).__name__}")
        if other.currency != self.currency:
            raise CurrencyMismatch(f"{self.currency} and {other.currency} do not add up or compare")
        return other.minor
