"""Money: exact, bounded, of one currency, and whole after every split."""

import json
from collections.abc import Callable
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from temula.kernel.money import DECIMALS, LARGEST, AmountOutOfRange, CurrencyMismatch, Money, UnknownCurrency

minors = st.integers(-LARGEST, LARGEST)
currencies = st.sampled_from(sorted(DECIMALS))
moneys = st.builds(Money, minors, currencies)


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [
        (1250, "MYR", "MYR 12.50"),
        (5, "MYR", "MYR 0.05"),
        (-5, "MYR", "MYR -0.05"),
        (1250, "JPY", "JPY 1250"),
        (1250, "KWD", "KWD 1.250"),
        (1250, "CLF", "CLF 0.1250"),
        (0, "USD", "USD 0.00"),
    ],
)
def test_format_has_the_currencys_decimals(minor: int, currency: str, text: str) -> None:
    assert Money(minor, currency).format() == str(Money(minor, currency)) == text


@pytest.mark.parametrize("minor", [1.0, 1.5, True, "1", None, Decimal(1)])
def test_an_amount_is_an_int_and_nothing_like_it(minor: object) -> None:
    with pytest.raises(TypeError):
        Money(minor, "MYR")  # type: ignore[arg-type]


@pytest.mark.parametrize("currency", ["", "myr", "RM", "XXX", "XAU", "HRK", "BGN"])
def test_a_currency_is_one_in_use(currency: str) -> None:
    with pytest.raises(UnknownCurrency):
        Money(1, currency)


def test_amounts_are_bounded_by_what_json_carries() -> None:
    assert json.loads(json.dumps(float(LARGEST))) == LARGEST
    beyond: list[Callable[[], Money]] = [
        lambda: Money(LARGEST + 1, "MYR"),
        lambda: Money(LARGEST, "MYR") + Money(1, "MYR"),
        lambda: Money(-LARGEST, "MYR") - Money(1, "MYR"),
        lambda: Money(LARGEST, "MYR") * 2,
        lambda: Money.from_decimal_string("9" * 16, "MYR"),
    ]
    for make in beyond:
        with pytest.raises(AmountOutOfRange):
            make()


def test_currencies_do_not_mix() -> None:
    ringgit, yen = Money(1, "MYR"), Money(1, "JPY")
    mixes: list[Callable[[], object]] = [
        lambda: ringgit + yen,
        lambda: ringgit - yen,
        lambda: ringgit < yen,
        lambda: ringgit <= yen,
        lambda: ringgit > yen,
        lambda: ringgit >= yen,
    ]
    for mix in mixes:
        with pytest.raises(CurrencyMismatch):
            mix()
    assert ringgit != yen
    assert Money.zero("MYR") != Money.zero("JPY")


@pytest.mark.parametrize("times", [1.5, True, Decimal(2), Money(1, "MYR")])
def test_money_is_multiplied_by_whole_numbers_only(times: object) -> None:
    with pytest.raises(TypeError):
        Money(1, "MYR") * times  # type: ignore[operator]


def test_money_goes_with_money_only() -> None:
    with pytest.raises(TypeError):
        Money(1, "MYR") + 1  # type: ignore[operator]
    with pytest.raises(TypeError):
        assert Money(1, "MYR") < 1  # type: ignore[operator]


def test_adds_up() -> None:
    prices = [Money(1250, "MYR"), Money(999, "MYR")]
    assert sum(prices, Money.zero("MYR")) == Money(2249, "MYR")
    assert max(prices) == Money(1250, "MYR")
    assert 3 * Money(5, "MYR") == Money(5, "MYR") * 3 == Money(15, "MYR")
    assert -Money(5, "MYR") == Money(-5, "MYR")


@given(moneys)
def test_decimal_strings_read_back(money: Money) -> None:
    text = money.decimal_string()
    assert Money.from_decimal_string(text, money.currency) == money
    assert Decimal(text) == Decimal(money.minor).scaleb(-money.decimals)


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [("12.5", "MYR", 1250), ("12", "MYR", 1200), ("-0.05", "MYR", -5), ("12.500", "MYR", 1250), ("100.00", "JPY", 100)],
)
def test_decimal_strings_are_read_exactly(text: str, currency: str, minor: int) -> None:
    assert Money.from_decimal_string(text, currency) == Money(minor, currency)


@pytest.mark.parametrize(
    "text",
    ["", "-", ".5", "5.", "1,000.00", "1e3", " 1", "1 ", "1\n", "+1", "--1", "0x1", "NaN", "1.005", "\u0661", "1" * 17],
)
def test_other_strings_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"amount|decimals"):
        Money.from_decimal_string(text, "MYR")


@given(st.text(max_size=30), currencies)
def test_any_string_is_an_amount_or_a_value_error(text: str, currency: str) -> None:
    try:
        money = Money.from_decimal_string(text, currency)
    except ValueError:
        return
    assert Decimal(money.decimal_string()) == Decimal(text)


@given(moneys, st.lists(st.integers(0, 10**9), min_size=1, max_size=12).filter(any))
def test_shares_add_up_are_fair_and_keep_the_sign(money: Money, weights: list[int]) -> None:
    shares = money.allocate(weights)
    assert sum(shares, Money.zero(money.currency)) == money
    for share, weight in zip(shares, weights, strict=True):
        assert abs(share.minor * sum(weights) - money.minor * weight) < sum(weights)
        assert share.minor == 0 or (share.minor > 0) == (money.minor > 0)
        assert weight or not share.minor
    assert [-share for share in shares] == (-money).allocate(weights)


@given(moneys, st.integers(1, 40))
def test_equal_shares_differ_by_one_at_most(money: Money, parts: int) -> None:
    shares = money.split(parts)
    assert len(shares) == parts
    assert sum(shares, Money.zero(money.currency)) == money
    assert max(shares).minor - min(shares).minor <= 1


def test_left_over_units_go_to_the_first_among_equals() -> None:
    assert [share.minor for share in Money(100, "MYR").split(3)] == [34, 33, 33]
    assert [share.minor for share in Money(5, "MYR").allocate([3, 7])] == [2, 3]


@pytest.mark.parametrize("weights", [[], [0], [0, 0], [-1, 2], [1, -1]])
def test_shares_need_weights(weights: list[int]) -> None:
    with pytest.raises(ValueError, match="weights"):
        Money(1, "MYR").allocate(weights)


@given(moneys)
def test_json_carries_it(money: Money) -> None:
    assert msgspec.json.decode(msgspec.json.encode(money), type=Money) == money


@pytest.mark.parametrize(
    "text",
    [b'{"minor":1.5,"currency":"MYR"}', b'{"minor":1,"currency":"XX"}', b'{"minor":9007199254740992,"currency":"MYR"}'],
)
def test_json_that_is_no_money_is_refused(text: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(text, type=Money)


@given(minors, minors, currencies)
def test_order_is_that_of_the_amounts(left: int, right: int, currency: str) -> None:
    a, b = Money(left, currency), Money(right, currency)
    assert ((a < b), (a <= b), (a > b), (a >= b), (a == b)) == (
        (left < right),
        (left <= right),
        (left > right),
        (left >= right),
        (left == right),
    )
    assert hash(a) == hash(Money(left, currency))
