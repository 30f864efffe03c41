import re

import pytest
from content.compile import compile_mail
from content.errors import ContentError
from content.links import tracked_links
from content.model import CompiledMail, Footer, MailSource, Tracking
from content.render import RenderContext, render, render_encoded
from pydantic import ValidationError
from selectolax.lexbor import LexborHTMLParser

UNSUBSCRIBE = '<a href="{{ unsubscribe_url }}">Unsubscribe</a>'
ADDRESS = Footer(postal_address="1 Harbour Street, Muscat")
READER = RenderContext(
    fields={"first_name": "Ali", "email": "ali@example.org", "language": "en", "attributes": {"city": "Muscat"}},
    unsubscribe_url="https://mail.example/u/1",
    preferences_url="https://mail.example/p/1",
    browser_url="https://mail.example/b/1",
    link=lambda number, url: f"https://mail.example/c/{number}",
    pixel_url="https://mail.example/o/1",
)


def compiled(html=None, *, footer=None, tracking=None, **more):
    content = {"subject": "Hello", "html": html, **more}
    mail = compile_mail(MailSource.model_validate(content), footer, tracking)
    return CompiledMail.model_validate_json(mail.model_dump_json(exclude_defaults=True))


def html_of(html, reader=READER, **more):
    mail = compiled(html, **more)
    return render(mail, mail.default, reader).html


def refused(**content):
    with pytest.raises(ContentError) as caught:
        compile_mail(MailSource.model_validate({"subject": "Hello", **content}), content.pop("footer", None))
    return caught.value


@pytest.mark.parametrize(
    ("content", "code", "part", "line"),
    [
        ({"html": "<p>\n\n{{ firstname }}</p>"}, "unknown_name", "html", 3),
        ({"html": "<p>{{ attributes }}</p>"}, "unknown_name", "html", 1),
        ({"html": "x", "subject": "{{ name }}"}, "unknown_name", "subject", 1),
        ({"html": "x", "preheader": "{{ name }}"}, "unknown_name", "preheader", 1),
        ({"html": "x", "text": "a\nb {{ name }}"}, "unknown_name", "text", 2),
        ({"html": "{% for a in attributes.list %}{{ b }}{% endfor %}"}, "unknown_name", "html", 1),
        ({"html": "\n{{ first_name | shout }}"}, "liquid_filter", "html", 2),
        ({"html": "{{ first_name | x_html }}"}, "liquid_filter", "html", 1),
        ({"html": "{{ first_name | upcase: 1, 2 }}"}, "liquid_filter", "html", 1),
        ({"html": "a\n{% if first_name %}b"}, "liquid_syntax", "html", None),
        ({"html": "{{ first_name"}, "liquid_syntax", "html", 1),
        ({"html": "{% include 'etc/passwd' %}"}, "liquid_tag", "html", 1),
        ({"html": "{% render 'x' %}"}, "liquid_tag", "html", 1),
        ({"html": "{% capture x %}{% endcapture %}"}, "liquid_tag", "html", 1),
        ({"html": "{% liquid echo first_name %}"}, "liquid_tag", "html", 1),
        ({"html": "\n<p {% if first_name %}class='a'{% endif %}>x</p>"}, "liquid_in_tag", "html", 2),
        ({"html": "<{{ first_name }}>"}, "liquid_in_tag", "html", 1),
        ({"html": "x", "subject": "one\ntwo"}, "header_line_break", "subject", None),
        ({"html": "x", "subject": "  "}, "subject_missing", "subject", None),
        ({"html": "x" * 300_000}, "content_too_large", "html", None),
        ({"mjml": "<mjml><mj-body>\n<mj-include path='/etc/passwd' /></mj-body></mjml>"}, "mjml_invalid", "mjml", 2),
        ({"mjml": "<mjml>\n<mj-body><mj-section></mj-body></mjml>"}, "mjml_invalid", "mjml", None),
        ({"html": "x", "mjml": "<mjml></mjml>"}, "content_ambiguous", "html", None),
        ({}, "content_missing", "html", None),
    ],
)
def test_an_author_is_told_variant_part_line_and_what_to_do(content, code, part, line):
    error = refused(language="fa", **content)
    assert (error.code, error.variant, error.part) == (code, "fa", part)
    assert error.line == line or line is None
    assert error.message


def test_an_unknown_name_lists_the_known_ones():
    assert "attributes.<name>" in refused(html="{{ firstname }}").mend


