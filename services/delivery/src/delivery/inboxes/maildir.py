"""A Maildir: a mail server puts each mail into `new`; what was read is moved to `cur`."""

import os
from pathlib import Path

from common.errors import Misconfigured


class Maildir:
    """One Maildir."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        missing = [name for name in ("new", "cur") if not (self._path / name).is_dir()]
        if not path or missing:
            raise Misconfigured(f"BARID_INBOX_URL: {self._path} is no Maildir, it has no {' and no '.join(missing)}")
        if not os.access(self._path / "cur", os.W_OK | os.X_OK) or not os.access(self._path / "new", os.W_OK | os.X_OK):
            raise Misconfigured(f"BARID_INBOX_URL: {self._path} cannot be written, so what was read cannot be marked")

    def waiting(self, limit: int) -> list[str]:
        """The names in `new`; they begin with the time of delivery."""
        with os.scandir(self._path / "new") as entries:
            names = [entry.name for entry in entries if not entry.name.startswith(".") and entry.is_file()]
        return sorted(names)[:limit]

    def read(self, name: str, most: int) -> bytes:
        """One mail, at most one byte more than `most`."""
        with (self._path / "new" / name).open("rb") as file:
            return file.read(most + 1)

    def mark(self, name: str, *, flagged: bool) -> None:
        """Move it to `cur` as seen; a rename is one step, so it is never in both or neither."""
        place = self._path / "cur" / f"{name.partition(':2,')[0]}:2,{'FS' if flagged else 'S'}"
        try:
            (self._path / "new" / name).rename(place)
        except FileNotFoundError:
            return  # another one was faster
        folder = os.open(self._path / "cur", os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def close(self) -> None:
        """Nothing is open."""
