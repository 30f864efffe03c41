"""The dialogue against a server that the test plays itself: every phase, every refusal, pipelined and step by step."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from delivery.smtp.dialogue import Dialogue, Lost, NotStarted, Replied, TooLarge, UnsafeAddress
from delivery.smtp.route import Route

BODY = b"Subject: x\r\n\r\nhello\r\n"
WHOLE = ("PIPELINING", "8BITMIME", "SIZE 1000")
STEPS = ("8BITMIME", "SIZE 1000")
ENVELOPE = ("MAIL FROM:<a@x.test> BODY=8BITMIME", "RCPT TO:<b@y.test>", "DATA")


class Peer:
    """The server's side of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def line(self) -> str:
        return (await self.reader.readuntil(b"\r\n")).decode().rstrip("\r\n")

    async def hears(self, *lines: str) -> None:
        assert [await self.line() for _ in lines] == list(lines)

    async def hears_nothing(self) -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(self.reader.read(1), 0.1)

    async def hears_the_end(self) -> None:
        with contextlib.suppress(ConnectionError):
            assert await asyncio.wait_for(self.reader.read(), 5) == b""

    def says(self, *lines: str) -> None:
        self.writer.write("".join(line + "\r\n" for line in lines).encode())

    def goes(self) -> None:
        self.writer.close()


class Stage:
    """A dialogue that is connected, and the peer that it talks to."""

    def __init__(self) -> None:
        self.peers: asyncio.Queue[Peer] = asyncio.Queue()
        self.extensions: tuple[str, ...] = WHOLE
        self.writers: list[asyncio.StreamWriter] = []
        self.port = 0
        self.allowed = True

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        peer = Peer(reader, writer)
        peer.says("220 peer ESMTP")
        await peer.line()
        peer.says(*(f"250-{name}" for name in ("peer", *self.extensions)), "250 HELP")
        await self.peers.put(peer)

    async def connect(self, extensions: tuple[str, ...] = WHOLE, dot_timeout_s: float = 5) -> tuple[Dialogue, Peer]:
        self.extensions = extensions
        dialogue = Dialogue(Route.parse(f"smtp://127.0.0.1:{self.port}"), dot_timeout_s)
        await dialogue.connect()
        return dialogue, await self.peers.get()

    def send(self, dialogue: Dialogue, body: bytes = BODY) -> "asyncio.Task":
        return asyncio.create_task(dialogue.send("a@x.test", "b@y.test", body, lambda: self.allowed))


@pytest_asyncio.fixture
async def stage() -> AsyncIterator[Stage]:
    made = Stage()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    yield made
    server.close()
    for writer in made.writers:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def good_message(stage: Stage, dialogue: Dialogue, peer: Peer) -> None:
    """The connection is as good as new."""
    sending = stage.send(dialogue)
    await peer.hears(*ENVELOPE)
    peer.says("250 ok", "250 ok", "354 go on")
    await peer.hears("Subject: x", "", "hello", ".")
    peer.says("250 2.0.0 taken")
    assert await sending == Replied(250, "2.0.0 taken", "body")


async def test_the_commands_come_before_any_answer_and_the_body_after_354(stage):
    dialogue, peer = await stage.connect()
    sending = stage.send(dialogue)
    await peer.hears(*ENVELOPE)
    await peer.hears_nothing()
    peer.says("250 ok", "250 ok", "354 go on")
    await peer.hears("Subject: x", "", "hello", ".")
    peer.says("250-2.0.0 taken", "250 as 17")
    assert await sending == Replied(250, "2.0.0 taken\nas 17", "body")
    assert dialogue.carried == 1
    await good_message(stage, dialogue, peer)
    quitting = asyncio.create_task(dialogue.quit())
    await peer.hears("QUIT")
    peer.says("221 bye")
    await quitting
    await peer.hears_the_end()


async def test_without_pipelining_each_command_waits_for_the_answer_before(stage):
    dialogue, peer = await stage.connect(STEPS)
    sending = stage.send(dialogue)
    for line, answer in zip(ENVELOPE, ("250 ok", "251 will forward", "354 go on"), strict=True):
        await peer.hears(line)
        await peer.hears_nothing()
        peer.says(answer)
    await peer.hears("Subject: x", "", "hello", ".")
    peer.says("250 taken")
    assert await sending == Replied(250, "taken", "body")


async def test_answers_may_come_in_any_pieces(stage):
    dialogue, peer = await stage.connect()
    sending = stage.send(dialogue)
    await peer.hears(*ENVELOPE)
    for piece in ("2", "50-one\r\n250 ", "two\r", "\n250 ok\r\n35", "4 go on\r\n"):
        peer.writer.write(piece.encode())
        await asyncio.sleep(0.01)
    await peer.hears("Subject: x", "", "hello", ".")
    peer.says("250 taken")
    assert await sending == Replied(250, "taken", "body")


