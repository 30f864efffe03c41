"""Pipelined dialogues over connections that were opened with TLS and AUTH, on both event loops."""

import asyncio
import base64
import ssl

import aiosmtplib
import pytest
import uvloop
from delivery.smtp import route
from delivery.smtp.dialogue import Dialogue, Replied
from delivery.smtp.route import Route

from tests.fixtures.certificates import self_made

BODY = b"Subject: x\r\n\r\n" + b"y" * 50_000 + b"\r\n"


class Server:
    """Takes pipelined mail. With `starttls` it offers nothing else before TLS; AUTH PLAIN is asked for."""

    def __init__(self, context: ssl.SSLContext, *, starttls: bool) -> None:
        self.context, self.starttls = context, starttls
        self.taken: list[tuple[str, bytes, bool]] = []
        self.plain_lines: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        secure, known, recipient = not self.starttls, False, ""
        writer.write(b"220 sink ESMTP\r\n")
        while line := await reader.readline():
            verb = line[:4].upper()
            if not secure:
                self.plain_lines.append(line)
            if verb == b"EHLO":
                writer.write(b"250-sink\r\n250-PIPELINING\r\n250-AUTH PLAIN\r\n250 " if secure else b"250-sink\r\n250 ")
                writer.write(b"8BITMIME\r\n" if secure else b"STARTTLS\r\n")
            elif verb == b"STAR":
                # What comes in the clear behind the answer must not be believed (RFC 3207).
                writer.write(b"220 go on\r\n250 injected\r\n")
                await writer.start_tls(self.context)
                secure = True
            elif verb == b"AUTH":
                known = base64.b64decode(line.split()[2]) == b"\0me\0secret"
                writer.write(b"235 welcome\r\n" if known else b"535 5.7.8 no\r\n")
            elif verb == b"RCPT":
                recipient = line.decode().strip()
                writer.write(b"250 ok\r\n")
            elif verb == b"DATA":
                writer.write(b"354 go on\r\n")
                body = (await reader.readuntil(b"\r\n.\r\n"))[:-3]
                self.taken.append((recipient, body, secure and known))
                writer.write(b"250 taken\r\n")
            elif verb == b"QUIT":
                writer.write(b"221 bye\r\n")
                break
            else:
                writer.write(b"250 ok\r\n")
        writer.close()


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
def test_mail_goes_through_tls_and_auth(tmp_path, monkeypatch, loop, scheme):
    certificate, key = self_made(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    trusting = ssl.create_default_context(cafile=str(certificate))
    monkeypatch.setattr(route, "_trusting", lambda: trusting)

    async def talk() -> None:
        peer = Server(context, starttls=scheme == "smtp")
        server = await asyncio.start_server(
            peer.serve, "127.0.0.1", 0, limit=2**20, ssl=context if scheme == "smtps" else None
        )
        port = server.sockets[0].getsockname()[1]
        dialogue = Dialogue(Route.parse(f"{scheme}://me:secret@127.0.0.1:{port}"), 5)
        await dialogue.connect()
        assert dialogue.supports("pipelining"), "what was offered after TLS counts"
        for n in range(3):
            sent = await dialogue.send("a@x.test", f"b{n}@y.test", BODY, lambda: True)
            assert sent == Replied(250, "taken", "body")
        await dialogue.quit()
        assert peer.taken == [(f"RCPT TO:<b{n}@y.test>", BODY, True) for n in range(3)]
        assert [line[:4].upper() for line in peer.plain_lines] == ([b"EHLO", b"STAR"] if scheme == "smtp" else [])
        wrong = Dialogue(Route.parse(f"{scheme}://me:wrong@127.0.0.1:{port}"), 5)
        with pytest.raises(aiosmtplib.SMTPAuthenticationError):
            await wrong.connect()
        server.close()

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(talk())


def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path):
    certificate, key = self_made(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)

    async def talk() -> None:
        server = await asyncio.start_server(Server(context, starttls=False).serve, "127.0.0.1", 0, ssl=context)
        port = server.sockets[0].getsockname()[1]
        with pytest.raises((aiosmtplib.SMTPException, OSError)):
            await Dialogue(Route.parse(f"smtps://me:secret@127.0.0.1:{port}"), 5).connect()
        server.close()

    asyncio.run(talk())
