"""JSON as JavaScript writes it: the bytes are those of `JSON.stringify(JSON.parse(bytes))`.

Who parses a message before verifying it, as most web frameworks do, then still has the bytes that were signed. The
rules are ECMA-262 24.5.2 (SerializeJSONProperty), 6.1.6.1.20 (Number::toString) and 10.1.11.1 (order of keys).
"""

import math
import re
from typing import Any

import msgspec

_encoder = msgspec.json.Encoder()
# What our encoder may write otherwise than JavaScript: a fraction or an exponent, a number of 16 digits or more, a key
# that begins with a digit. Text that only looks like it costs the longer way and nothing else.
_OTHERWISE = re.compile(rb'[0-9][.eE]|[0-9]{16}|[{,]"[0-9]')
_INDEX = re.compile(r"0|[1-9][0-9]{0,9}")
_EXACT = 2**53
_LAST_INDEX = 2**32 - 2


def stringify(value: Any) -> bytes:
    """Encode a value that JSON can hold (msgspec structs too) as compact UTF-8.

    A whole number beyond 2**53 is written as the double that JavaScript reads; NaN and the infinities become null.
    """
    encoded = _encoder.encode(value)
    if _OTHERWISE.search(encoded) is None:
        return encoded
    return _encoder.encode(_as_javascript(msgspec.to_builtins(value)))


def _as_javascript(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {key: _as_javascript(inner) for key, inner in value.items()}
        indexes = sorted((key for key in kept if _is_index(key)), key=int)
        return {key: kept[key] for key in (*indexes, *(key for key in kept if key not in indexes))} if indexes else kept
    if isinstance(value, list | tuple):
        return [_as_javascript(inner) for inner in value]
    if isinstance(value, float):
        return msgspec.Raw(_number(value).encode())
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _EXACT:
        return msgspec.Raw(_number(float(value)).encode())
    return value


def _is_index(key: str) -> bool:
    return _INDEX.fullmatch(key) is not None and int(key) <= _LAST_INDEX


def _number(value: float) -> str:
    """Write a double: the fewest digits that read back as the same, as Python's `repr` finds them too."""
    if not math.isfinite(value):
        return "null"
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    # The value is 0.digits times ten to the power of `point`.
    point = len(whole.lstrip("0")) + int(exponent or 0)
    if whole == "0":
        point -= len(fraction) - len(fraction.lstrip("0"))
    digits = digits.rstrip("0")
    if len(digits) <= point <= 21:
        return sign + digits + "0" * (point - len(digits))
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    shown = digits[0] + ("." + digits[1:] if len(digits) > 1 else "")
    return f"{sign}{shown}e{'+' if point > 0 else '-'}{abs(point - 1)}"
