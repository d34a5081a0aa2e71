"""Tools for Temula's own developers."""
