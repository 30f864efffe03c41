"""What the supervisor leaves on disk: the lock it holds while it lives, and `stack.json`."""

import fcntl
import json
import os
from pathlib import Path
from typing import IO, Any

from common.errors import Misconfigured


def lock(area: Path) -> IO[str]:
    """Hold the area until the process ends. Raises Misconfigured when another supervisor has it."""
    (area / "run").mkdir(parents=True, exist_ok=True)
    file = (area / "run" / "supervisor.pid").open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise Misconfigured(f"BARID_DATA_DIR: another Barid runs in {area}; `barid down` stops it") from None
    file.truncate(0)
    file.write(f"{os.getpid()}\n")
    file.flush()
    return file


def supervisor(area: Path) -> int | None:
    """The process id of the supervisor that holds the area, or None."""
    path = area / "run" / "supervisor.pid"
    if not path.exists():
        return None
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            text = file.read().strip()
            return int(text) if text.isdigit() else None
    return None


def read(area: Path) -> dict[str, Any]:
    """stack.json. Raises Misconfigured when nothing runs."""
    path = area / "stack.json"
    if supervisor(area) is None or not path.exists():
        raise Misconfigured("BARID_DATA_DIR: nothing runs here; `barid up` starts it")
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def write(area: Path, value: dict[str, Any]) -> None:
    """Replace stack.json at once; it holds a token, so only its owner may read it."""
    partial = area / f".stack.json.{os.getpid()}"
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(value, file, indent=1)
    partial.rename(area / "stack.json")


def remove(area: Path) -> None:
    """Nothing runs any more."""
    (area / "stack.json").unlink(missing_ok=True)
