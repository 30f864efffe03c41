import pytest
from content.compile import compile_mail
from content.evaluate import finish, prepare
from content.filters import PUBLIC
from content.liquid import parse, render_engine
from content.model import MailSource, Program
from content.program import Scope, compile_program
from content.render import RenderContext, render, render_encoded
from content.values import AFTER_NUMBER, LINK, LINK_END
from hypothesis import given
from hypothesis import strategies as st

NAMES = ["first_name", "last_name", "email", "language"]
words = st.sampled_from(
    ["", " ", "Ali", "علی", "تهران", "<b>", "12", "۱۲", "3.5", "2026-12-21", "true", "javascript:x"]
)
odd = st.text(max_size=20) | words
values = (
    odd
    | st.none()
    | st.booleans()
    | st.integers(-(10**18), 10**18)
    | st.floats()
    | st.lists(odd | st.integers(0, 9), max_size=3)
    | st.dictionaries(st.sampled_from(["x", "size"]), odd, max_size=2)
)
fields = st.fixed_dictionaries(
    {},
    optional={**dict.fromkeys(NAMES, values), "attributes": st.dictionaries(st.sampled_from("abc"), values) | values},
)

literals = st.sampled_from(["'Ali'", "''", "12", "3.5", "true", "false", "nil", "blank", "empty", "'a'", "-1"])
paths = st.sampled_from([*NAMES, "attributes.a", "attributes.b", "attributes.c.x", "attributes.missing"])
arguments = {
    "append": ["'!'", "last_name"], "prepend": ["'<'", "attributes.a"], "default": ["'friend'", "last_name", "0"],
    "replace": ["'a', 'b'", "last_name, first_name"], "remove": ["'a'"], "truncate": ["5", "attributes.a"],
    "plus": ["1", "attributes.a"], "divided_by": ["0", "3"], "modulo": ["0", "4"], "times": ["2"], "round": ["2"],
    "digits": ["'fa'", "'ar'", "first_name"], "date": ["'full'", "'%d %B'", "attributes.a"], "date_hijri": ["'full'"],
    "currency": ["'IRR'", "'zzz'", "attributes.b"], "plural": ["'# one', '# many'", "one: 'x', other: '# y'"],
    "slice": ["0, 3", "-2"], "split": ["','", "''"], "join": ["', '"], "at_least": ["5"],
    "number": ["2", "attributes.a"],
}  # fmt: skip


@st.composite
def outputs(draw):
    chosen = draw(st.lists(st.sampled_from(sorted(PUBLIC)), max_size=3))
    calls = [f"{name}: {draw(st.sampled_from(arguments[name]))}" if name in arguments else name for name in chosen]
    calls = [call for call in calls if call.partition(":")[0] not in ("remove",) or ":" in call]
    end = draw(st.sampled_from(["x_html", "x_bdi", "x_attr", "x_text", "x_query"]))
    return "{{ " + " | ".join([draw(paths | literals), *calls, end]) + " }}"


@st.composite
def conditions(draw):
    operator = draw(st.sampled_from(["==", "!=", "<", "<=", ">", ">=", "contains", "and", "or", ""]))
    left = draw(paths)
    return f"{left} {operator} {draw(paths | literals)}" if operator else draw(st.sampled_from([left, f"not {left}"]))


BRANCHES = "{{% if {} %}}{}{{% elsif {} %}}{}{{% else %}}{}{{% endif %}}"
static = st.text("ab <&>سلام\n\u2068", max_size=6)
templates = st.recursive(
    static | outputs(),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map("".join),
        st.builds(BRANCHES.format, conditions(), inner, conditions(), inner, inner),
        st.builds("{{% unless {} %}}{}{{% else %}}{}{{% endunless %}}".format, conditions(), inner, inner),
        st.builds("{{%- if {} -%}} {} {{%- endif -%}}".format, conditions(), inner),
        st.builds((LINK + "7" + AFTER_NUMBER + "https://x.example/{}" + LINK_END).format, outputs()),
    ),
    max_leaves=8,
)


@given(templates, fields, st.sampled_from(["fa", "ar", "en"]), st.booleans())
def test_the_segment_program_says_what_the_engine_says(source, data, language, markup):
    program = compile_program(source, language, markup=markup)
    program = Program.model_validate_json(program.model_dump_json(exclude_defaults=True))
    scope = Scope(data, lambda number, url: f"https://t.example/{number}?{len(url)}")
    expected = finish(render_engine(parse(source, language), data), scope, markup)
    assert prepare(program, language)(scope) == expected


