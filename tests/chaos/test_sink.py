"""The sink and the proxy do to a client what their script says, and the log says so."""

import smtplib
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.evidence import read_log
from tests.chaos.script import Rule
from tests.chaos.steered import ProxyProcess, SinkProcess

MAIL = "Message-ID: <{}@x.test>\r\nSubject: hi\r\n\r\nbody\r\n.dot\r\n"


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[SinkProcess]:
    made = SinkProcess(tmp_path / "sink.log")
    yield made
    made.stop()


@pytest.fixture
def proxy(sink: SinkProcess) -> Iterator[ProxyProcess]:
    made = ProxyProcess(f"127.0.0.1:{sink.port}")
    yield made
    made.stop()


def give(port: int, recipient: str, message_id: str = "m1", patience_s: float = 5) -> None:
    with smtplib.SMTP("127.0.0.1", port, timeout=patience_s) as client:
        client.sendmail("a@x.test", [recipient], MAIL.format(message_id))


def seen(sink: SinkProcess) -> list[tuple[str | None, str, str, str | None]]:
    return [(one.recipient, one.phase, one.verdict, one.message_id) for one in read_log(sink.log)]


def test_a_mail_is_in_the_log_under_its_id_before_its_sender_hears_of_it(sink: SinkProcess) -> None:
    give(sink.port, "Ann@gmail.com")
    assert seen(sink) == [("ann@gmail.com", "body", "taken", "m1")]


@pytest.mark.parametrize(
    ("rule", "error"),
    [
        (Rule("r", "rcpt", "reply", "550 5.1.1 nobody"), smtplib.SMTPRecipientsRefused),
        (Rule("r", "data", "reply", "451 4.3.0 later"), smtplib.SMTPDataError),
        (Rule("r", "body", "reply", "554 5.7.1 no"), smtplib.SMTPDataError),
        (Rule("r", "mail", "reply", "450 4.7.1 no"), smtplib.SMTPSenderRefused),
    ],
)
def test_a_refusal_comes_in_its_phase_and_nothing_is_kept(sink: SinkProcess, rule: Rule, error: type) -> None:
    sink.script(1, [rule])
    with pytest.raises(error):
        give(sink.port, "ann@gmail.com")
    [(_, phase, verdict, _)] = seen(sink)
    assert (phase, verdict) == (rule.phase, rule.reply[:3])


def test_commands_in_one_write_are_answered_one_by_one_and_a_refused_recipient_gets_no_data(sink: SinkProcess) -> None:
    sink.script(1, [Rule("r", "rcpt", "reply", "450 4.2.0 later"), Rule("d", "data", "reply", "451 4.3.0 no")])
    with socket.create_connection(("127.0.0.1", sink.port), timeout=5) as raw:
        raw.sendall(b"EHLO x\r\nMAIL FROM:<a@x>\r\nRCPT TO:<bob@gmail.com>\r\nDATA\r\nQUIT\r\n")
        heard = b"".join(iter(lambda: raw.recv(4096), b""))
    assert [line[:3] for line in heard.splitlines() if line[3:4] == b" "] == [
        b"220",
        b"250",
        b"250",
        b"450",
        b"503",
        b"221",
    ]
    assert [one[1:3] for one in seen(sink)] == [("rcpt", "450")]


def test_421_at_the_greeting_ends_the_connection(sink: SinkProcess) -> None:
    sink.script(1, [Rule("busy", "greet", "reply", "421 4.3.2 busy")])
    with pytest.raises(smtplib.SMTPConnectError):
        give(sink.port, "ann@gmail.com")


@pytest.mark.parametrize("deed", ["drop", "reset"])
@pytest.mark.parametrize("takes", [True, False])
def test_a_mail_whose_answer_never_came_is_kept_if_the_script_says_so(
    sink: SinkProcess, deed: str, takes: bool
) -> None:
    sink.script(1, [Rule("gone", "body", deed, takes=takes)])
    with pytest.raises((smtplib.SMTPServerDisconnected, ConnectionResetError)):
        give(sink.port, "ann@gmail.com")
    assert seen(sink) == [("ann@gmail.com", "body", "kept" if takes else deed, "m1")]


