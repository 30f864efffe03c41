"""Which words a misspelt one may stand for."""

from uuid import UUID

from contacts.domain.search_words import EXACT, likeness, near, words_of, words_of_person
from hypothesis import given
from hypothesis import strategies as st

SHOP, OTHER = UUID(int=1), UUID(int=2)
LETTERS = "abcdکیمر"
words = st.text(LETTERS, min_size=1, max_size=11)


def slips(word: str, place: int, letter: str, kind: str) -> str:
    """The word with one letter left out, added or replaced, or two swapped."""
    at = place % len(word)
    if kind == "out":
        return word[:at] + word[at + 1 :]
    if kind == "added":
        return word[:at] + letter + word[at:]
    if kind == "replaced":
        return word[:at] + letter + word[at + 1 :]
    return word[:at] + word[at : at + 2][::-1] + word[at + 2 :]


slip = st.tuples(st.integers(0, 20), st.sampled_from(LETTERS), st.sampled_from(["out", "added", "replaced", "swapped"]))


@given(words, slip)
def test_a_word_with_one_error_shares_a_hash_with_the_right_one_and_is_like_it(word, error):
    wrong = slips(word, *error)
    if min(len(word), len(wrong)) >= 3:
        assert set(near(SHOP, word)) & set(near(SHOP, wrong))
        assert likeness(wrong, word) > 0
        assert likeness(word, wrong) > 0


@given(words, words)
def test_words_that_are_like_each_other_share_a_hash_or_a_beginning(asked, word):
    if likeness(asked, word) and not word.startswith(asked):
        assert set(near(SHOP, asked)) & set(near(SHOP, word))


@given(words, words)
def test_only_the_same_word_is_the_same(one, other):
    assert (likeness(one, other) == EXACT) == (one == other)


def test_the_same_word_has_other_hashes_in_another_workspace():
    assert not set(near(SHOP, "karimi")) & set(near(OTHER, "karimi"))


def test_words_are_folded_cut_and_each_is_there_once():
    assert words_of(["Ann-Marie O'Neill", None, "ANN", "علي ٣", "x" * 50]) == [
        "ann", "marie", "o", "neill", "علی", "3", "x" * 40
    ]  # fmt: skip
    assert words_of(["می‌خواهم"]) == ["میخواهم"]
    assert len(words_of([" ".join(map(str, range(100)))])) == 24


def test_accents_do_not_count_in_any_way_of_writing_them():
    for text in ("José Müller", "Jose\u0301 Mu\u0308ller", "JOSE MULLER"):
        assert words_of([text]) == ["jose", "muller"]
    assert words_of(["Łukasz Straße Ømer"]) == ["lukasz", "strasse", "omer"]
    assert words_of(["مؤمنی", "أحمد", "مُحَمَّد"]) == ["مومنی", "احمد", "محمد"]


def test_a_name_is_found_joined_and_apart():
    for name in ("علی\u200cرضا", "علی رضا"):
        assert {"علی", "رضا", "علیرضا"} <= set(words_of_person([name, "کریمی"], ["تهران", None]))
    assert words_of_person([None, None], ["Silk Road"]) == ["silk", "road"]
