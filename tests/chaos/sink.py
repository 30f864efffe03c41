"""`python -m tests.chaos.sink LOG`: an SMTP server that answers by script and notes every verdict, fsynced before
the client hears it.

Steered by lines of JSON on its standard input, each answered by one on its standard output; the first line tells
the port. It ends when its input does, so that nothing outlives the bench.
"""

import asyncio
import json
import os
import re
import socket
import struct
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import uvloop

from tests.chaos.script import Phase, Rule

_EHLO = b"250-chaos\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 ENHANCEDSTATUSCODES\r\n"
_OK = {
    "mail": b"250 2.1.0 ok\r\n",
    "rcpt": b"250 2.1.5 ok\r\n",
    "data": b"354 go on\r\n",
    "body": b"250 2.0.0 taken\r\n",
}
_RCPT = re.compile(rb"RCPT TO:<([^>]*)>", re.IGNORECASE)
_RESET = struct.pack("ii", 1, 0)


class Log:
    """Lines that are on the disk before whoever waits for one is called. One fsync serves all that came meanwhile."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._waiting: list[tuple[bytes, Callable[[], None] | None]] = []
        self._task: asyncio.Task[None] | None = None

    def note(self, entry: dict[str, Any], then: Callable[[], None] | None = None) -> None:
        """Write an entry; `then` is called when it is safe."""
        self._waiting.append((json.dumps(entry, separators=(",", ":")).encode() + b"\n", then))
        if self._task is None:
            self._task = asyncio.create_task(self._flush())

    async def _flush(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            batch, self._waiting = self._waiting, []
            os.write(self._file, b"".join(line for line, _ in batch))
            await loop.run_in_executor(None, os.fsync, self._file)
            for _, then in batch:
                if then is not None:
                    then()
        self._task = None


class Sink:
    """What all connections share: the script, the log, and what was seen of each recipient."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.seed = 0
        self.began: float | None = None  # the first dialogue under this script
        self.rules: list[Rule] = []
        self.attempts: Counter[str] = Counter()
        self.first_seen: dict[str, float] = {}
        self.stats: Counter[str] = Counter()
        self.open: set[Session] = set()

    def rule(self, phase: Phase, identity: str) -> Rule | None:
        """The first rule that applies now."""
        for rule in self.rules:
            if rule.phase != phase or not rule.meets(self.seed, identity):
                continue
            if rule.attempts is not None and self.attempts[identity] > rule.attempts:
                continue
            if rule.first_s is not None and time.monotonic() - self.first_seen[identity] > rule.first_s:
                continue
            if rule.until_s is not None and self.began is not None and time.monotonic() - self.began > rule.until_s:
                continue
            return rule
        return None

    def saw(self, recipient: str) -> None:
        """An attempt for this recipient."""
        self.attempts[recipient] += 1
        self.first_seen.setdefault(recipient, time.monotonic())

    def order(self, told: dict[str, Any]) -> dict[str, Any]:
        """What the bench wants."""
        if "rules" in told:
            self.rules, self.seed = [Rule.of_json(one) for one in told["rules"]], told["seed"]
            self.began = None
            self.attempts.clear()
            self.first_seen.clear()
        if told.get("release"):
            for session in list(self.open):
                session.release()
        return {**self.stats, "open": len(self.open), "held": sum(session.held for session in self.open)}


