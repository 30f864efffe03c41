"""Signatures as another implementation reads them (dkimpy), on mail that a third one parses (the standard library)."""

import asyncio
import email
import email.policy
import re
from base64 import b64encode
from datetime import UTC, datetime
from functools import cache

import dkim
import dkim.canonicalization
import pytest
from common.errors import Misconfigured
from content.mime import MailHeaders, build
from cryptography.hazmat.primitives import serialization as s
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from delivery import mailer
from delivery.domain.dkim import SigningKey, relaxed_body, relaxed_header, signatures
from delivery.settings import Settings
from delivery.smtp.dkim_keys import load_keys
from hypothesis import given, settings
from hypothesis import strategies as st

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=300) | st.text("سلام \n.=_a\t-", max_size=300)
names = st.text("سلام علی۱۲ABC xyz \"',.é🎉", max_size=60)


@cache
def rsa_key():
    return rsa.generate_private_key(65537, 2048)


@cache
def ed_key():
    return ed25519.Ed25519PrivateKey.generate()


def keys(*more):
    return [SigningKey("example.org", "s1", rsa_key()), *more]


def ed():
    return SigningKey("example.org", "e1", ed_key())


def published(name, timeout=5):
    """What the DNS says."""
    if name == b"s1._domainkey.example.org.":
        public = rsa_key().public_key().public_bytes(s.Encoding.DER, s.PublicFormat.SubjectPublicKeyInfo)
        return b"v=DKIM1; k=rsa; p=" + b64encode(public)
    assert name == b"e1._domainkey.example.org."
    return b"v=DKIM1; k=ed25519; p=" + b64encode(ed_key().public_key().public_bytes(s.Encoding.Raw, s.PublicFormat.Raw))


def holds(message, n=1):
    try:
        return all(dkim.DKIM(message).verify(idx=one, dnsfunc=published) for one in range(n))
    except dkim.ValidationError:
        return False


def mail(text="hello", html="<p>hello</p>", **more):
    basics = {
        "from_email": "news@example.org",
        "from_name": "بريد",
        "to_email": "a@y.test",
        "subject": "سلام",
        "message_id": "1@example.org",
        "date": NOW,
        "unsubscribe_url": "https://x.example/u/token",
        "list_id": "newsletter.example.org",
        "feedback_id": "c1:newsletter:campaign:barid",
    }
    return build(MailHeaders(**{**basics, **more}), text, html)


def signed(message=None, used=None):
    message = mail() if message is None else message
    return signatures(used or keys(), message, NOW) + message


def test_both_kinds_of_signature_hold():
    message = signed(used=keys(ed()))
    assert holds(message, 2)
    assert dkim.verify(message, dnsfunc=published)


@settings(deadline=None)
@given(texts, texts | st.none(), names, names.map(lambda name: " ".join(name.split()) or "x"))
def test_whatever_is_sent_the_signatures_hold_and_a_second_parser_reads_it(text, html, from_name, subject):
    message = signed(mail(text, html, from_name=from_name, subject=subject), keys(ed()))
    assert holds(message, 2)
    read = email.message_from_bytes(message, policy=email.policy.default)
    assert len(read.get_all("DKIM-Signature")) == 2
    assert read["Message-ID"] == "<1@example.org>"
    plain = read.get_body(("plain",)).get_payload(decode=True).decode().replace("\r\n", "\n")
    assert plain.rstrip("\n") == text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n")
    assert max(map(len, message.partition(b"\r\n\r\n")[0].split(b"\r\n"))) <= 78


def test_all_that_a_reader_and_his_provider_go_by_is_covered():
    read = email.message_from_bytes(signed(), policy=email.policy.default)
    covered = re.sub(r"\s", "", re.search(r"h=([^;]*);", read["DKIM-Signature"])[1]).split(":")
    wanted = (
        "from reply-to to subject date message-id list-unsubscribe list-unsubscribe-post list-id feedback-id"
        " mime-version content-type"
    )
    assert set(wanted.split()) <= set(covered)
    assert covered.count("from") == 2
    assert "l=" not in read["DKIM-Signature"]


@pytest.mark.parametrize(
    "header",
    [
        b"From: evil@example.net",
        b"Reply-To: evil@example.net",
        b"Subject: another",
        b"To: c@y.test",
        b"List-Unsubscribe: <https://evil.example/>",
        b"List-Unsubscribe-Post: List-Unsubscribe=One-Click",
        b"Content-Type: text/plain",
    ],
)
@pytest.mark.parametrize("in_front", [True, False])
def test_no_second_header_can_be_slipped_in(header, in_front):
    message = signed()
    changed = (
        header + b"\r\n" + message if in_front else message.replace(b"\r\n\r\n", b"\r\n" + header + b"\r\n\r\n", 1)
    )
    assert holds(message)
    assert not holds(changed)


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        (b"=One-Click", b"=Two-Click"),
        (b"x.example/u/token", b"x.example/u/other"),
        (b"Message-ID: <1", b"Message-ID: <2"),
        (b"c1:newsletter", b"c2:newsletter"),
        (b"<newsletter.ex", b"<newsletters.ex"),
        (b"<p>hello", b"<p>hallo"),
        (b"multipart/alternative", b"multipart/mixed"),
    ],
)
def test_a_change_breaks_the_signature(was, becomes):
    message = signed()
    assert was in message
    assert not holds(message.replace(was, becomes))


