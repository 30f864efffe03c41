"""Ending a process that cannot go on: one line, and a status that says whose fault it is."""

import sys
from typing import NoReturn

FAILED = 1
MISCONFIGURED = 2


def fail(line: str, status: int) -> NoReturn:
    """End the process with one line on standard error."""
    print(" ".join(line.split()), file=sys.stderr)  # noqa: T201
    sys.exit(status)


def brief(error: BaseException) -> str:
    """The first line of an error's text, or its name."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
