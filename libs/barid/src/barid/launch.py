"""Starting the supervisor in the background or here, and stopping it."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common.errors import Misconfigured

from barid import state
from barid.settings import StackSettings

START_WITHIN_S = 150
STOP_WITHIN_S = 120

Info = dict[str, Any]


def start(settings: StackSettings, *, sink: bool = False, told: Callable[[str], None] = lambda _: None) -> Info:
    """Start the stack in the background, or find it running; what stack.json says. Raises Misconfigured.

    `sink`: start the mail sink whatever BARID_SMTP_URL says.
    """
    area = settings.area
    if state.supervisor(area) is not None:
        return state.read(area)
    area.mkdir(parents=True, exist_ok=True)
    (area / "log").mkdir(mode=0o700, exist_ok=True)
    area.chmod(area.stat().st_mode & ~0o007 | 0o001 if os.geteuid() == 0 else 0o700)
    read, write = os.pipe()
    command = [sys.executable, "-m", "barid", "supervise", str(write), *(["--sink"] if sink else [])]
    with (area / "log" / "supervisor.log").open("ab") as log:
        process = subprocess.Popen(  # noqa: S603
            command, pass_fds=[write], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    os.close(write)
    try:
        with os.fdopen(read) as steps:
            for line in steps:
                word = json.loads(line)
                if "ready" in word:
                    info: Info = word["ready"]
                    process.returncode = 0  # it outlives us on purpose
                    return info
                if "error" in word:
                    process.wait(STOP_WITHIN_S)
                    raise Misconfigured(str(word["error"]).removeprefix("barid: "))
                told(word["step"])
    except BaseException:
        if process.returncode is None and process.poll() is None:
            process.terminate()
            process.wait(STOP_WITHIN_S)
        raise
    process.wait(STOP_WITHIN_S)
    raise Misconfigured(f"the supervisor ended by itself; see {area / 'log' / 'supervisor.log'}")


def supervise(settings: StackSettings, descriptor: int, *, sink: bool | None) -> None:
    """The supervisor process: tells its steps to whoever started it, then lives until SIGTERM."""
    from common.logging import set_up_logging
    from common.process import run_process

    from barid.supervisor import Supervisor

    set_up_logging("barid", "supervisor")
    os.set_inheritable(descriptor, False)
    pipe = os.fdopen(descriptor, "w", buffering=1)

    def tell(word: Info) -> None:
        if not pipe.closed:
            try:
                pipe.write(json.dumps(word) + "\n")
            except BrokenPipeError:
                return
            if "ready" in word:
                pipe.close()

    try:  # the standard loop: uvloop cannot start a process as another user
        run_process(Supervisor(settings, tell, sink=sink).run, grace_s=STOP_WITHIN_S, loop=asyncio.new_event_loop)
    except Exception as error:
        text = error.message if isinstance(error, Misconfigured) else f"{type(error).__name__}: {error}"
        tell({"error": text})
        if not isinstance(error, Misconfigured):
            raise
        sys.exit(2)


def run_here(settings: StackSettings, ready: Callable[[Info], None]) -> None:
    """Be the supervisor in the foreground."""
    from common.logging import set_up_logging
    from common.process import run_process

    from barid.supervisor import Supervisor

    set_up_logging("barid", "supervisor")

    def tell(word: Info) -> None:
        if "ready" in word:
            ready(word["ready"])

    run_process(Supervisor(settings, tell).run, grace_s=STOP_WITHIN_S, loop=asyncio.new_event_loop)


def stop(area: Path) -> bool:
    """Stop the stack and wait until it is gone; False when nothing ran. Raises Misconfigured when it does not end."""
    pid = state.supervisor(area)
    if pid is None:
        return False
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_WITHIN_S
    while state.supervisor(area) is not None:
        if time.monotonic() > deadline:
            raise Misconfigured(f"the supervisor ({pid}) did not end within {STOP_WITHIN_S} s; see {area / 'log'}")
        time.sleep(0.1)
    return True
