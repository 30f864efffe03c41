"""Which of our languages a person reads."""

from collections.abc import Collection
from typing import Literal, get_args

Language = Literal["en", "ar", "fa"]
LANGUAGES: tuple[Language, ...] = get_args(Language)
DIRECTIONS: dict[Language, Literal["ltr", "rtl"]] = {"en": "ltr", "ar": "rtl", "fa": "rtl"}


def known(tag: str | None, among: Collection[Language] = LANGUAGES) -> Language | None:
    """The language of a tag (BCP 47), if it is one of those."""
    base = (tag or "").replace("_", "-").split("-")[0].lower()
    return next((one for one in LANGUAGES if one == base and one in among), None)


def accepted(header: str, among: Collection[Language] = LANGUAGES) -> Language | None:
    """The best of those for an Accept-Language header (RFC 9110, section 12.5.4)."""
    best: Language | None = None
    quality = 0.0
    for part in header.split(",")[:20]:
        tag, _, parameters = part.strip().partition(";")
        try:
            weight = float(parameters.strip().removeprefix("q=") or 1)
        except ValueError:
            weight = 0.0
        language = known(tag, among)
        if language is not None and weight > quality:
            best, quality = language, weight
    return best