SIDES = [None, True, False, 0, 1, 1.0, 7.5, "", " ", "a", "ab", "1", [], ["a"], [1], {}, {"a": 1}]
WORDS = ["nil", "true", "false", "blank", "empty", "1", "7.5", "'a'", "''"]


@pytest.mark.parametrize("operator", ["==", "!=", "<", "<=", ">", ">=", "contains", "and", "or"])
def test_every_comparison_says_what_the_engine_says_for_every_kind_of_value(operator):
    sources = [f"first_name {operator} last_name", *[f"first_name {operator} {word}" for word in WORDS]]
    sources += [f"{word} {operator} first_name" for word in WORDS]
    for condition in sources:
        source = f"{{% if {condition} %}}yes{{% else %}}no{{% endif %}}"
        fill, template = prepare(compile_program(source, "en", markup=False), "en"), parse(source, "en")
        for data in ({"first_name": left, "last_name": right} for left in SIDES for right in SIDES):
            assert fill(Scope(data)) == render_engine(template, data), (condition, data)


@pytest.mark.parametrize(
    "source",
    [
        "{{ first_name | x_html }}",
        "{% if a == b and c contains 'x' or not d %}x{% elsif attributes.a < 3 %}{{ email | x_bdi }}{% endif %}",
        "{% unless first_name == blank %}x{% endunless %}",
        "{% comment %}no{% endcomment %}x",
    ],
)
def test_simple_templates_need_no_engine(source):
    assert compile_program(source, "en", markup=True).source is None


@pytest.mark.parametrize(
    "source",
    ["{% for a in attributes.list %}{{ a }}{% endfor %}", "{% assign a = 1 %}{{ a }}", "{{ attributes.list.first }}"],
)
def test_loops_and_assignments_go_to_the_engine(source):
    assert compile_program(source, "en", markup=True).source == source


RICH = compile_mail(
    MailSource.model_validate(
        {
            "subject": "{{ first_name | default: 'friend' | truncate: 12 }} {{ attributes.a | number }}",
            "preheader": "{{ attributes.b }}",
            "language": "fa",
            "html": (
                '<p title="{{ first_name }}" style="color:{{ attributes.a }}">{{ first_name }}'
                "{{ attributes.a | date_jalali }} {{ attributes.a | date_hijri: attributes.b }}"
                "{{ attributes.b | currency: attributes.c }}{{ email | date: last_name }}"
                '<a href="{{ attributes.a }}">x</a><a href="https://x.example/{{ last_name }}">y</a>'
                "{% for item in attributes.a %}{{ item }}{% assign z = item | plus: 1 %}{{ z }}{% endfor %}"
                "{% for n in (1..attributes.b) %}.{% endfor %}"
                "{% case attributes.c %}{% when 1 %}one{% when 'x' %}x{% endcase %}"
                "{% if attributes.a > attributes.b or attributes.c contains attributes.a %}"
                "{{ attributes.c | plural: 'a', 'b' }}{% endif %}"
                "{{ attributes.a[attributes.b] | round: attributes.c }}</p>"
            ),
            "text": "{{ first_name }} {{ attributes.a | join: attributes.b }} {{ unsubscribe_url }}",
        }
    )
)


@given(fields, st.sampled_from(["fa", "nope", ""]))
def test_render_is_total(data, variant):
    context = RenderContext(
        fields=data, unsubscribe_url="https://u.example/1", link=lambda n, url: url, pixel_url="https://p"
    )
    filled = render(RICH, variant, context)
    encoded = render_encoded(RICH, variant, context)
    assert filled.subject == encoded.subject
    assert "\n" not in filled.subject
    assert filled.html.endswith("</html>")
    assert "https://u.example/1" in filled.text
    assert encoded.html.isascii()
    assert not any("\ufdd0" <= character <= "\ufdef" for character in filled.html + filled.text + filled.subject)


def test_values_that_break_a_limit_leave_a_whole_mail():
    loops = "{% for n in (1..attributes.n) %}{% for m in (1..attributes.n) %}.{% endfor %}{% endfor %}"
    mail = compile_mail(MailSource.model_validate({"subject": "x", "html": f"<p>{loops}end"}))
    for much in (1000, float("inf"), float("nan")):
        assert "<p>end" in render(mail, "en", RenderContext(fields={"attributes": {"n": much}})).html
    assert "<p>....end" in render(mail, "en", RenderContext(fields={"attributes": {"n": 2}})).html
