"""Mails of which nothing is left for some readers, or for all."""

import pytest
from content.compile import compile_mail
from content.errors import ContentError
from content.model import Footer, MailSource
from content.render import RenderContext, render_encoded

EMPTY_FOR_SOME = "{% if attributes.vip %}<p>سلام {{ first_name }}</p>{% endif %}"


@pytest.mark.parametrize("language", ["en", "fa"])
@pytest.mark.parametrize("body", ["", "<p> </p><div>\u200c</div>", "{% if attributes.x == 'y' %}hello{% endif %}"])
def test_a_mail_of_which_nothing_is_left_is_warned_about_and_not_sent(body, language):
    html = body + '<p><a href="{{ unsubscribe_url }}">leave</a></p>'
    source = MailSource.model_validate({"subject": "S", "html": html, "language": language})
    mail = compile_mail(source, Footer(postal_address="1 Post Street"))
    assert "content_empty" in {warning.code for warning in mail.warnings}
    assert render_encoded(mail, language, RenderContext(unsubscribe_url="https://m.example/u/1")).blank


@pytest.mark.parametrize("language", ["en", "fa"])
def test_a_mail_that_is_empty_for_some_is_not_sent_to_them(language):
    html = EMPTY_FOR_SOME + '<p><a href="{{ unsubscribe_url }}">leave</a></p>'
    mail = compile_mail(
        MailSource.model_validate({"subject": "S", "html": html, "language": language}),
        Footer(postal_address="1 Post Street"),
    )
    urls = {"unsubscribe_url": "https://m.example/u/1", "preferences_url": "https://m.example/u/1"}
    full = RenderContext(fields={"first_name": "Sara", "attributes": {"vip": "yes"}}, **urls)
    filled = render_encoded(mail, language, full)
    assert (b"Sara" in filled.text, filled.blank) == (True, False)
    assert render_encoded(mail, language, RenderContext(fields={"first_name": "Sara"}, **urls)).blank


def test_a_mail_that_is_one_picture_is_a_mail():
    html = '<img src="https://x.example/a.png"><a href="{{ unsubscribe_url }}">leave</a>'
    mail = compile_mail(
        MailSource.model_validate({"subject": "S", "html": html}), Footer(postal_address="1 Post Street")
    )
    assert not render_encoded(mail, "en", RenderContext(unsubscribe_url="https://m.example/u/1")).blank


@pytest.mark.parametrize(
    "subject",
    ["", " \t", "\u200b\u200f", "\u00a0\u2003", "{{ '' }}", "{% comment %}later{% endcomment %}", "{{ ' ' }}"],
)
def test_a_subject_that_is_empty_whoever_gets_it_is_refused(subject):
    with pytest.raises(ContentError, match="subject") as caught:
        compile_mail(MailSource.model_validate({"subject": subject, "html": "<p>x</p>", "language": "en"}))
    assert (caught.value.code, caught.value.part) == ("subject_missing", "subject")
    assert caught.value.mend


@pytest.mark.parametrize(
    ("subject", "who"),
    [
        ("{{ attributes.title }}", "nobody who lacks the fields in it"),
        ("{% if attributes.x == 'y' %}Hello{% endif %}", "nobody will"),
        ("{{ attributes.title | default: 'News' }}", None),
        ("Hello {{ first_name }}", None),
    ],
)
def test_a_subject_that_may_be_empty_is_warned_of(subject, who):
    mail = compile_mail(MailSource.model_validate({"subject": subject, "html": "<p>x</p>", "language": "en"}))
    assert [(one.code, one.part) for one in mail.warnings] == ([("subject_empty", "subject")] if who else [])
    assert who is None or who in mail.warnings[0].message
