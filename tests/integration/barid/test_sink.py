import asyncio
import smtplib
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8

import httpx
import pytest
from barid.sink import Spool, run

from tests.fixtures.stack import free_port


@pytest.fixture
async def sink(tmp_path):
    smtp, mailbox = free_port(), free_port()
    stop = asyncio.Event()
    running = asyncio.create_task(run(tmp_path, smtp, mailbox, stop))
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{mailbox}") as client:
        for _ in range(100):
            try:
                await client.get("/")
                break
            except httpx.TransportError:
                assert not running.done()
                await asyncio.sleep(0.02)
        yield smtp, client
    stop.set()
    await running


def send(port: int, to: str, subject: str, html: str = "<p>Hello</p>") -> None:
    message = EmailMessage(policy=SMTPUTF8 if not to.isascii() else SMTP)
    message["From"], message["To"], message["Subject"] = "news@barid.example", to, subject
    message.set_content("سلام")
    message.add_alternative(html, subtype="html")
    with smtplib.SMTP("127.0.0.1", port, timeout=10) as client:
        client.send_message(message)


async def test_mails_are_listed_as_json_and_as_a_page(sink) -> None:
    port, client = sink
    await asyncio.to_thread(send, port, "a@example.com", "First")
    await asyncio.to_thread(send, port, "علی@example.com", "خبر <b>یلدا</b>", "<p>شب</p>")
    found = (await client.get("/")).json()
    assert [(mail["id"], mail["to"], mail["subject"]) for mail in found["items"]] == [
        (1, ["a@example.com"], "First"),
        (2, ["علی@example.com"], "خبر <b>یلدا</b>"),
    ]
    page = await client.get("/", headers={"Accept": "text/html"})
    assert page.headers["content-type"].startswith("text/html")
    assert "خبر &lt;b&gt;یلدا&lt;/b&gt;" in page.text
    assert [mail["id"] for mail in (await client.get("/?after=1")).json()["items"]] == [2]
    assert [mail["id"] for mail in (await client.get("/?to=A@example.com")).json()["items"]] == [1]
    whole = (await client.get("/mails/2")).json()
    assert (whole["text"].strip(), whole["html"].strip()) == ("سلام", "<p>شب</p>")
    assert "sandbox" in (await client.get("/mails/2/html")).headers["content-security-policy"]
    assert (await client.get("/mails/1/raw")).headers["content-type"].startswith("message/rfc822")
    assert (await client.get("/mails/3")).status_code == 404


async def test_a_recipient_is_refused_as_told_until_it_is_taken_back(sink) -> None:
    port, client = sink
    assert (await client.put("/replies", json={"Gone@example.com": "550 5.1.1 no such user"})).status_code == 200
    with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        await asyncio.to_thread(send, port, "gone@EXAMPLE.com", "x")
    assert next(iter(refused.value.recipients.values())) == (550, b"5.1.1 no such user")
    await client.put("/replies", json={"gone@example.com": None})
    await asyncio.to_thread(send, port, "gone@example.com", "x")
    assert (await client.get("/")).json()["count"] == 1
    assert (await client.put("/replies", json={"x@y.example": "250 fine\r\nRCPT"})).status_code == 422


def test_the_oldest_mails_are_forgotten(tmp_path) -> None:
    spool = Spool(tmp_path / "spool", kept=2)
    for number in range(3):
        spool.add("a@x.example", ["b@x.example"], f"Subject: {number}\r\n\r\n".encode())
    assert [mail.id for mail in spool.mails] == [2, 3]
    assert spool.find(1) is None
    assert spool.raw(spool.find(3)) == b"Subject: 2\r\n\r\n"
    spool.close()
