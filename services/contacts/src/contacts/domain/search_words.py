"""Words as search compares them, and which of them a misspelt one may have been meant for.

Misspelt words are found by symmetric deletion: two words that differ by an error become equal when a letter is left out
of one or both (W. Garbe's SymSpell). The hashes of such leavings are looked up like any key.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from itertools import pairwise
from uuid import UUID
from zlib import crc32

from contacts.domain.folding import fold

MOST_OF_CONTACT = 24
MOST_LETTERS = 40
_SHORT = 3  # shorter words would be taken for each other
_WORD = re.compile(r"[^\W_]+")
_ACCENTS = re.compile("[\u0300-\u036f]+")
_JOINERS = re.compile("[\u200c\u200d]+")
# Letters with a stroke, and two in one, are no letter with an accent to Unicode.
_STROKES = str.maketrans({"ı": "i", "ø": "o", "ł": "l", "đ": "d", "ß": "ss", "æ": "ae", "œ": "oe"})

EXACT, BEGINS, MISSPELT = 1.0, 0.8, 0.6


def words_of(texts: Iterable[str | None], most: int = MOST_OF_CONTACT) -> list[str]:
    """The words in these texts, folded, each once. Accents of Latin letters do not count."""
    found = (word[:MOST_LETTERS] for text in texts if text for word in _WORD.findall(_bare(text)))
    return list(dict.fromkeys(found))[:most]


def words_of_person(names: Iterable[str | None], others: Iterable[str | None]) -> list[str]:
    """What somebody is found by.

    A name that a joiner holds together is found by its parts too (علی‌رضا), and one that is written apart as if it
    were not: which of these is right, people do not agree on.
    """
    names = list(names)
    apart = [words_of([_JOINERS.sub(" ", name)]) for name in names if name]
    joined = (one + two for parts in apart for one, two in pairwise(parts))
    return words_of([*names, *others, *(part for parts in apart for part in parts), *joined])


def near(workspace_id: UUID, word: str) -> list[int]:
    """Hashes that the word shares with words it may be mistaken for, in this workspace alone."""
    salt = workspace_id.bytes
    return sorted({crc32(salt + left.encode()) - 2**31 for left in _leavings(word)})


def likeness(asked: str, word: str) -> float:
    """How well a word answers another: 1 the same, 0 not at all."""
    if word == asked:
        return EXACT
    if word.startswith(asked):
        return BEGINS
    return MISSPELT if min(len(asked), len(word)) >= _SHORT and _one_error(asked, word) else 0.0


def _bare(text: str) -> str:
    folded = fold(text)
    if folded.isascii():
        return folded
    plain = _ACCENTS.sub("", unicodedata.normalize("NFKD", folded))
    return fold(unicodedata.normalize("NFC", plain)).translate(_STROKES)


def _leavings(word: str) -> Iterator[str]:
    yield word
    if len(word) >= _SHORT - 1:
        for at in range(len(word)):
            yield word[:at] + word[at + 1 :]


def _one_error(one: str, other: str) -> bool:
    """Whether a letter was left out, added or replaced, or two neighbours swapped."""
    if len(one) > len(other):
        one, other = other, one
    if len(other) - len(one) > 1:
        return False
    at = next((n for n, (left, right) in enumerate(zip(one, other, strict=False)) if left != right), len(one))
    if len(one) < len(other):
        return one[at:] == other[at + 1 :]
    swapped = one[:at] + one[at : at + 2][::-1] + one[at + 2 :]
    return one[at + 1 :] == other[at + 1 :] or swapped == other
