"""What tests of chaos share: a Temula whose workers are processes of their own."""

from tests.chaos.test_deliveries import site

__all__ = ["site"]
