"""Make docs/pictures/mail-*.png: the example mails as their readers get them.

Each mail is compiled, filled, built as MIME, parsed back by the standard library, and shown by a headless Chromium.
Run it after a change to examples/templates or to libs/content; look at the pictures before committing them.
"""

import argparse
import email
import email.policy
import json
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path

from content.choose import variant_for
from content.compile import compile_mail
from content.mime import MailHeaders, build
from content.model import CompiledMail, Footer, MailSource
from content.render import RenderContext, render_encoded

ROOT = Path(__file__).resolve().parents[1]
TEMPLATES = ROOT / "examples" / "templates" / "longest-night"
PICTURES = ROOT / "docs" / "pictures"
MAX_BYTES = 200 * 1024
HEIGHTS = {"fa": 1270, "ar": 1270, "en": 1350}
FOOTERS = {
    "fa": "کاروان‌کتاب، تهران، خیابان انقلاب، شماره ۱۲۴۰",
    "ar": "قافلة الكتب، ٢٤ شارع طلعت حرب، القاهرة",
    "en": "Caravan Books, 24 Talaat Harb Street, Cairo",
}
READERS = {
    "fa": {"first_name": "Sara", "email": "sara@example.com", "attributes": {"city": "شیراز", "points": 1240}},
    "ar": {"first_name": "ليلى", "email": "layla@example.com", "attributes": {"city": "القاهرة", "points": 7}},
    "en": {"first_name": "علی", "email": "ali@example.com", "attributes": {"city": "London", "points": 310}},
}


def write_campaign() -> None:
    """campaign.json from the three .mjml files and subjects.json: what POST /v1/campaigns takes as `content`."""
    heads = json.loads((TEMPLATES / "subjects.json").read_text())
    variants = [
        {"id": language, "language": language, **head, "mjml": (TEMPLATES / f"{language}.mjml").read_text()}
        for language, head in heads.items()
    ]
    campaign = {"default": "en", "variants": variants}
    (TEMPLATES / "campaign.json").write_text(json.dumps(campaign, ensure_ascii=False, indent=2) + "\n")


def built_mail(mail: CompiledMail, language: str) -> EmailMessage:
    """One reader's mail, through the bytes that would be sent."""
    context = RenderContext(
        fields={**READERS[language], "language": language},
        unsubscribe_url="https://mail.caravan.example/u/token",
        preferences_url="https://mail.caravan.example/p/token",
        browser_url="https://mail.caravan.example/b/token",
        link=lambda number, _url: f"https://mail.caravan.example/c/token-{number}",
    )
    filled = render_encoded(mail, variant_for(mail, language), context)
    headers = MailHeaders(
        from_email="news@caravan.example",
        to_email=str(READERS[language]["email"]),
        subject=filled.subject,
        message_id=f"picture-{language}@caravan.example",
        date=datetime(2026, 12, 14, 9, 0, tzinfo=UTC),
    )
    raw = build(headers, filled.text, filled.html)
    message = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


def photograph(chromium: str, html: str, target: Path, width: int, height: int) -> None:
    """A page as PNG, at most 200 KB."""
    with tempfile.TemporaryDirectory() as home:
        page = Path(home) / "mail.html"
        page.write_text(html)
        command = [
            chromium,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            "--disable-dev-shm-usage",
        ]
        command += [f"--user-data-dir={home}/profile", f"--window-size={width},{height}", f"--screenshot={target}"]
        subprocess.run([*command, page.as_uri()], check=True, capture_output=True, timeout=120)
    if target.stat().st_size > MAX_BYTES:
        raise SystemExit(f"{target.name} is {target.stat().st_size // 1024} KB; at most {MAX_BYTES // 1024} KB")


def main() -> int:
    """Write campaign.json anew and take the pictures."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--width", type=int, default=660)
    parser.add_argument("--height", type=int, default=0, help="0: as long as each mail is at 660 pixels")
    parser.add_argument("--into", type=Path, default=PICTURES)
    parser.add_argument("--only-campaign", action="store_true", help="write campaign.json and stop")
    options = parser.parse_args()
    write_campaign()
    if options.only_campaign:
        return 0
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        raise SystemExit("no Chromium found; on Debian: apt-get install chromium fonts-noto-core")
    source = MailSource.model_validate_json((TEMPLATES / "campaign.json").read_text())
    options.into.mkdir(parents=True, exist_ok=True)
    for language, address in FOOTERS.items():
        message = built_mail(compile_mail(source, Footer(postal_address=address)), language)
        body = message.get_body(("html",))
        assert body is not None
        target = options.into / f"mail-{language}.png"
        photograph(chromium, body.get_content(), target, options.width, options.height or HEIGHTS[language])
        print(f"{target}: {target.stat().st_size // 1024} KB  {message['Subject']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
