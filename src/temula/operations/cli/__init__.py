"""The command line: `temula --help`. Errors are one line and exit code 2."""

import sys

import typer

from temula.operations.cli import operating, processes, webhooks

app = typer.Typer(
    name="temula", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
    help="Temula: sell tickets, take payments, check people in, and tell others by signed webhooks.",
)  # fmt: skip
processes.register(app)
operating.register(app)
app.add_typer(webhooks.group(), name="webhooks")


def main() -> None:
    """Run a command; what we raise on purpose is one line on standard error and exit code 2."""
    from temula.kernel.errors import TemulaError

    try:
        app()
    except TemulaError as error:
        sys.stderr.write(f"temula: {error.detail}\n")
        sys.exit(2)
    except ConnectionError as error:
        sys.stderr.write(f"temula: cannot connect: {error}\n")
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
