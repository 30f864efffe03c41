"""`python -m tests.chaos.proxy HOST:PORT|/SOCKET`: a TCP relay that cuts, freezes, delays and half-closes.

Steered as the sink is. `mode`: `pass`; `freeze` (nothing goes through any more and nobody is told: a half-open
connection); `refuse` (new connections are reset). `cut` resets what stands; `half_close` ends the server's side of
the stream while the client may still speak. `after_bytes`: what new connections do, reset or frozen, once so many
bytes went towards the server.
"""

import asyncio
import json
import socket
import struct
import sys
from contextlib import suppress
from typing import Any

import uvloop

_RESET = struct.pack("ii", 1, 0)


class Proxy:
    """All connections, and how they are treated."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.mode = "pass"
        self.delay_s = 0.0
        self.after_bytes: int | None = None
        self.then = "cut"
        self.pairs: set[Pair] = set()
        self.thaw = asyncio.Event()
        self.thaw.set()
        self.seen = 0

    def order(self, told: dict[str, Any]) -> dict[str, Any]:
        """What the bench wants."""
        if "mode" in told:
            self.mode = told["mode"]
            (self.thaw.clear if self.mode == "freeze" else self.thaw.set)()
        self.delay_s = told.get("delay_s", self.delay_s)
        if "after_bytes" in told:
            self.after_bytes, self.then = told["after_bytes"], told.get("then", "cut")
        if told.get("cut"):
            for pair in list(self.pairs):
                pair.reset()
        if told.get("half_close"):
            for pair in list(self.pairs):
                pair.half_close()
        if "freeze_now" in told:  # only so many of those that stand, for good
            for pair in list(self.pairs)[: told["freeze_now"]]:
                pair.frozen = True
        if told.get("cut_frozen"):
            for pair in [pair for pair in self.pairs if pair.frozen]:
                pair.reset()
        return {"open": len(self.pairs), "seen": self.seen, "frozen": sum(pair.frozen for pair in self.pairs)}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.seen += 1
        if self.mode == "refuse":
            _reset(writer)
            return
        try:
            if self.target.startswith("/"):
                far = await asyncio.open_unix_connection(self.target)
            else:
                host, _, port = self.target.rpartition(":")
                far = await asyncio.open_connection(host, int(port))
        except OSError:
            _reset(writer)
            return
        pair = Pair(self, writer, far[1])
        self.pairs.add(pair)
        try:
            with suppress(asyncio.CancelledError):  # the proxy ends
                await asyncio.gather(pair.pump(reader, far[1], there=True), pair.pump(far[0], writer, there=False))
        finally:
            self.pairs.discard(pair)
            writer.close()
            far[1].close()


class Pair:
    """A client's connection and the one behind it."""

    def __init__(self, proxy: Proxy, near: asyncio.StreamWriter, far: asyncio.StreamWriter) -> None:
        self.proxy, self.near, self.far = proxy, near, far
        self.after_bytes, self.then = proxy.after_bytes, proxy.then
        self.frozen = False
        self.carried = 0

    async def pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, there: bool) -> None:
        """One direction."""
        try:
            while data := await reader.read(1 << 16):
                if self.proxy.delay_s:
                    await asyncio.sleep(self.proxy.delay_s)
                await self.proxy.thaw.wait()
                if there and self.after_bytes is not None and self.carried + len(data) > self.after_bytes:
                    writer.write(data[: max(0, self.after_bytes - self.carried)])
                    await writer.drain()
                    if self.then == "cut":
                        self.reset()
                        return
                    self.frozen = True
                self.carried += len(data) if there else 0
                if self.frozen:
                    continue
                writer.write(data)
                await writer.drain()
            if not self.frozen and writer.can_write_eof():
                writer.write_eof()
        except (ConnectionError, RuntimeError):
            self.reset()

    def reset(self) -> None:
        """End both sides at once, as a lost route does."""
        _reset(self.near)
        _reset(self.far)

    def half_close(self) -> None:
        """The client hears the end of the stream; what it says still arrives."""
        if self.near.can_write_eof() and not self.near.is_closing():
            self.near.write_eof()


def _reset(writer: asyncio.StreamWriter) -> None:
    found = writer.get_extra_info("socket")
    if found is not None and found.family != socket.AF_UNIX and not writer.is_closing():
        found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()


async def main(target: str) -> None:
    loop = asyncio.get_running_loop()
    proxy = Proxy(target)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0, limit=1 << 18)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    orders = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    while line := await orders.readline():
        print(json.dumps(proxy.order(json.loads(line))), flush=True)


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