def test_a_held_answer_comes_when_it_is_released(sink: SinkProcess) -> None:
    sink.script(1, [Rule("mute", "body", "hang", takes=True)])
    with pytest.raises(smtplib.SMTPServerDisconnected, match="timed out"):
        give(sink.port, "ann@gmail.com", patience_s=0.5)
    with socket.create_connection(("127.0.0.1", sink.port), timeout=5) as raw:
        raw.sendall(b"EHLO x\r\nMAIL FROM:<a@x>\r\nRCPT TO:<bob@gmail.com>\r\nDATA\r\n")
        while b"354" not in raw.recv(4096):
            pass
        raw.sendall(b"Message-ID: <m2@x>\r\n\r\nx\r\n.\r\n")
        while sink.tell()["held"] == 0:
            time.sleep(0.01)
        sink.tell(release=True)
        assert raw.recv(4096).startswith(b"250")
    assert [one[2] for one in seen(sink)] == ["kept", "kept"]


def test_greylisting_ends_after_its_time_and_first_attempts_are_counted_by_recipient(sink: SinkProcess) -> None:
    sink.script(1, [Rule("grey", "rcpt", "reply", "450 4.7.1 later", attempts=1)])
    for recipient in ("ann@gmail.com", "bob@gmail.com"):
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            give(sink.port, recipient)
        give(sink.port, recipient)
    sink.script(1, [Rule("grey", "rcpt", "reply", "450 4.7.1 later", first_s=0.3)])
    with pytest.raises(smtplib.SMTPRecipientsRefused):
        give(sink.port, "ann@gmail.com")
    time.sleep(0.35)
    give(sink.port, "ann@gmail.com")


def test_a_share_meets_the_same_people_for_the_same_seed_and_others_for_another() -> None:
    people = [f"p{n}@gmail.com" for n in range(4000)]
    rule = Rule("some", "rcpt", "reply", "450 no", share=0.1)
    assert rule.chosen(1, people) == rule.chosen(1, people)
    assert rule.chosen(1, people) != rule.chosen(2, people)
    assert 300 < len(rule.chosen(1, people)) < 500
    assert Rule("some", "rcpt", "reply", domains=("gmx.de",)).chosen(1, people) == set()


def test_the_proxy_passes_cuts_freezes_and_half_closes(sink: SinkProcess, proxy: ProxyProcess) -> None:
    give(proxy.port, "ann@gmail.com")
    for order in ({"cut": True}, {"half_close": True}):
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as raw:
            assert raw.recv(100).startswith(b"220")
            proxy.tell(**order)
            try:
                assert raw.recv(100) == b""
            except ConnectionResetError:
                assert "cut" in order
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=0.3) as raw:
        assert raw.recv(100).startswith(b"220")
        proxy.tell(mode="freeze")
        raw.sendall(b"EHLO x\r\n")
        with pytest.raises(TimeoutError):
            raw.recv(100)
        proxy.tell(mode="pass")
        raw.settimeout(5)
        assert raw.recv(100).startswith(b"250")
    proxy.tell(mode="refuse")
    with pytest.raises((ConnectionResetError, smtplib.SMTPServerDisconnected)):
        give(proxy.port, "ann@gmail.com")


def test_the_proxy_cuts_after_so_many_bytes_of_a_connection(sink: SinkProcess, proxy: ProxyProcess) -> None:
    proxy.tell(after_bytes=120)
    with pytest.raises((smtplib.SMTPServerDisconnected, ConnectionResetError)):
        give(proxy.port, "ann@gmail.com")
    assert seen(sink) == []
    proxy.tell(after_bytes=None)
    give(proxy.port, "ann@gmail.com")
