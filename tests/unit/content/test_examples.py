import json
from pathlib import Path

import pytest
from content.compile import compile_mail
from content.model import Footer, MailSource
from content.render import RenderContext, render

FOLDER = Path(__file__).resolve().parents[3] / "examples" / "templates" / "longest-night"
CAMPAIGN = json.loads((FOLDER / "campaign.json").read_text())


def test_the_campaign_file_is_made_of_the_templates():
    heads = json.loads((FOLDER / "subjects.json").read_text())
    for variant in CAMPAIGN["variants"]:
        assert variant["mjml"] == (FOLDER / f"{variant['language']}.mjml").read_text()
        assert {key: variant[key] for key in ("subject", "preheader")} == heads[variant["language"]]


@pytest.mark.parametrize(
    ("language", "date"), [("fa", "۳۰ آذر ۱۴۰۵"), ("ar", "١٢ رجب ١٤٤٨"), ("en", "December 21, 2026")]
)
@pytest.mark.parametrize("known", [True, False])
def test_example_mails_read_well_with_and_without_fields(language, date, known):
    mail = compile_mail(MailSource.model_validate(CAMPAIGN), Footer(postal_address="1 Harbour Street"))
    assert not mail.warnings
    assert {"first_name", "attributes.city"} <= set(mail.fields)
    fields = {"first_name": "Sara", "attributes": {"city": "شیراز", "points": 3}} if known else {}
    context = RenderContext(
        fields=fields,
        unsubscribe_url="https://x.example/u",
        preferences_url="https://x.example/p",
        browser_url="https://x.example/b",
    )
    filled = render(mail, language, context)
    assert date in filled.html
    assert date in filled.text
    assert ("Sara" in filled.subject) is known
    assert ("Sara" in filled.html) is known
    for url in ("https://x.example/u", "https://x.example/p", "https://x.example/b"):
        assert f'href="{url}"' in filled.html
        assert url in filled.text
    assert 'href="#"' not in filled.html
    assert f'dir="{"ltr" if language == "en" else "rtl"}"' in filled.html
