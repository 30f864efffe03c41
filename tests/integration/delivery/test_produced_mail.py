"""Mail as the server gets it, held against RFC 5321, 5322, 6376, 6531 and 8058 by parsers that are not ours."""

import email
import re
from base64 import b64encode, urlsafe_b64decode
from email import policy
from html.parser import HTMLParser
from urllib.parse import unquote_to_bytes

import dkim
import pytest
from common.contracts.campaigns import Sender
from common.testing.deliver import deliver
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from delivery.domain.dkim import SigningKey
from delivery.use_cases.signing import Signer

from tests.fixtures.sending import MAIN, Campaign, content, mailing, until

KEY = rsa.generate_private_key(65537, 2048)
HTML = (
    "<html><body><p>سلام {{ first_name }}، کاروان پنج‌شنبه می‌رود.</p><p>.</p><pre>dots\n.\n.\n..dots\n</pre>"
    '<p><a href="https://shop.test/پیشنهاد?x=1&y=2">پیشنهاد</a></p>'
    '<p><a href="{{ unsubscribe_url }}">لغو</a> <a href="{{ browser_url }}">نمایش</a>'
    ' <a href="{{ preferences_url }}">انتخاب</a></p></body></html>'
)
PEOPLE = {
    "ann@example.com": "Ann",
    "zahra@مثال.com": "زهرا",
    "علی@مثال.com": "علی",
    "o'brien+x=y@example.com": 'O\'Brien <b> & "Co"',
    "breaks@example.com": "Ann\r\nBcc: evil@example.net\r\n\r\n.\r\nMAIL FROM:<evil@example.net>",
    "controls@example.com": "Con\x07trol\x1b[31m\u202e\x85\u2028s",
    "long@example.com": "ل" * 900,
}
ONCE = ("From", "To", "Subject", "Date", "Message-ID", "Reply-To", "MIME-Version", "Content-Type", "DKIM-Signature")
ONCE += ("List-Unsubscribe", "List-Unsubscribe-Post", "List-Id", "Feedback-ID")


class Links(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.found += [value for name, value in attrs if name in ("href", "src")]


def published(name, timeout=5):
    public = KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return b"v=DKIM1; k=rsa; p=" + b64encode(public)


@pytest.fixture
async def mails(delivery_db, workspace_id, smtp_server):
    campaign = Campaign(
        workspace_id,
        content=content(HTML, "خبر تازه برای {{ first_name }} 🎉"),
        sender=Sender(name="فروشگاه بزرگ", email="news@shop.test", reply_to="help@shop.test"),
        tracking={"opens": True, "clicks": True},
    )
    campaign.recipients = [
        campaign.person(address, tracking="individual").model_copy(update={"fields": {"first_name": name}})
        for address, name in PEOPLE.items()
    ]
    await deliver(delivery_db.worker, MAIN, campaign.events())
    async with mailing(
        delivery_db, smtp_server.port, signer=Signer({"shop.test": [SigningKey("shop.test", "s1", KEY)]})
    ):
        await until(delivery_db, campaign.id, sent=len(PEOPLE))
    # What came over the wire, with the stuffed dots taken out as a server does.
    return {taken.recipient: re.sub(rb"(?m)^\.", b"", taken.body) for taken in smtp_server.taken}


def read(raw):
    return email.message_from_bytes(raw, policy=policy.default)


async def test_everybody_gets_one_mail_at_the_address_he_has(mails):
    assert sorted(mails) == sorted(address.replace("مثال", "xn--mgbh0fb") for address in PEOPLE)


async def test_lines_and_headers_are_as_rfc_5322_wants_them(mails):
    for recipient, raw in mails.items():
        bare = raw.replace(b"\r\n", b"")
        assert b"\r" not in bare
        assert b"\n" not in bare
        assert not re.search(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", bare)
        block, _, body = raw.partition(b"\r\n\r\n")
        assert max(map(len, body.split(b"\r\n"))) <= 76
        assert max(map(len, block.split(b"\r\n"))) <= 998
        assert body.isascii()
        assert block.isascii() or not recipient.isascii()
        message = read(raw)
        assert not message.defects
        for name in ONCE:
            assert len(message.get_all(name, [])) == 1, name
        assert message["Bcc"] is None
        assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
        assert all(not part.defects for part in message.walk())


async def test_what_is_written_in_any_script_is_read_back(mails):
    for recipient, raw in mails.items():
        message = read(raw)
        assert message["From"].addresses[0].display_name == "فروشگاه بزرگ"
        # The standard library keeps the bytes of a header in UTF-8 (RFC 6532) as surrogates.
        spec = message["To"].addresses[0].addr_spec.encode("utf-8", "surrogateescape").decode()
        assert spec == recipient
        assert "خبر تازه برای " in message["Subject"]
        assert message["Subject"].endswith("🎉")
    zahra = read(mails["zahra@xn--mgbh0fb.com"])
    assert "زهرا" in zahra["Subject"]
    assert "زهرا" in zahra.get_body(("html",)).get_content()
    assert "\n.\n..dots\n" in zahra.get_body(("html",)).get_content().replace("\r\n", "\n")
    hostile = read(mails["breaks@example.com"])
    assert "Bcc: evil@example.net" in hostile["Subject"].replace("\u2068", "")
    assert "<b>" not in read(mails["o'brien+x=y@example.com"]).get_body(("html",)).get_content()


async def test_one_click_is_covered_by_a_signature_that_holds(mails):
    for raw in mails.values():
        assert dkim.verify(raw, dnsfunc=published)
        message = read(raw)
        assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        assert re.fullmatch(r"<http://mail\.test/u/[\w-]+>", message["List-Unsubscribe"])
        covered = re.sub(r"\s", "", re.search(r"h=([^;]*);", message["DKIM-Signature"])[1]).split(":")
        assert {"list-unsubscribe", "list-unsubscribe-post", "list-id", "feedback-id", "from"} <= set(covered)


async def test_no_url_says_who_it_is_for(mails):
    names = {address.replace("مثال", "xn--mgbh0fb"): name for address, name in PEOPLE.items()}
    for recipient, raw in mails.items():
        message = read(raw)
        links = Links()
        links.feed(message.get_body(("html",)).get_content())
        text = message.get_body(("plain",)).get_content()
        urls = [*links.found, *re.findall(r"https?://[^\s)>]+", text), message["List-Unsubscribe"]]
        assert len(urls) >= 8
        ours = {}
        for url in urls:
            shown = [url.encode(), unquote_to_bytes(url)]
            if found := re.search(r"mail\.test/([a-z]+)/([\w-]+)", url):
                kind, token = found.groups()
                ours[kind] = urlsafe_b64decode(token + "=" * (-len(token) % 4))
                shown.append(ours[kind])
            for known in (recipient, recipient.partition("@")[0], names[recipient]):
                assert not any(known.encode() in one for one in shown if len(known) > 3)
        assert ours.keys() == {"u", "p", "b", "c", "o", "h"}
        assert all(len(token) > 16 for token in ours.values())
