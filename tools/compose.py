"""A stack of docker-compose.yml: brought up in the order of its `depends_on`, looked at, and taken down."""

import json
import os
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import yaml

from tools.engine import ROOT, Engine

FILE = ROOT / "docker-compose.yml"
READY_S = 180.0
RESTARTS = 3  # a dependency may come up late; who ends over and over will not come up


class NotReady(Exception):
    """A container ended, or was not ready in time. `service` is whose."""

    def __init__(self, service: str, text: str) -> None:
        super().__init__(f"{service} {text}")
        self.service = service


def document() -> dict[str, Any]:
    """docker-compose.yml, parsed."""
    found: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return found


def once(service: dict[str, Any]) -> bool:
    """Whether it does its work and ends."""
    return str(service.get("restart", "")).startswith("on-failure")


def waves(services: dict[str, Any]) -> list[list[str]]:
    """The services in groups, each of which depends on earlier groups only. What has a profile is not started."""
    left = {name: set(service.get("depends_on", ())) for name, service in services.items() if "profiles" not in service}
    found: list[list[str]] = []
    while left:
        wave = sorted(name for name, needs in left.items() if not needs & left.keys())
        if not wave:
            raise ValueError(f"depends_on goes round in {', '.join(left)}")
        found.append(wave)
        for name in wave:
            del left[name]
    return found


@dataclass
class Stack:
    """One project of compose. `environment` is what docker-compose.yml reads of ours."""

    engine: Engine
    project: str
    environment: dict[str, str] = field(default_factory=dict)
    services: dict[str, Any] = field(default_factory=lambda: document()["services"])
    known: dict[str, str] = field(default_factory=dict)

    def compose(self, *arguments: str, timeout_s: float = 300) -> str:
        """Call compose; what it printed. Raises subprocess.CalledProcessError."""
        more = {"COMPOSE_PROJECT_NAME": self.project, **self.environment}
        return self.engine.call([*self.engine.compose, *arguments], timeout_s=timeout_s, more=more)

    def up(self) -> None:
        """Start everything, a group after the other, each ready before the next. Raises NotReady."""
        for wave in waves(self.services):
            self.compose("up", "-d", "--no-deps", "--no-build", *wave)
            self.wait(wave)

    def wait(self, names: Iterable[str], within_s: float = READY_S) -> None:
        """Until one-shots have succeeded and the others are healthy. Raises NotReady."""
        deadline = time.monotonic() + within_s
        left = list(names)
        while True:
            left = [name for name in left if not self.ready(name)]
            if not left:
                return
            if time.monotonic() > deadline:
                raise NotReady(left[0], f"was not ready within {within_s:.0f} s")
            time.sleep(0.5)

    def ready(self, name: str) -> bool:
        """Whether it is where the next group may start. Raises NotReady when it has failed."""
        service = self.services[name]
        found = json.loads(self.engine.run("inspect", self.container(name)))[0]
        state = found["State"]
        status, code = state["Status"], state["ExitCode"]
        if once(service):
            if status == "exited" and code:
                raise NotReady(name, f"ended with status {code}")
            return bool(status == "exited")
        if status in ("exited", "dead") or found["RestartCount"] > RESTARTS:
            raise NotReady(name, f"ended with status {code}, {found['RestartCount']} times over")
        return bool(status == "running") and self.healthy(name, state)

    def healthy(self, name: str, state: dict[str, Any]) -> bool:
        """Its health check's word; podman schedules none without systemd, so it is asked."""
        if "healthcheck" not in self.services[name]:
            return True
        if self.engine.name == "docker":
            return bool(state["Health"]["Status"] == "healthy")
        asked = subprocess.run(
            self.engine.command("healthcheck", "run", self.container(name)),
            env={**os.environ, **self.engine.environment},
            capture_output=True,
            check=False,
        )
        return asked.returncode == 0

    def container(self, name: str) -> str:
        """The id of a service's container. Raises NotReady when there is none."""
        if name not in self.known:
            ids = self.containers(name)
            if not ids:
                raise NotReady(name, "has no container")
            self.known[name] = ids[0]
        return self.known[name]

    def containers(self, name: str | None = None) -> list[str]:
        """The ids of the project's containers, or of one service's."""
        labels = [f"label=com.docker.compose.project={self.project}"]
        labels += [f"label=com.docker.compose.service={name}"] if name else []
        filters = [part for label in labels for part in ("--filter", label)]
        return self.engine.run("ps", "--all", "--quiet", *filters).split()

    def python(self, name: str, code: str) -> str:
        """Run a line of Python in a service's container; what it printed."""
        return self.engine.run("exec", self.container(name), "python", "-c", code, timeout_s=120)

    def log(self, name: str, lines: int = 25) -> str:
        """The last lines a service wrote."""
        made = subprocess.run(
            self.engine.command("logs", "--tail", str(lines), self.container(name)),
            env={**os.environ, **self.engine.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return made.stdout

    def down(self) -> None:
        """End everything and forget its data. Raises RuntimeError when something is left."""
        self.known.clear()
        self.compose("down", "--volumes", "--timeout", "10")
        if left := self.containers():
            raise RuntimeError(f"compose down left {', '.join(left)}")