@pytest.mark.parametrize(
    ("answers", "result"),
    [
        (("451 4.3.0 later", "503 MAIL first", "503 RCPT first"), Replied(451, "4.3.0 later", "mail")),
        (("250 ok", "550 5.1.1 nobody", "503 RCPT first"), Replied(550, "5.1.1 nobody", "rcpt")),
        (("250 ok", "550 5.1.1 nobody", "554 no valid recipients"), Replied(550, "5.1.1 nobody", "rcpt")),
        (("250 ok", "250 ok", "452 4.3.1 disk full"), Replied(452, "4.3.1 disk full", "data")),
    ],
)
async def test_after_a_refusal_the_answers_behind_it_are_read_and_the_next_message_goes(stage, answers, result):
    dialogue, peer = await stage.connect()
    sending = stage.send(dialogue)
    await peer.hears(*ENVELOPE)
    peer.says(*answers)
    await peer.hears("RSET")
    peer.says("250 ok")
    assert await sending == result
    await good_message(stage, dialogue, peer)


@pytest.mark.parametrize("refused_at", [0, 1, 2])
async def test_step_by_step_nothing_is_written_behind_a_refusal_but_rset(stage, refused_at):
    dialogue, peer = await stage.connect(STEPS)
    sending = stage.send(dialogue)
    for n, line in enumerate(ENVELOPE[: refused_at + 1]):
        await peer.hears(line)
        peer.says("550 5.7.1 no" if n == refused_at else "250 ok")
    await peer.hears("RSET")
    peer.says("250 ok")
    assert await sending == Replied(550, "5.7.1 no", ("mail", "rcpt", "data")[refused_at])


async def test_a_server_that_asks_for_the_body_of_nobody_gets_a_lone_dot(stage):
    dialogue, peer = await stage.connect()
    sending = stage.send(dialogue)
    await peer.hears(*ENVELOPE)
    peer.says("250 ok", "550 5.1.1 nobody", "354 go on")
    await peer.hears(".")
    peer.says("554 no valid recipients")
    await peer.hears("RSET")
    peer.says("250 ok")
    assert await sending == Replied(550, "5.1.1 nobody", "rcpt")
    await good_message(stage, dialogue, peer)


async def test_no_dot_where_only_the_sender_was_refused_and_a_recipient_may_stand(stage):
    dialogue, peer = await stage.connect()
    sending = stage.send(dialogue)
    await peer.hears(*ENVELOPE)
    peer.says("550 5.7.1 no", "250 ok", "354 go on")
    assert await sending == Replied(550, "5.7.1 no", "mail")
    await peer.hears_the_end()
    assert not dialogue.connected


@pytest.mark.parametrize("answers", [("421 4.7.0 busy",), ("250 ok", "421 busy"), ("250 ok", "250 ok", "421 busy")])
async def test_421_ends_the_connection(stage, answers):
    dialogue, peer = await stage.connect()
    sending = stage.send(dialogue)
    await peer.hears(*ENVELOPE)
    peer.says(*answers)
    phase = ("mail", "rcpt", "data")[len(answers) - 1]
    assert await sending == Replied(421, answers[-1][4:], phase)
    assert not dialogue.connected


async def test_421_after_the_dot_is_a_refusal(stage):
    dialogue, peer = await stage.connect()
    sending = stage.send(dialogue)
    await peer.hears(*ENVELOPE)
    peer.says("250 ok", "250 ok", "354 go on")
    await peer.hears("Subject: x", "", "hello", ".")
    peer.says("421 4.3.2 going down")
    assert await sending == Replied(421, "4.3.2 going down", "body")
    assert not dialogue.connected


@pytest.mark.parametrize("extensions", [WHOLE, STEPS])
@pytest.mark.parametrize("answered", [0, 1, 2])
async def test_a_connection_lost_before_the_body_took_nothing(stage, extensions, answered):
    dialogue, peer = await stage.connect(extensions)
    sending = stage.send(dialogue)
    for line in ENVELOPE[:answered]:
        await peer.hears(line)
        peer.says("250 ok")
    peer.goes()
    assert await sending == Lost(False, "connection_lost", ("mail", "rcpt", "data")[answered])
    assert not dialogue.connected


async def test_a_connection_lost_after_the_dot_may_have_taken_it(stage):
    dialogue, peer = await stage.connect()
    sending = stage.send(dialogue)
    await peer.hears(*ENVELOPE)
    peer.says("250 ok", "250 ok", "354 go on")
    await peer.hears("Subject: x", "", "hello", ".")
    peer.goes()
    assert await sending == Lost(True, "connection_lost", "body")


async def test_silence_after_the_dot_may_have_taken_it(stage):
    dialogue, peer = await stage.connect(dot_timeout_s=0.1)
    sending = stage.send(dialogue)
    await peer.hears(*ENVELOPE)
    peer.says("250 ok", "250 ok", "354 go on")
    assert await sending == Lost(True, "timeout", "body")
    assert not dialogue.connected


async def test_a_wait_is_as_long_as_it_may_be_after_shorter_and_longer_ones(stage, monkeypatch):
    monkeypatch.setattr("delivery.smtp.dialogue.COMMAND_S", 0.4)
    dialogue, peer = await stage.connect(dot_timeout_s=1)
    await good_message(stage, dialogue, peer)
    await asyncio.sleep(0.3)
    sending = stage.send(dialogue)
    await peer.hears(*ENVELOPE)
    await asyncio.sleep(0.3)
    assert not sending.done(), "the message before had waited already"
    peer.says("250 ok", "250 ok", "354 go on")
    await peer.hears("Subject: x", "", "hello", ".")
    await asyncio.sleep(0.6)
    assert not sending.done(), "longer than for a command"
    assert await asyncio.wait_for(sending, 5) == Lost(True, "timeout", "body")


