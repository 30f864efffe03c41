"""Helpers in processes of their own, steered by lines of JSON; they end with the bench."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.chaos.script import Rule

ROOT = Path(__file__).resolve().parents[2]


class Steered:
    """A process that answers every line with one."""

    def __init__(self, module: str, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            start_new_session=True,
        )  # fmt: skip
        self._lock = threading.Lock()
        self.port: int = self._answer()["port"]

    def tell(self, **order: Any) -> dict[str, Any]:
        """Give an order, and wait until it is carried out."""
        with self._lock:
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
            return self._answer()

    def stop(self) -> None:
        """End it."""
        with self._lock:
            assert self._process.stdin is not None
            with suppress(BrokenPipeError):
                self._process.stdin.close()
            self._process.wait(10)
            assert self._process.stdout is not None
            self._process.stdout.close()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the helper ended by itself"
        found: dict[str, Any] = json.loads(line)
        return found


class SinkProcess(Steered):
    """The scripted sink."""

    def __init__(self, log: Path) -> None:
        super().__init__("tests.chaos.sink", str(log))
        self.log = log

    def script(self, seed: int, rules: Iterable[Rule] = ()) -> None:
        """From now on these rules; what was seen of recipients is forgotten."""
        self.tell(rules=[rule.as_json() for rule in rules], seed=seed)

    @property
    def url(self) -> str:
        """For BARID_SMTP_URL."""
        return f"smtp://127.0.0.1:{self.port}"


class ProxyProcess(Steered):
    """The relay of faults."""

    def __init__(self, target: str) -> None:
        super().__init__("tests.chaos.proxy", target)

    @property
    def url(self) -> str:
        """For BARID_SMTP_URL."""
        return f"smtp://127.0.0.1:{self.port}"