@pytest.mark.parametrize(
    "html",
    [
        "<p>no link</p>",
        "<!-- {{ unsubscribe_url }} -->",
        '{% if first_name %}<a href="{{ unsubscribe_url }}">x</a>{% endif %}',
        '{% unless first_name %}<a href="{{ unsubscribe_url }}">x</a>{% endunless %}',
        "<title>{{ unsubscribe_url }}</title><p>x</p>",
    ],
)
def test_a_campaign_without_a_visible_unsubscribe_link_is_refused(html):
    with pytest.raises(ContentError) as caught:
        compiled(html, footer=ADDRESS)
    assert caught.value.code == "unsubscribe_missing"
    compiled(html)


@pytest.mark.parametrize("address", [None, "", "  "])
def test_a_campaign_without_a_postal_address_is_refused(address):
    with pytest.raises(ContentError) as caught:
        compiled(UNSUBSCRIBE, footer=Footer(postal_address=address))
    assert caught.value.code == "postal_address_missing"


@pytest.mark.parametrize(
    ("language", "words"), [("en", "Our postal"), ("fa", "نشانی پستی"), ("ar-EG", "عنواننا البريدي")]
)
def test_the_postal_address_ends_both_parts_in_the_language_of_the_mail(language, words):
    mail = compiled("<body>" + UNSUBSCRIBE + "</body>", footer=ADDRESS, language=language, text="Hello")
    filled = render(mail, language, READER)
    for part in (filled.html, filled.text):
        assert words in part
        assert part.count(ADDRESS.postal_address) == 1
    assert "https://mail.example/u/1" in filled.text


def test_an_address_that_the_author_wrote_is_not_repeated():
    html = html_of(f"<p>1 Harbour   Street,\nMuscat</p>{UNSUBSCRIBE}", footer=ADDRESS)
    assert html.count("Muscat") == 1


def test_scripts_and_handlers_are_removed_and_reported():
    mail = compiled(
        '<p onclick="x()">a</p><script>alert(1)</script><iframe src="https://x"></iframe>'
        '<a href="JaVa\tscript:x">b</a>'
        '<img src=x onerror=alert(1)><base href="https://evil.example"><form action="https://x"><input></form>'
        "<style>@import url(https://x/y.css); p{color:red}</style><p style='width:expression(alert(1))'>c</p>"
        '<a href="data:text/html,<script>1</script>">d</a><svg><script>1</script></svg>'
        '<meta http-equiv="refresh" content="0">'
    )
    html = render(mail, mail.default, READER).html.lower()
    for bad in [
        "<script",
        "onclick",
        "onerror",
        "<iframe",
        "javascript",
        "<base",
        "<form",
        "@import",
        "expression(",
        "refresh",
    ]:
        assert bad not in html
    assert "data:text/html" not in html
    codes = {warning.code for warning in mail.warnings}
    assert {"removed_script", "removed_handler", "removed_url", "removed_css", "removed_iframe"} <= codes


PAYLOADS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='x",
    "--><script>x</script><!--",
    "</title><script>x</script>",
    "{{ 7 | times: 7 }}",
    "{% for i in (1..9) %}x{% endfor %}",
    "\ufdd01\ufdd1javascript:x\ufdd2",
    "</style><script>x</script>",
    "javascript:alert(1)",
    "a\r\nBcc: x@example.org",
    "\u202etxt.exe",
    "zlq0z",
    "</bdi></a><b>",
    "`${x}`",
    "&lt;script&gt;",
]


@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_value_stays_a_value_wherever_it_stands(payload):
    source = (
        "<html><head><title>{{ first_name }}</title><style>p{color:{{ attributes.c }}}</style></head><body>"
        '<p title="{{ first_name }}" style="color:{{ attributes.c }}" class=\'{{ first_name }}\'>{{ first_name }}</p>'
        '<a href="{{ attributes.c }}">one</a><a href="https://x.example/{{ first_name }}?q={{ first_name }}">two</a>'
        '<img src="{{ attributes.c }}" alt="{{ first_name }}"><!--[if mso]>{{ first_name }}<![endif]-->'
        "{% for i in (1..2) %}<i>{{ first_name }}</i>{% endfor %}</body></html>"
    )
    for loops in (source, source.replace("{% for i in (1..2) %}", "").replace("{% endfor %}", "")):
        mail = compile_mail(MailSource.model_validate({"subject": "x {{ first_name }}", "html": loops}))

        def shape(value, mail=mail):
            filled = render(mail, mail.default, RenderContext(fields={"first_name": value, "attributes": {"c": value}}))
            assert not re.search("[\r\n\u202e\ufdd0-\ufdef]", filled.subject)
            tree = LexborHTMLParser(filled.html)
            for node in tree.css("a, img"):
                url = node.attributes.get("href") or node.attributes.get("src") or "#"
                assert url == "#" or url.startswith("https://x.example/"), url
            return [(n.tag, sorted(n.attributes)) for n in tree.css("*") if n.tag != "bdi"]

        assert shape(payload) == shape("plain")


