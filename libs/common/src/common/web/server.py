"""An HTTP server inside a process's `run`: it starts, serves until the stop event, drains and returns."""

import asyncio
import contextlib
import socket
from collections.abc import Generator

import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp

from common.errors import Misconfigured

DRAIN_S = 15

log = structlog.get_logger()


async def serve(app: ASGIApp, host: str, port: int, stop: asyncio.Event, *, setting: str | None = None) -> None:
    """Serve until `stop`. Raises Misconfigured, naming `setting` (`<SERVICE>_PORT`), when the port is taken.

    An application's lifespan runs here, so that its errors come out as they are.
    """
    service = getattr(app.state, "service", "") if isinstance(app, Starlette) else ""
    await serve_on(app, listen(host, port, setting or f"{service.upper()}_PORT".lstrip("_")), stop)


async def serve_on(app: ASGIApp, listener: socket.socket, stop: asyncio.Event) -> None:
    """Serve on a bound socket until `stop`, and close it."""
    try:
        async with contextlib.AsyncExitStack() as stack:
            if isinstance(app, Starlette):
                await stack.enter_async_context(app.router.lifespan_context(app))
            config = uvicorn.Config(
                app,
                loop="none",
                http="httptools",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                date_header=True,
                proxy_headers=False,
                timeout_keep_alive=75,
                timeout_graceful_shutdown=DRAIN_S,
                backlog=2048,
            )
            server = _Server(config)
            serving = asyncio.create_task(server.serve(sockets=[listener]), name="serve")
            stopping = asyncio.create_task(stop.wait())
            await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
            server.should_exit = True
            stopping.cancel()
            await serving
    finally:
        listener.close()


def listen(host: str, port: int, setting: str) -> socket.socket:
    """A bound socket. Raises Misconfigured when the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        reason = error.strerror or str(error)
        raise Misconfigured(f"{setting}: cannot listen on {host}:{port}: {reason.lower()}") from error
    listener.setblocking(False)
    return listener


class _Server(uvicorn.Server):
    """Signals are the process's business, not the server's: it may be one of several in the process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield
