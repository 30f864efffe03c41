"""Content made to crash or to stall what compiles it."""

import pytest
from content.compile import compile_mail
from content.errors import ContentError
from content.model import CompiledMail, MailSource
from content.render import RenderContext, render


def compiled(**content: str) -> CompiledMail:
    return compile_mail(MailSource.model_validate({"subject": "Hello", **content}))


@pytest.mark.parametrize(
    ("html", "code"),
    [
        ("<div>" * 50_000, "content_too_complex"),
        ("<b>" * 80_000 + "x", "content_too_complex"),
        ("<svg><title>" + "<b>" * 50_000, "content_too_complex"),
        ("<b><!--</b>-->" * 10_000, "content_too_complex"),
        ('<b "x="></b>">' * 10_000, "content_too_complex"),
        ("<iframe></b></iframe><b>" * 9_000, "content_too_complex"),
        ("".join(f"<i title={n}><p>x" for n in range(9000)), "content_too_complex"),
        ("<style>" + "*{color:red}" * 9000 + "</style>" + "<i></i>" * 10_000, "content_too_complex"),
        ("{{" * 100_000, "liquid_syntax"),
        ("{% raw %}" * 20_000, "liquid_syntax"),
        ("{{" + " " * 200_000 + "}}", "liquid_too_long"),
        ("{% if " + "(" * 50_000 + "first_name" + ")" * 50_000 + " %}{% endif %}", "liquid_too_long"),
        ("{{ first_name" + " | append: first_name" * 10_000 + " }}", "liquid_too_long"),
        ("{% if first_name %}" * 30 + "{% endif %}" * 30, "liquid_syntax"),
        ("{% for a in (1..1000) %}{% for b in (1..1000) %}x{% endfor %}{% endfor %}", "liquid_limit"),
        ("{% for a in (1..999) %}" + "x" * 5000 + "{% endfor %}", "liquid_limit"),
    ],
)
def test_bombs_end_as_errors_before_they_reach_what_they_would_crash(html, code):
    with pytest.raises(ContentError) as caught:
        compiled(html=html)
    assert caught.value.code == code


def test_a_value_cannot_grow_without_end():
    mail = compiled(html="{% assign a = 'x' %}" + "{% assign a = a | append: a %}" * 40 + "{{ a }}")
    html = render(mail, mail.default, RenderContext({}, "https://m.example/u", "", "")).html
    assert len(html) < 100_000


def test_mjml_bombs_end_as_errors():
    for inner in ["<mj-wrapper>" * 9000 + "</mj-wrapper>" * 9000, "<mj-wrapper><![CDATA[></mj-wrapper>]]>" * 5000]:
        with pytest.raises(ContentError) as caught:
            compiled(mjml=f"<mjml><mj-body>{inner}</mj-body></mjml>")
        assert caught.value.code == "content_too_complex"
