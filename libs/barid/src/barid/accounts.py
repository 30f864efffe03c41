"""The unprivileged account PostgreSQL runs under when we are root; it refuses to run as root."""

import os
import pwd
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

from common.errors import Misconfigured

ACCOUNT = "barid-pg"
_OPTIONS = "--system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin".split()  # noqa: SIM905


def account() -> pwd.struct_passwd | None:
    """The account to drop to, made if it is missing; None when we are an ordinary user already."""
    if os.geteuid() != 0:
        return None
    for attempt in range(5):
        try:
            return pwd.getpwnam(ACCOUNT)
        except KeyError:
            pass
        program = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
        if program is None:
            break
        subprocess.run(  # noqa: S603
            [program, *_OPTIONS, ACCOUNT],
            capture_output=True,
            check=False,
            timeout=30,
        )
        time.sleep(0.1 * attempt)  # another process may hold the lock of the password file
    try:
        return pwd.getpwnam(ACCOUNT)
    except KeyError:
        raise Misconfigured(
            f"PostgreSQL does not run as root, and the account {ACCOUNT} could not be made: "
            "run as an ordinary user, or set DATABASE_URL"
        ) from None


def dropped(user: pwd.struct_passwd | None) -> dict[str, Any]:
    """Arguments for subprocess that run a program under the account, with none of our groups."""
    if user is None:
        return {}
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def reachable(path: Path, user: pwd.struct_passwd | None) -> bool:
    """Whether the account may enter every folder above the path."""
    if user is None:
        return True
    return all(_may_enter(folder, user) for folder in path.resolve().parents)


def _may_enter(folder: Path, user: pwd.struct_passwd) -> bool:
    found = folder.stat()
    if found.st_uid == user.pw_uid:
        return bool(found.st_mode & 0o100)
    if found.st_gid == user.pw_gid:
        return bool(found.st_mode & 0o010)
    return bool(found.st_mode & 0o001)