def test_urls_made_of_values_take_http_https_and_mailto_only():
    html = '<a href="{{ attributes.link }}">x</a>'
    for url, expected in [
        ("https://shop.example/a?b=1&c=2", "https://shop.example/a?b=1&amp;c=2"),
        ("mailto:a@example.org", "mailto:a@example.org"),
        ("//evil.example", "#"),
        ("tel:123", "#"),
        ("vbscript:x", "#"),
        (None, "#"),
    ]:
        reader = RenderContext(fields={"attributes": {"link": url}})
        assert f'href="{expected}"' in html_of(html, reader)


def test_links_are_numbered_and_those_of_the_recipient_are_not():
    html = (
        '<a href="https://a.example/">a</a><a href="https://b.example/?x=1&amp;y=2#f">b</a>'
        '<a href="https://a.example/">a</a><a href="mailto:x@example.org">m</a><a href="tel:+98">t</a>'
        '<a href="#top">top</a><a href="{{ preferences_url }}">p</a>'
        f'<a href="{{{{ browser_url }}}}">v</a>{UNSUBSCRIBE}'
    )
    mail = compiled(html, tracking=Tracking(utm={"utm_source": "barid", "utm_campaign": "یلدا"}))
    assert tracked_links(mail) == {1: "https://a.example/", 2: "https://b.example/?x=1&y=2#f"}
    seen = []
    reader = RenderContext(
        unsubscribe_url="https://u.example/", link=lambda n, url: seen.append((n, url)) or f"https://t/{n}"
    )
    shown = render(mail, mail.default, reader)
    utm = "utm_source=barid&utm_campaign=%DB%8C%D9%84%D8%AF%D8%A7"
    assert {url for _, url in seen} == {f"https://a.example/?{utm}", f"https://b.example/?x=1&y=2&{utm}#f"}
    assert 'href="https://u.example/"' in shown.html
    assert 'href="mailto:x@example.org"' in shown.html
    assert shown.html.count('href="https://t/1"') == 2
    assert "https://t/2" in shown.text


def test_tracking_that_the_author_does_not_want_is_off_for_everybody():
    mail = compiled('<a href="https://a.example/">a</a>', tracking=Tracking(opens=False, clicks=False))
    html = render(mail, mail.default, READER).html
    assert "https://a.example/" in html
    assert "mail.example/o/" not in html
    assert tracked_links(mail) == {}


def test_the_pixel_is_in_the_html_once_and_only_when_asked_for():
    mail = compiled("<p>x</p>")
    assert render(mail, mail.default, READER).html.count("https://mail.example/o/1") == 1
    assert "<img" not in render(mail, mail.default, RenderContext()).html


def test_css_is_inlined_and_media_rules_stay():
    html = html_of("<style>p{color:red} @media(max-width:480px){p{color:blue}}</style><p>x</p>")
    assert 'style="color: red;"' in html
    assert "@media" in html


def test_rows_inside_an_if_stay_inside_it():
    source = "<table>{% if attributes.vip %}<tr><td>gold</td></tr>{% endif %}<tr><td>all</td></tr></table>"
    without = LexborHTMLParser(html_of(source))
    assert [cell.text() for cell in without.css("table td")] == ["all"]
    gold = LexborHTMLParser(html_of(source, RenderContext(fields={"attributes": {"vip": True}})))
    assert [cell.text() for cell in gold.css("table td")] == ["gold", "all"]


def test_mjml_mirrors_for_right_to_left_languages():
    column = "<mj-column><mj-text>سلام {{ first_name }}</mj-text></mj-column>"
    mjml = f"<mjml><mj-body><mj-section>{column}</mj-section></mj-body></mjml>"
    html = html_of(None, mjml=mjml, language="fa")
    assert re.search(r"<html[^>]*lang=\"fa\"[^>]*dir=\"rtl\"", html)
    assert "direction: rtl" in html
    assert "text-align:right" in html.replace(" ", "")
    assert "direction: ltr" not in html


@pytest.mark.parametrize("language", ["fa", "ar-SA", "he", "ur", "ckb", "az-Arab"])
def test_direction_follows_the_language(language):
    html = html_of("<p>x</p>", language=language)
    assert f'<html lang="{language}" dir="rtl">' in html
    assert 'dir="ltr"' in html_of("<p>x</p>", language=language, direction="ltr")