@pytest.mark.parametrize(
    ("answers", "phase"),
    [
        (("hello",), "mail"),
        (("250 ok", "999 ok"), "rcpt"),
        (("250 ok", "250 ok", "250 no 354"), "data"),
        (("354 go on",), "mail"),
        (("250-" + "x" * 40_000,), "mail"),
        (("25\xa0 ok",), "mail"),
    ],
)
async def test_nonsense_before_the_body_took_nothing(stage, answers, phase):
    dialogue, peer = await stage.connect()
    sending = stage.send(dialogue)
    await peer.hears(*ENVELOPE)
    peer.says(*answers)
    assert await sending == Lost(False, "malformed_reply", phase)
    assert not dialogue.connected


@pytest.mark.parametrize("answer", ["250ok", "354 go on", "thank you", "180 ringing"])
async def test_nonsense_after_the_dot_may_have_taken_it(stage, answer):
    dialogue, peer = await stage.connect()
    sending = stage.send(dialogue)
    await peer.hears(*ENVELOPE)
    peer.says("250 ok", "250 ok", "354 go on")
    await peer.hears("Subject: x", "", "hello", ".")
    peer.says(answer)
    assert await sending == Lost(True, "malformed_reply", "body")


async def test_a_reply_that_nothing_asked_for_is_never_taken_for_another_messages(stage):
    dialogue, peer = await stage.connect()
    await good_message(stage, dialogue, peer)
    peer.says("250 2.0.0 taken, truly")
    await peer.hears_the_end()
    assert not dialogue.connected
    assert await stage.send(dialogue) == NotStarted("not_connected")


async def test_a_server_that_closes_an_idle_connection_is_noticed(stage):
    dialogue, peer = await stage.connect()
    await good_message(stage, dialogue, peer)
    peer.says("421 4.4.2 idle for too long")
    peer.goes()
    await peer.hears_the_end()
    for _ in range(100):
        if not dialogue.connected:
            break
        await asyncio.sleep(0.01)
    assert not dialogue.connected


@pytest.mark.parametrize("extensions", [WHOLE, STEPS])
async def test_a_lease_that_ends_before_the_body_takes_the_message_back(stage, extensions):
    dialogue, peer = await stage.connect(extensions)
    sending = stage.send(dialogue)
    await peer.hears(ENVELOPE[0])
    stage.allowed = False
    peer.says("250 ok", "250 ok", "354 go on") if extensions is WHOLE else peer.says("250 ok")
    assert await sending == NotStarted("lease")
    assert b"Subject" not in await peer.reader.read()


async def test_a_lease_that_has_ended_writes_nothing_and_keeps_the_connection(stage):
    dialogue, peer = await stage.connect()
    stage.allowed = False
    assert await stage.send(dialogue) == NotStarted("lease")
    await peer.hears_nothing()
    stage.allowed = True
    await good_message(stage, dialogue, peer)


async def test_an_abort_after_the_dot_is_uncertain(stage):
    dialogue, peer = await stage.connect()
    sending = stage.send(dialogue)
    await peer.hears(*ENVELOPE)
    peer.says("250 ok", "250 ok", "354 go on")
    await peer.hears("Subject: x", "", "hello", ".")
    dialogue.abort()
    assert await sending == Lost(True, "connection_lost", "body")


async def test_lines_that_begin_with_a_dot_are_stuffed(stage):
    dialogue, peer = await stage.connect()
    sending = stage.send(dialogue, b".first\r\n\r\n.\r\n..two\r\nx.\r\nbare\n.\nx\r\n")
    await peer.hears(*ENVELOPE)
    peer.says("250 ok", "250 ok", "354 go on")
    await peer.hears("..first", "", "..", "...two", "x.", "bare\n..\nx", ".")
    peer.says("250 taken")
    assert (await sending).code == 250


@pytest.mark.parametrize("address", ["a@x.test\r\nRCPT TO:<c@z.test>", "a@x\n", "a\x00@x", "a>@x", "a @x", "<a@x"])
@pytest.mark.parametrize("place", [0, 1])
async def test_an_address_that_would_end_its_command_is_refused(stage, address, place):
    dialogue, peer = await stage.connect()
    pair = ["a@x.test", "b@y.test"]
    pair[place] = address
    with pytest.raises(UnsafeAddress):
        await dialogue.send(*pair, BODY, lambda: True)
    await good_message(stage, dialogue, peer)


async def test_a_message_larger_than_the_server_takes_is_not_begun(stage):
    dialogue, peer = await stage.connect()
    with pytest.raises(TooLarge, match="at most 1000"):
        await dialogue.send("a@x.test", "b@y.test", b"x" * 1001, lambda: True)
    await good_message(stage, dialogue, peer)
