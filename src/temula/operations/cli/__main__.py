"""Lets processes start the command line by its module."""

from temula.operations.cli import main

main()
