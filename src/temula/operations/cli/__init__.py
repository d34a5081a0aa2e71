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
    """Run a command; what we raise on purpose, and a wrong command, is one line on standard error and exit code 2."""
    from temula.kernel.errors import TemulaError

    try:
        sys.exit(app(standalone_mode=False))
    except typer.TyperException as error:
        said = " ".join(error.format_message().split())  # empty if help was all that was asked for
        sys.stderr.write(f"temula: {said.rstrip('.')}. See `{_asked(error)} --help`.\n" if said else "")
        sys.exit(2)
    except typer.Abort:
        sys.stderr.write("temula: stopped.\n")
        sys.exit(1)
    except TemulaError as error:
        sys.stderr.write(f"temula: {error.detail}\n")
        sys.exit(2)
    except ConnectionError as error:
        sys.stderr.write(f"temula: cannot connect: {error}\n")
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


def _asked(error: typer.TyperException) -> str:
    context = getattr(error, "ctx", None)
    return "temula" if context is None else str(context.command_path)
