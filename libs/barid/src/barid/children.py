"""A process that is kept running: started again with backoff when it dies, stopped with a bounded grace."""

import asyncio
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

LONGEST_PAUSE_S = 10.0
_ROTATE_BYTES = 20 * 1024 * 1024

log = structlog.get_logger("barid.children")


@dataclass
class Child:
    """One process of the stack. `changed` is called with every new process id."""

    name: str
    command: list[str]
    options: Mapping[str, Any]
    log_file: Path
    changed: Callable[[], None]
    stop_signal: signal.Signals = signal.SIGTERM
    grace_s: float = 28.0
    pid: int | None = None
    exit_status: int | None = None
    _process: asyncio.subprocess.Process | None = field(default=None, repr=False)
    _stopping: bool = False
    _task: "asyncio.Task[None] | None" = field(default=None, repr=False)

    async def start(self) -> None:
        """Start it, and keep it running from now on."""
        await self._spawn()
        self._task = asyncio.create_task(self._keep(), name=f"keep {self.name}")

    async def stop(self) -> None:
        """Ask it to end, wait for its grace, then kill it."""
        self._stopping = True
        process = self._process
        if process is not None and process.returncode is None:
            with suppress(ProcessLookupError):
                process.send_signal(self.stop_signal)
            try:
                await asyncio.wait_for(process.wait(), self.grace_s)
            except TimeoutError:
                log.warning("killed, for it did not end", child=self.name, grace_s=self.grace_s)
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        (self._pid_file()).unlink(missing_ok=True)

    def last_line(self) -> str:
        """The last line it wrote."""
        lines = self.log_file.read_text(errors="replace").strip().splitlines() if self.log_file.exists() else []
        return lines[-1] if lines else "it left no word"

    async def _keep(self) -> None:
        pause = 0.2
        while True:
            assert self._process is not None  # noqa: S101
            began = time.monotonic()
            self.exit_status = await self._process.wait()
            if self._stopping:
                return
            if time.monotonic() - began > 30:
                pause = 0.2
            log.warning("a process died; starting it again", child=self.name, status=self.exit_status, pause_s=pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_S)
            await self._spawn()

    async def _spawn(self) -> None:
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        if self.log_file.exists() and self.log_file.stat().st_size > _ROTATE_BYTES:
            self.log_file.replace(self.log_file.with_suffix(".log.1"))
        with self.log_file.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                *self.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                **self.options,
            )
        self.pid = self._process.pid
        self._pid_file().parent.mkdir(parents=True, exist_ok=True)
        self._pid_file().write_text(f"{self.pid}\n")
        self.changed()

    def _pid_file(self) -> Path:
        return self.log_file.parent.parent / "run" / f"{self.name}.pid"
