import pytest
from common.errors import PreconditionFailed
from common.web.etags import etag, merge_patch, require_match
from hypothesis import given
from hypothesis import strategies as st

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=10,
)


@pytest.mark.parametrize("header", [None, "*", '"r7"', '"r6", "r7"', ' "r7" '])
def test_a_matching_etag_lets_the_change_through(header: str | None) -> None:
    require_match(header, 7)


@pytest.mark.parametrize("header", ['"r6"', 'W/"r7"', "r7", "", '"r77"', '"R7"'])
def test_a_stale_or_weak_etag_is_412(header: str) -> None:
    with pytest.raises(PreconditionFailed) as caught:
        require_match(header, 7)

    assert (caught.value.status, caught.value.code) == (412, "stale")


def test_revisions_have_different_etags() -> None:
    assert etag(1) != etag(11)


# RFC 7396, appendix A.
@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_patch_follows_the_rfc(target: object, patch: object, result: object) -> None:
    assert merge_patch(target, patch) == result


@given(JSON, JSON)
def test_merging_twice_is_merging_once(target: object, patch: object) -> None:
    once = merge_patch(target, patch)
    assert merge_patch(once, patch) == once


@given(st.dictionaries(st.text(max_size=3), JSON, max_size=3))
def test_an_empty_patch_changes_nothing(target: dict[str, object]) -> None:
    assert merge_patch(target, {}) == target
