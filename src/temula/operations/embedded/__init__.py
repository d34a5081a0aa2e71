"""The private PostgreSQL that `temula up` runs when no database URL is set."""