class Session(asyncio.Protocol):
    """One connection. While `busy` it reads nothing further: an answer is still owed."""

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.buffer = bytearray()
        self.recipient = ""
        self.mail_open = self.in_body = self.busy = self.held = self.ended = False
        self._later: Callable[[], None] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self.sink.open.add(self)
        self.sink.stats["connections"] += 1
        self.number = self.sink.stats["connections"]
        self._answer("greet", b"220 chaos ESMTP\r\n", str(self.number))

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended = True
        self.sink.open.discard(self)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        self._work()

    def release(self) -> None:
        """Give the answer that was held back."""
        if (later := self._later) is not None:
            self._later, self.held = None, False
            later()

    def _work(self) -> None:
        while not (self.busy or self.ended):
            if self.in_body:
                end = 0 if self.buffer.startswith(b".\r\n") else self.buffer.find(b"\r\n.\r\n")
                if end < 0:
                    return
                body, rest = bytes(self.buffer[:end]), self.buffer[end + (5 if end else 3) :]
                self.buffer, self.in_body = rest, False
                self._taken(body)
                continue
            line, found, rest = self.buffer.partition(b"\r\n")
            if not found:
                return
            self.buffer = rest
            self._command(bytes(line))

    def _command(self, line: bytes) -> None:
        verb = line[:4].upper()
        if verb in (b"EHLO", b"HELO"):
            self.transport.write(_EHLO)
        elif verb == b"MAIL":
            self.sink.began = self.sink.began or time.monotonic()
            self.sink.stats["dialogues"] += 1
            self.recipient = ""
            following = _RCPT.match(self.buffer)  # in the same write, where the client pipelines
            number = str(self.sink.stats["dialogues"])
            self.mail_open = self._answer("mail", _OK["mail"], following[1].decode().lower() if following else number)
        elif verb == b"RCPT" and not self.mail_open:
            self.transport.write(b"503 5.5.1 MAIL first\r\n")
        elif verb == b"RCPT":
            self.recipient = line[line.index(b"<") + 1 : line.index(b">")].decode("utf-8").lower()
            self.sink.saw(self.recipient)
            if not self._answer("rcpt", _OK["rcpt"], self.recipient):
                self.recipient = ""
        elif verb == b"DATA":
            if not self.recipient:
                self.transport.write(b"503 5.5.1 RCPT first\r\n")
            else:
                self.in_body = self._answer("data", _OK["data"], self.recipient)
        elif verb == b"QUIT":
            self.transport.write(b"221 2.0.0 bye\r\n")
            self.transport.close()
            self.ended = True
        else:
            if verb == b"RSET":
                self.recipient, self.mail_open = "", False
            self.transport.write(b"250 2.0.0 ok\r\n")

    def _taken(self, body: bytes) -> None:
        head = body.partition(b"\r\n\r\n")[0]
        message_id, leave = _header(head, b"message-id"), _header(head, b"list-unsubscribe")
        rule = self.sink.rule("body", self.recipient)
        kept = rule is None or rule.takes or (rule.do in ("reply", "hang", "drip") and rule.reply.startswith("2"))
        told = rule is None or rule.do == "reply"
        entry = self._entry("body", rule, message_id)
        entry["verdict"] = ("taken" if told else "kept") if kept else entry["verdict"]
        entry["leave"] = leave
        self.sink.stats[entry["verdict"]] += 1
        self.busy = True
        self.sink.log.note(entry, lambda: self._settle(rule, _OK["body"]))
        self.recipient, self.mail_open = "", False

    def _answer(self, phase: Phase, good: bytes, identity: str) -> bool:
        """Answer by script; whether the client may go on."""
        rule = self.sink.rule(phase, identity)
        if rule is None:
            self.transport.write(good)
            return True
        entry = self._entry(phase, rule, None)
        self.sink.log.note(entry)
        self.sink.stats[entry["verdict"]] += 1
        self.busy = True
        self._settle(rule, good)
        return rule.do in ("reply", "hang", "drip") and (rule.reply[:1] or "2") in "23"

    def _entry(self, phase: Phase, rule: Rule | None, message_id: str | None) -> dict[str, Any]:
        verdict = "taken" if rule is None else rule.reply[:3] if rule.do == "reply" else rule.do
        found = {"t": round(time.time(), 4), "c": self.number, "id": message_id, "rcpt": self.recipient or None}
        return {**found, "phase": phase, "verdict": verdict, "rule": rule.name if rule else None}

    def _settle(self, rule: Rule | None, good: bytes) -> None:
        """Do what the rule says; then read on."""
        if self.ended:
            return
        if rule is None:
            self._say(good)
            return
        reply = rule.reply.encode() + b"\r\n" if rule.reply else good
        if rule.do == "drop":
            self._end(reset=False)
        elif rule.do == "reset":
            self._end(reset=True)
        elif rule.do == "drip":
            asyncio.create_task(self._drip(reply, rule.seconds)).add_done_callback(lambda task: task.exception())
        elif rule.do == "hang" or rule.seconds:
            self.held, self._later = True, lambda: self._say(reply)
            if rule.seconds:
                asyncio.get_running_loop().call_later(rule.seconds, self.release)
        else:
            self._say(reply)

    def _say(self, reply: bytes) -> None:
        self.busy = False
        if self.ended:
            return
        self.transport.write(reply)
        if reply.startswith(b"421"):
            self._end(reset=False)
        # Not here: whoever is answering has not yet noted what the answer means.
        asyncio.get_running_loop().call_soon(self._work)

    async def _drip(self, reply: bytes, seconds: float) -> None:
        self.held = True
        for byte in reply[:-1]:
            if self.ended:
                return
            self.transport.write(bytes([byte]))
            await asyncio.sleep(seconds / len(reply))
        self.held = False
        self._say(reply[-1:])

    def _end(self, *, reset: bool) -> None:
        self.ended = True
        if reset:
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self.transport.abort()
        else:
            self.transport.close()


def _header(head: bytes, name: bytes) -> str | None:
    """What stands between the first angle brackets of a header."""
    found = re.search(rb"^" + name + rb":[^<]*<([^>]*)>", head, re.IGNORECASE | re.MULTILINE)
    return found[1].decode("ascii", "replace") if found else None


async def main(path: str) -> None:
    loop = asyncio.get_running_loop()
    sink = Sink(Log(path))
    server = await loop.create_server(lambda: Session(sink), "127.0.0.1", 0)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    orders = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    while line := await orders.readline():
        print(json.dumps(sink.order(json.loads(line))), flush=True)


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