def test_what_relays_may_change_breaks_nothing():
    message = signed(mail("two  blanks\tand a tab \n\n\n"))
    relayed = b"Received: by relay.example\r\n" + message.replace(b"Subject: ", b"SUBJECT:   ") + b"\r\n\r\n"
    assert holds(relayed)


lines = st.lists(st.text("a .\t\x0bé=", max_size=8), max_size=8).map("\r\n".join)


@given(lines, st.sampled_from(["\r\n", "\r\n\r\n", " \r\n"]))
def test_bodies_are_made_canonical_as_the_other_implementation_makes_them(body, end):
    raw = (body + end).encode()
    assert relaxed_body(raw) == dkim.canonicalization.Relaxed.canonicalize_body(raw)


def test_a_last_line_without_an_end_gets_one():
    assert relaxed_body(b"a \t b") == b"a b\r\n"
    assert relaxed_body(b"") == relaxed_body(b" ") == relaxed_body(b"\r\n \r\n") == b""


@given(st.text("aB-", min_size=1, max_size=8), st.text("a bC\t:=é", max_size=30))
def test_headers_are_made_canonical_as_the_other_implementation_makes_them(name, value):
    value = value.replace("b", "\r\n b")
    raw = [(name.encode() + b" ", value.encode() + b"\r\n")]
    ((their_name, their_value),) = dkim.canonicalization.Relaxed.canonicalize_headers(raw)
    assert relaxed_header(f"{name} :{value}".encode()) + b"\r\n" == their_name + b":" + their_value


def pem(key):
    return key.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption())


def test_keys_are_read_from_a_folder_by_their_names_in_the_dns(tmp_path):
    (tmp_path / "e1._domainkey.example.org.pem").write_bytes(pem(ed_key()))
    (tmp_path / "s1._domainkey.example.org.pem").write_bytes(pem(rsa_key()))
    (tmp_path / "a.b._domainkey.mail.example.com.pem").write_bytes(pem(ed_key()))
    (tmp_path / "..data").mkdir()
    found = load_keys(str(tmp_path), {"example.org", "mail.example.com"})
    assert [key.selector for key in found["example.org"]] == ["s1", "e1"]
    assert [key.selector for key in found["mail.example.com"]] == ["a.b"]
    assert holds(signed(used=found["example.org"]), 2)
    assert load_keys(None, frozenset()) == {}


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("example.org.pem", pem(ed25519.Ed25519PrivateKey.generate()), "must be named <selector>._domainkey"),
        ("s1._domainkey.Example.org.pem", pem(ed25519.Ed25519PrivateKey.generate()), "in lower case"),
        ("s1._domainkey.x.org.pem", b"nothing", "no readable private key"),
        ("s1._domainkey.x.org.pem", pem(rsa.generate_private_key(65537, 1024)), "1024 bits"),
        ("s1._domainkey.x.org.pem", pem(ec.generate_private_key(ec.SECP256R1())), "an RSA or an Ed25519"),
    ],
    ids=["no selector", "capitals", "no key", "short", "another kind"],  # the keys are new in every process
)
def test_a_key_that_cannot_sign_stops_the_start(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(Misconfigured, match=said) as raised:
        load_keys(str(tmp_path), {"example.org"})
    assert "BARID_DKIM_KEYS" in str(raised.value)


def test_a_folder_that_is_missing_empty_or_has_two_keys_of_a_kind_stops_the_start(tmp_path):
    with pytest.raises(Misconfigured, match="no folder"):
        load_keys(str(tmp_path / "none"), {"x.org"})
    with pytest.raises(Misconfigured, match="no key in it"):
        load_keys(str(tmp_path), {"x.org"})
    for selector in ("s1", "s2"):
        (tmp_path / f"{selector}._domainkey.x.org.pem").write_bytes(pem(ed_key()))
    with pytest.raises(Misconfigured, match="two keys of one kind for"):
        load_keys(str(tmp_path), {"x.org"})


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ((), "must be a.org,b.org, the domains of the keys in BARID_DKIM_KEYS, and is not set"),
        (("a.org",), "must be a.org,b.org, .* and is a.org$"),
        (("a.org", "b.org", "c.org"), "must be a.org,b.org, .* and is a.org,b.org,c.org$"),
    ],
)
def test_a_list_of_domains_that_is_not_that_of_the_keys_stops_the_start(tmp_path, named, said):
    for domain in ("a.org", "b.org"):
        (tmp_path / f"s1._domainkey.{domain}.pem").write_bytes(pem(ed_key()))
    with pytest.raises(Misconfigured, match=f"BARID_DKIM_DOMAINS {said}"):
        load_keys(str(tmp_path), set(named))


def test_a_list_of_domains_without_keys_stops_the_start():
    with pytest.raises(Misconfigured, match=r"BARID_DKIM_DOMAINS names a\.org, and BARID_DKIM_KEYS is not set"):
        load_keys(None, {"a.org"})


async def test_a_mailer_whose_keys_are_not_told_of_does_not_start(tmp_path, monkeypatch):
    (tmp_path / "s1._domainkey.a.org.pem").write_bytes(pem(ed_key()))
    monkeypatch.setenv("BARID_DKIM_KEYS", str(tmp_path))
    monkeypatch.setenv("BARID_LINK_KEYS", f"k1:{b64encode(bytes(32)).decode()}")
    with pytest.raises(Misconfigured, match=r"BARID_DKIM_DOMAINS must be a\.org"):
        await mailer.run(Settings(), asyncio.Event())
