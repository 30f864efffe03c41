"""What runs in each process of the one-machine stack, put together from the services' own processes."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from functools import partial
from importlib import import_module
from typing import Any

import structlog
from common.errors import Misconfigured
from common.guard import guard
from common.health import health
from common.production import no_default_secrets
from common.settings import SharedSettings, load
from common.web.server import serve

from barid.gateway import Gateway
from barid.provision import SERVICES
from barid.proxy import Proxy
from barid.settings import stack_settings

Run = Callable[[asyncio.Event], Awaitable[None]]

log = structlog.get_logger("barid.processes")


async def gateway(stop: asyncio.Event) -> None:
    """The APIs of the four services behind one address."""
    stack = stack_settings()
    settings = {service: _settings(service) for service in SERVICES}
    apps = {service: _module(service, "main").create_app(settings[service]) for service in SERVICES}
    tracker = settings["delivery"]
    proxy = Proxy(f"http://{tracker.tracker_host}:{tracker.tracker_port}")
    application = Gateway(apps, proxy, stack.url)
    if not await guard(stop, load(SharedSettings), [(service, "api", settings[service]) for service in SERVICES]):
        return
    async with application.lifespan():
        await serve(application, stack.host, stack.port, stop, setting="BARID_PORT")


async def everything(stop: asyncio.Event) -> None:
    """Workers, relays and jobs of the four services."""
    await _parts(stop, [(service, part) for service in SERVICES for part in ("worker", "relay", "jobs")])


async def mailer(stop: asyncio.Event) -> None:
    """The mailer, the tracker that answers the links of its mails, and what takes in what comes back of them."""
    await _parts(stop, [("delivery", "mailer"), ("delivery", "tracker"), ("delivery", "inbound")])


async def sink(stop: asyncio.Event) -> None:
    """A local SMTP server with a mailbox."""
    from barid.sink import ports, run

    await run(stack_settings().area, *ports(), stop)


PROCESSES: dict[str, Run] = {"gateway": gateway, "all": everything, "mailer": mailer, "sink": sink}


async def together(stop: asyncio.Event, runs: dict[str, Run]) -> None:
    """Run them until told to stop. When one ends or fails, the others drain, and its failure is raised."""
    ended = asyncio.Event()
    tasks = {asyncio.ensure_future(run(ended)): name for name, run in runs.items()}
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait([*tasks, stopping], return_when=asyncio.FIRST_COMPLETED)
    ended.set()
    failed = [task for task in tasks if task.done()]
    for task in failed:
        log.error("a part ended by itself; the others drain", part=tasks[task], error=repr(task.exception()))
    results = await asyncio.gather(*tasks, return_exceptions=True)
    stopping.cancel()
    errors = [result for result in results if isinstance(result, BaseException)]
    for error in errors:
        if isinstance(error, Misconfigured):
            raise error
    if errors:
        raise errors[0]
    if failed and not stop.is_set():
        raise RuntimeError(f"{tasks[failed[0]]} ended by itself")


async def watch_parent(stop: asyncio.Event, parent: int) -> None:
    """Set `stop` when the supervisor is gone: nobody would start or stop this process any more."""
    while not stop.is_set():
        if os.getppid() != parent:
            log.error("the supervisor is gone; ending")
            stop.set()
        await asyncio.sleep(1)


async def _parts(stop: asyncio.Event, parts: list[tuple[str, str]]) -> None:
    """Processes of the services as one, with one answer for the health of all."""
    settings = {service: _settings(service) for service, _ in parts}
    runs: dict[str, Run] = {
        f"{service} {part}": partial(_module(service, part).run, settings[service]) for service, part in parts
    }
    these = [(service, part, settings[service]) for service, part in parts]
    shared = load(SharedSettings)
    async with health(shared, these):
        if await guard(stop, shared, these):
            await together(stop, runs)


def _settings(service: str) -> Any:
    loaded = load(_module(service, "settings").Settings)
    no_default_secrets(loaded)
    return loaded


def _module(service: str, name: str) -> Any:
    return import_module(f"{service}.{name}")
