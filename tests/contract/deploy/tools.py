"""The programs that the checks of deploy/ need: missing ones fail in CI, and are told elsewhere."""

import os
import shutil

import pytest


def needed(*programs: str) -> None:
    """Skip where a program is missing, but fail where CI runs: there, nothing is left out."""
    for program in programs:
        if shutil.which(program) is None:
            absent(f"there is no {program} here")


def absent(why: str) -> None:
    """Something that a check needs is not there."""
    if os.environ.get("CI"):
        pytest.fail(f"CI must run this, but {why}")
    pytest.skip(why)
