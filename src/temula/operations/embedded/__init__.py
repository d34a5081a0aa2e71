"""The private PostgreSQL that `temula up` runs when no database URL is set."""

from temula.operations.embedded.server import EmbeddedPostgres

__all__ = ["EmbeddedPostgres"]
