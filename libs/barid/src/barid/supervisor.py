"""The supervisor: starts PostgreSQL, prepares the databases, runs the processes, keeps them, and ends them in order."""

import asyncio
import json
import os
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import asyncpg
import structlog
from common.bus.port import BusUnavailable
from common.contracts.topics import TOPICS
from common.errors import Misconfigured
from common.settings import SharedSettings, load

from barid import embedded, keys, state
from barid.children import Child
from barid.environment import Places, environment, given_urls
from barid.provision import VARIABLES
from barid.readiness import all_consume, answers
from barid.settings import StackSettings

READY_WITHIN_S = 60.0

Tell = Callable[[dict[str, Any]], None]
Check = Callable[[], Awaitable[bool]]

log = structlog.get_logger("barid.supervisor")


class Supervisor:
    """One stack in one data directory. `tell` hears of the steps of the start."""

    def __init__(self, settings: StackSettings, tell: Tell, *, sink: bool | None = None) -> None:
        self.settings = settings
        self.area = settings.area
        self.tell = tell
        self.sink = settings.smtp_url is None if sink is None else sink
        self.children: list[Child] = []
        self.info: dict[str, Any] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Start, tell that it is ready, wait for `stop`, end everything. Raises Misconfigured."""
        with closing(state.lock(self.area)):
            try:
                starting = asyncio.ensure_future(self._start())
                stopping = asyncio.ensure_future(stop.wait())
                await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
                if not starting.done():
                    starting.cancel()
                    await asyncio.gather(starting, return_exceptions=True)
                    return
                await starting
                self.tell({"ready": self.info})
                await stopping
            finally:
                state.remove(self.area)
                for child in reversed(self.children):
                    await child.stop()

    async def _start(self) -> None:
        _check_port(self.settings.host, self.settings.port)
        shared: SharedSettings = load(SharedSettings)
        await self._topics(shared)
        places = await self._places()
        secrets = keys.load(self.area)
        admin_url = await self._database()
        env = environment(self.settings, secrets, admin_url, places)
        self.tell({"step": "migrating the databases"})
        token = await self._prepare(env)
        self.info = {
            "url": self.settings.url,
            "token": token["token"],
            "workspace_id": token["workspace_id"],
            "smtp": places.smtp_url if places.mailbox else _without_password(places.smtp_url),
            "mailbox": places.mailbox,
            "health": {name: f"http://127.0.0.1:{_free_port()}" for name in ("all", "mailer")},
            "supervisor": int((self.area / "run" / "supervisor.pid").read_text()),
        }
        self.tell({"step": "starting the services"})
        if places.sink_port is not None:
            await self._python("sink", env)
        for name in ("all", "mailer", "gateway"):
            await self._python(name, env)
        await self._ready(places, partial(all_consume, shared, env["BUS_DATABASE_URL"]))

    async def _topics(self, shared: SharedSettings) -> None:
        """On Kafka: make what is missing, for here nobody else would. Raises Misconfigured."""
        if shared.bus != "kafka":
            return
        from common.bus.kafka import KafkaOptions, topics

        self.tell({"step": f"preparing the topics at {shared.kafka_bootstrap}"})
        try:
            await topics.apply(KafkaOptions.of(shared), TOPICS)
        except BusUnavailable as error:
            raise Misconfigured(error.message) from error

    async def _places(self) -> Places:
        tracker = _free_port()
        if not self.sink:
            url = self.settings.smtp_url.get_secret_value() if self.settings.smtp_url else ""
            await _check_smtp(url)
            return Places(url, tracker)
        smtp, mailbox = _free_port(), _free_port()
        return Places(f"smtp://127.0.0.1:{smtp}", tracker, smtp, f"http://127.0.0.1:{mailbox}/")

    async def _database(self) -> str | None:
        """The administrator's URL; PostgreSQL is started unless one is named."""
        if self.settings.database_url is not None:
            return self.settings.database_url.get_secret_value()
        if given_urls():
            return None
        self.tell({"step": "starting PostgreSQL"})
        server = await asyncio.to_thread(embedded.prepare, self.area / "postgres")
        if server.running():  # left over by a supervisor that was killed
            await asyncio.to_thread(server.stop)
        child = self._child("postgres", server.command(), server.options(), stop_signal="SIGINT")
        await child.start()
        deadline = time.monotonic() + READY_WITHIN_S
        while True:
            try:
                connection = await asyncpg.connect(server.url, timeout=5)
                await connection.close()
                return server.url
            except (OSError, asyncpg.PostgresError, TimeoutError) as error:
                if time.monotonic() > deadline or (child.exit_status or 0) > 0:
                    raise Misconfigured(f"the embedded PostgreSQL does not start: {child.last_line()}") from error
                await asyncio.sleep(0.05)

    async def _prepare(self, env: dict[str, str]) -> dict[str, str]:
        derived = set(VARIABLES.values()) - set(os.environ)
        process = await asyncio.create_subprocess_exec(
            *_barid("prepare"),
            env={name: value for name, value in env.items() if name not in derived},  # a URL given is one not made
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        try:
            out, err = await process.communicate()
        except asyncio.CancelledError:
            process.kill()
            await process.wait()
            raise
        (self.area / "log" / "prepare.log").write_bytes(err)
        if process.returncode:
            lines = err.decode(errors="replace").strip().splitlines()
            raise Misconfigured(lines[-1] if lines else "the databases could not be prepared")
        made: dict[str, str] = json.loads(out.splitlines()[-1])
        return made

    async def _python(self, name: str, env: dict[str, str]) -> None:
        options = {"env": {**env, "BARID_INSTANCE": env.get("BARID_INSTANCE") or name, **self._ports(name)}}
        await self._child(name, _barid("run", name), options).start()

    def _ports(self, name: str) -> dict[str, str]:
        """Ports of the stack's own choosing: whatever the caller's environment names, two would ask for it."""
        ports: dict[str, str] = {}
        if name in self.info["health"]:
            ports |= {"BARID_HEALTH_HOST": "127.0.0.1"}
            ports |= {"BARID_HEALTH_PORT": str(urlsplit(self.info["health"][name]).port)}
        if self.info["mailbox"]:
            ports |= {"BARID_SINK_PORT": str(urlsplit(self.info["smtp"]).port)}
            ports |= {"BARID_MAILBOX_PORT": str(urlsplit(self.info["mailbox"]).port)}
        return ports

    def _child(self, name: str, command: list[str], options: dict[str, Any], stop_signal: str = "SIGTERM") -> Child:
        import signal

        child = Child(
            name, command, options, self.area / "log" / f"{name}.log", self._note, signal.Signals[stop_signal]
        )
        self.children.append(child)
        return child

    def _note(self) -> None:
        self.info["processes"] = {child.name: child.pid for child in self.children if child.pid}
        if "url" in self.info:
            state.write(self.area, self.info)

    async def _ready(self, places: Places, consuming: Check) -> None:
        """Wait until all answer and every consumer runs. A process that gives up ends the start."""
        host = "127.0.0.1" if self.settings.host in ("0.0.0.0", "::") else self.settings.host  # noqa: S104
        wanted = [f"http://{host}:{self.settings.port}/readyz", f"http://127.0.0.1:{places.tracker_port}/readyz"]
        wanted += [f"{url}/readyz" for url in self.info["health"].values()]
        wanted += [places.mailbox] if places.mailbox else []
        deadline = time.monotonic() + READY_WITHIN_S
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as http:
            checks: list[Check] = [*(partial(answers, http, url) for url in wanted), consuming]
            for check in checks:
                while not await check():
                    for child in self.children:
                        if child.exit_status is not None:
                            raise Misconfigured(f"{child.name} does not start: {child.last_line()}")
                    if time.monotonic() > deadline:
                        raise Misconfigured(f"not ready within {READY_WITHIN_S:.0f} s; see {self.area / 'log'}")
                    await asyncio.sleep(0.1)


def _barid(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "barid", *arguments]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _check_port(host: str, port: int) -> None:
    from common.web.server import listen

    listen(host, port, "BARID_PORT").close()


async def _check_smtp(url: str) -> None:
    """Raises Misconfigured unless an SMTP server greets there."""
    parts = urlsplit(url)
    try:
        if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
            raise ValueError
        port = parts.port or (465 if parts.scheme == "smtps" else 25)
    except ValueError:
        raise Misconfigured("BARID_SMTP_URL: not smtp://host:port or smtps://host:port") from None
    try:
        async with asyncio.timeout(10):
            reader, writer = await asyncio.open_connection(parts.hostname, port, ssl=parts.scheme == "smtps" or None)
            greeting = await reader.readline()
            writer.close()
    except (OSError, TimeoutError) as error:
        reason = getattr(error, "strerror", None) or str(error) or "no answer within 10 s"
        raise Misconfigured(f"BARID_SMTP_URL: {parts.hostname}:{port} cannot be reached: {reason}") from error
    if not greeting.startswith(b"220"):
        words = greeting.decode("ascii", "replace").strip()
        raise Misconfigured(f"BARID_SMTP_URL: {parts.hostname}:{port} does not greet as SMTP: {words!r}")


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
