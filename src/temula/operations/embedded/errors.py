"""What can be wrong with the private PostgreSQL, said in one line that ends with what to do."""

from temula.kernel.errors import Misconfigured


class EmbeddedPostgresError(Misconfigured):
    """The private PostgreSQL cannot be started; the text says why and what to do next."""

    code = "embedded_postgres"
    title = "The embedded PostgreSQL cannot be started"
