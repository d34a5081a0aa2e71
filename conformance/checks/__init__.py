"""All checks, in the order in which they are shown."""

from conformance.checks import (
    addresses,
    answers,
    content,
    crashes,
    disabling,
    hostile,
    recovery,
    retries,
    signatures,
)
from conformance.kit import CHECKS as REGISTERED

ORDER = (signatures, content, answers, retries, hostile, addresses, disabling, recovery, crashes)
CHECKS = sorted(REGISTERED, key=lambda one: [part.__name__ for part in ORDER].index(one.run.__module__))