def test_names_are_isolated_in_text_and_subject_but_not_in_attributes_urls_and_title():
    mail = compiled(
        '<head><title>{{ first_name }}</title></head><p title="{{ first_name }}">سلام {{ first_name }}!</p>'
        '<a href="https://x.example/{{ first_name }}">x</a>',
        language="fa",
        subject="سلام {{ first_name }}!",
    )
    filled = render(mail, "fa", RenderContext(fields={"first_name": "Ali (2)"}))
    assert filled.subject == "سلام \u2068Ali (2)\u2069!"
    assert "<bdi>Ali (2)</bdi>!" in filled.html
    assert "<title>Ali (2)</title>" in filled.html
    assert 'title="Ali (2)"' in filled.html
    assert 'href="https://x.example/Ali%20%282%29"' in filled.html
    assert "\u2068Ali (2)\u2069!" in filled.text
    assert "\u2068" not in filled.html


def test_latin_mail_isolates_only_names_that_run_the_other_way():
    mail = compiled("<p>Hi {{ first_name }}!</p>", subject="Hi {{ first_name }}!")
    assert render(mail, "en", READER).subject == "Hi Ali!"
    arabic = render(mail, "en", RenderContext(fields={"first_name": "علي"}))
    assert arabic.subject == "Hi \u2068علي\u2069!"
    assert "<bdi>علي</bdi>" in arabic.html


def test_text_is_made_from_html():
    mail = compiled(
        "<head><title>no</title><style>p{}</style></head><div style='display:none'>hidden</div><h1>Offer</h1>"
        "<p>Hi {{ first_name }},<br>two   blanks\n&amp; <b>bold</b></p><ul><li>one</li><li>two</li></ul>"
        '<p><a href="https://x.example/">Shop</a></p><img src="https://x.example/i.png" alt="A picture">',
        preheader="Peek",
    )
    text = render(mail, "en", RenderContext(fields={"first_name": "Ali"})).text
    assert text == "Offer\n\nHi Ali,\ntwo blanks & bold\n\n- one\n- two\n\nShop (https://x.example/)\n\nA picture\n"


def test_a_mail_of_text_alone_has_no_html():
    mail = compiled(text="Hi {{ first_name }}: https://x.example/?a=1.\n{{ unsubscribe_url }}", footer=ADDRESS)
    filled = render(mail, "en", READER)
    assert filled.html is None
    assert filled.text.startswith("Hi Ali: https://mail.example/c/1.\nhttps://mail.example/u/1\n")
    assert render_encoded(mail, "en", READER).html is None


def test_the_fields_are_those_of_the_contact_that_any_variant_uses():
    mail = compile_mail(
        MailSource.model_validate(
            {
                "default": "en",
                "variants": [
                    {"language": "en", "subject": "{{ first_name }}", "html": "{% if attributes.vip %}x{% endif %}"},
                    {
                        "language": "fa",
                        "subject": "x",
                        "html": "{{ attributes.شهر | append: last_name }} {{ browser_url }}",
                    },
                ],
            }
        )
    )
    assert mail.fields == ("attributes.vip", "attributes.شهر", "first_name", "last_name")


def test_html_that_gmail_would_clip_is_warned_of():
    mail = compiled("<p>" + "word " * 22_000 + "</p>")
    assert [warning.code for warning in mail.warnings] == ["html_clipped"]


@pytest.mark.parametrize(
    ("html", "clipped"),
    [
        ("{% for n in (1..900) %}<p>" + "word " * 30 + "</p>{% endfor %}", True),
        ("{% comment %}" + "word " * 22_000 + "{% endcomment %}<p>short</p>", False),
    ],
    ids=["long once filled", "short once filled"],
)
def test_how_long_html_is_shows_once_it_is_filled(html, clipped):
    assert [warning.code for warning in compiled(html).warnings] == ["html_clipped"] * clipped


def test_content_too_large_for_an_event_is_refused():
    variants = [{"id": f"v{n}", "language": "en", "subject": "x", "html": "<p>" + "x" * 90_000} for n in range(4)]
    with pytest.raises(ContentError) as caught:
        compile_mail(MailSource.model_validate({"variants": variants}))
    assert caught.value.code == "content_too_large"


def test_raw_and_comments_of_liquid():
    html = html_of("<p>{% raw %}{{ first_name }} {% x %}{% endraw %}{% comment %}{{ nope }}{% endcomment %}</p>")
    assert "<p>{{ first_name }} {% x %}</p>" in html


def test_source_takes_the_short_form_and_refuses_what_it_does_not_know():
    short = MailSource.model_validate({"subject": "x", "html": "y", "language": "ar"})
    assert (short.default, short.variants[0].id) == ("ar", "ar")
    with pytest.raises(ValidationError):
        MailSource.model_validate({"subject": "x", "body": "y"})
    with pytest.raises(ValidationError, match="no variant"):
        MailSource.model_validate({"default": "de", "variants": [{"subject": "x", "html": "y"}]})
    with pytest.raises(ValidationError, match="same id"):
        MailSource.model_validate({"variants": [{"subject": "x", "html": "y"}] * 2})
