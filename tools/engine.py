"""The container engine: Docker where there is one, else podman, which is installed on Debian and needs no registry.

With podman, every image that would be pulled is a stand-in, built here from Debian and from Maven Central's jars.
Its storage is our own, so that no other image of the machine is shadowed by a stand-in.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = ("podman", "buildah", "runc", "debootstrap")
HELPERS = (Path("/usr/lib/podman/netavark"), Path("/usr/lib/podman/aardvark-dns"))
# Some taken by name, for podman only recommends them: a stack's network, the names in it, and its published ports.
DEBIAN = (*PROGRAMS, "netavark", "aardvark-dns", "iptables")

_CONTAINERS = """\
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[network]
network_backend = "netavark"
network_config_dir = "{area}/networks"
"""
_STORAGE = """\
[storage]
driver = "overlay"
graphroot = "{area}/storage"
runroot = "{area}/run"
"""


class NoEngine(Exception):
    """There is no engine, and none can be installed; the text says what to do."""


@dataclass(frozen=True)
class Engine:
    """How to call it. `stand_ins`: nothing is pulled."""

    name: str
    compose: tuple[str, ...]
    stand_ins: bool
    environment: dict[str, str] = field(default_factory=dict)

    def command(self, *arguments: str | Path) -> list[str]:
        """A call of the engine."""
        return [self.name, *map(str, arguments)]

    def run(self, *arguments: str | Path, timeout_s: float = 900) -> str:
        """Call it; what it printed. Raises subprocess.CalledProcessError."""
        return self.call(self.command(*arguments), timeout_s=timeout_s)

    def call(self, command: Sequence[str], *, timeout_s: float = 900, more: dict[str, str] | None = None) -> str:
        """Run a command that knows the engine. Raises subprocess.CalledProcessError."""
        made = subprocess.run(
            command,
            cwd=ROOT,
            env={**os.environ, **self.environment, **(more or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=True,
        )
        return made.stdout


def find() -> Engine:
    """The engine of this machine. Raises NoEngine."""
    tools = Path(sys.executable).parent
    if shutil.which("docker") and subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0:
        plugin = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0
        return Engine("docker", ("docker", "compose") if plugin else (str(tools / "docker-compose"),), stand_ins=False)
    if os.geteuid() != 0:
        raise NoEngine("no Docker engine answers, and podman with stand-ins is only used as root: start Docker")
    _install()
    area = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "barid" / "containers"
    area.mkdir(parents=True, exist_ok=True)
    (area / "containers.conf").write_text(_CONTAINERS.format(area=area))
    (area / "storage.conf").write_text(_STORAGE.format(area=area))
    environment = {
        "CONTAINERS_CONF": str(area / "containers.conf"),
        "CONTAINERS_STORAGE_CONF": str(area / "storage.conf"),
        "BUILDAH_ISOLATION": "chroot",
    }
    return Engine("podman", (str(tools / "podman-compose"),), stand_ins=True, environment=environment)


def _install() -> None:
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    missing += [helper.name for helper in HELPERS if not helper.exists()]
    if not missing:
        return
    if shutil.which("apt-get") is None:
        raise NoEngine(f"no Docker engine answers, and {', '.join(missing)} are missing: install them, or start Docker")
    print(f"installing {' '.join(missing)} by apt-get", flush=True)
    apt = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for words in (["update"], ["install", "--yes", "--no-install-recommends", *DEBIAN]):
        made = subprocess.run(
            ["apt-get", "-qq", *words], env=apt, capture_output=True, text=True, timeout=600, check=False
        )
        if made.returncode:
            raise NoEngine(f"apt-get {words[0]} failed: {made.stderr.strip().splitlines()[-1:]}")
