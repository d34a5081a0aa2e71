"""What can be wrong with the private PostgreSQL, said in one line that ends with what to do."""


class EmbeddedPostgresError(Exception):
    """The private PostgreSQL cannot be started; the text says why and what to do next."""
