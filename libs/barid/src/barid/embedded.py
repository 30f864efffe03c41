"""A private PostgreSQL: its own account, its own data directory, a password for everybody, no open port."""

import hashlib
import os
import secrets
import shutil
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from common.errors import Misconfigured

from barid.accounts import account, dropped, reachable
from barid.binaries import OLDEST, Binaries, find

ADMIN = "barid_admin"

_COMMON = {
    "max_connections": "200",
    "shared_buffers": "256MB",
    "effective_cache_size": "2GB",
    "work_mem": "16MB",
    "maintenance_work_mem": "256MB",
    "wal_compression": "on",
    "max_wal_size": "4GB",
    "min_wal_size": "256MB",
    "checkpoint_timeout": "15min",
    "random_page_cost": "1.1",
    "jit": "off",
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "lc_messages": "C",
    "autovacuum_naptime": "10s",
    "track_io_timing": "on",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "logging_collector": "off",
}
_DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
# For tests: a machine that loses power loses nothing of value here.
_FLEETING = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "autovacuum": "off"}


@dataclass(frozen=True, slots=True)
class Embedded:
    """A prepared server. `prepare` makes one; `command` or `start` runs it."""

    binaries: Binaries
    area: Path
    port: int
    loopback: bool
    password: str

    @property
    def data(self) -> Path:
        """The data directory."""
        return self.area / "data"

    @property
    def url(self) -> str:
        """The administrator's URL."""
        secret = quote(self.password, safe="")
        if self.loopback:
            return f"postgresql://{ADMIN}:{secret}@127.0.0.1:{self.port}/postgres"
        return f"postgresql://{ADMIN}:{secret}@/postgres?host={quote(str(self.area / 'run'))}&port={self.port}"

    def command(self) -> list[str]:
        """The command that runs the server in the foreground; SIGINT is its fast stop."""
        return [self.binaries.program("postgres"), "-D", str(self.data)]

    def options(self) -> dict[str, Any]:
        """Arguments for subprocess, for every program of the server."""
        return {"env": self.binaries.environment(), "cwd": str(self.area), **dropped(account())}

    def running(self) -> bool:
        """Whether a server runs on the data directory."""
        return self._pg_ctl("status", check=False).returncode == 0

    def start(self) -> None:
        """Start it in the background and wait until it answers. Raises Misconfigured with its last words."""
        log = self.area / "postgres.log"
        if self._pg_ctl("-w", "-t", "60", "-l", str(log), "-s", "start", check=False).returncode:
            raise Misconfigured(f"the embedded PostgreSQL does not start: {_last_line(log)}")

    def stop(self, mode: str = "fast") -> None:
        """Stop it, and wait."""
        if self.running():
            self._pg_ctl("-w", "-t", "60", "-m", mode, "-s", "stop")

    def _pg_ctl(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(  # noqa: S603
            [self.binaries.program("pg_ctl"), "-D", str(self.data), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=check,
            timeout=90,
            **self.options(),
        )


def prepare(area: Path, *, durable: bool = True, settings: dict[str, str] | None = None) -> Embedded:
    """Make or find the data directory in `area`. Raises Misconfigured.

    As root, everything in the area belongs to the server's own account; when that account may not even
    enter the folders above, the area moves to /var/lib/barid.
    """
    user = account()
    area = _place(area)
    area.mkdir(mode=0o700, parents=True, exist_ok=True)
    binaries = find()
    major, full = binaries.version()
    if major < OLDEST:
        raise Misconfigured(f"PostgreSQL {full} is too old, {OLDEST} or newer is needed: set BARID_PG_BINDIR")
    if not reachable(Path(binaries.program("postgres")), user):
        binaries = binaries.copy_to(area / f"postgresql-{full}")
    (area / "run").mkdir(mode=0o700, exist_ok=True)
    password = _password(area / "password")
    if user is not None:
        for path in (area, area / "run", area / "password"):
            os.chown(path, user.pw_uid, user.pw_gid)
    loopback = _is_loopback(area)
    port = _port(area / "port", loopback=loopback)
    server = Embedded(binaries, area, port, loopback, password)
    if (server.data / "PG_VERSION").exists():
        found = (server.data / "PG_VERSION").read_text().strip()
        if found != str(major):
            raise Misconfigured(
                f"{server.data} was made by PostgreSQL {found}, and the programs here are {full}: dump it with "
                f"PostgreSQL {found} and load it again, or set BARID_PG_BINDIR or BARID_DATA_DIR"
            )
    else:
        _initdb(server, major)
    _configure(server, {**_COMMON, **(_DURABLE if durable else _FLEETING), **(settings or {})})
    return server


def url_in(area: Path) -> str | None:
    """The administrator's URL of the server prepared in `area`, or None when there is none."""
    area = _place(area)
    if not (area / "data" / "PG_VERSION").exists():
        return None
    loopback = _is_loopback(area)
    port = _port(area / "port", loopback=loopback)
    return Embedded(Binaries(area, bundled=False), area, port, loopback, _password(area / "password")).url


def remove(server: Embedded) -> None:
    """Stop it and delete everything it has."""
    server.stop("immediate")
    shutil.rmtree(server.area)


def _place(area: Path) -> Path:
    area = area.absolute()
    existing = next(folder for folder in (area, *area.parents) if folder.exists())
    if reachable(existing / "x" if existing != area else area, account()):
        return area
    return Path("/var/lib/barid") / hashlib.sha256(str(area).encode()).hexdigest()[:16]


def _is_loopback(area: Path) -> bool:
    return len(str(area / "run" / ".s.PGSQL.65535")) > 100  # the longest socket address is 107 bytes


def _initdb(server: Embedded, major: int) -> None:
    locale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"] if major >= 17 else []
    shutil.rmtree(server.data, ignore_errors=True)  # an interrupted earlier attempt
    command = [server.binaries.program("initdb"), "-D", str(server.data), "-U", ADMIN, "-E", "UTF8", "-A"]
    command += ["scram-sha-256", f"--pwfile={server.area / 'password'}", "--locale=C.UTF-8", *locale, "-N"]
    done = subprocess.run(  # noqa: S603
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=120, **server.options()
    )
    if done.returncode:
        raise Misconfigured(f"initdb failed in BARID_DATA_DIR: {(done.stderr.strip() or 'no words').splitlines()[-1]}")


def _configure(server: Embedded, settings: dict[str, str]) -> None:
    place = {
        "listen_addresses": "127.0.0.1" if server.loopback else "",
        "port": str(server.port),
        "unix_socket_directories": "" if server.loopback else str(server.area / "run"),
        "unix_socket_permissions": "0700",
    }
    quoted = {name: value.replace("'", "''") for name, value in {**settings, **place}.items()}
    text = "".join(f"{name} = '{value}'\n" for name, value in quoted.items())
    target = server.data / "barid.conf"
    target.write_text(text)
    main = server.data / "postgresql.conf"
    if "include = 'barid.conf'" not in main.read_text():
        with main.open("a") as file:
            file.write("\ninclude = 'barid.conf'\n")
    user = account()
    if user is not None:
        os.chown(target, user.pw_uid, user.pw_gid)


def _password(path: Path) -> str:
    if not path.exists():
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(24) + "\n")
    return path.read_text().strip()


def _port(path: Path, *, loopback: bool) -> int:
    """The port names the socket file; a real one is chosen once and kept, so that the URL stays the same."""
    if not loopback:
        return 5432
    if not path.exists():
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            path.write_text(str(probe.getsockname()[1]))
    return int(path.read_text())


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    return lines[-1] if lines else "it left no log"
