"""The installation's secrets: made once, kept in one file that only its owner may read."""

import base64
import fcntl
import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from common.errors import Misconfigured


@dataclass(frozen=True, slots=True)
class Keys:
    """Passwords of the database roles are derived from `database`; the others go to the services as they are."""

    database: str
    token_signing_key: str
    token_keys: str
    link_keys: str
    pepper: str
    sealing_keys: str


def load(area: Path) -> Keys:
    """Read `secrets.json` in the area, or make it. Raises Misconfigured."""
    area.mkdir(parents=True, exist_ok=True)
    path = area / "secrets.json"
    with (area / ".secrets.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            _write(path, make())
        try:
            found = json.loads(path.read_text())
            if "sealing_keys" not in found:  # made by a release that sealed nothing
                found["sealing_keys"] = make().sealing_keys
                _write(path, Keys(**found))
            return Keys(**found)
        except (ValueError, TypeError) as error:
            raise Misconfigured(f"BARID_DATA_DIR: {path} is not a file of secrets; restore it from a backup") from error


def make() -> Keys:
    """New secrets."""
    from common.web.tokens import new_signing_key

    private, public = new_signing_key()
    return Keys(secrets.token_urlsafe(32), private, public, f"k1:{_random()}", _random(), f"s1:{_random()}")


def _random() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


def _write(path: Path, keys: Keys) -> None:
    partial = path.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(asdict(keys), file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    partial.rename(path)
