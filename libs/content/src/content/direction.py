"""Which way a language is written."""

import re
from typing import Literal

RTL_LANGUAGES = frozenset(
    {"ar", "fa", "he", "iw", "ur", "ps", "ckb", "sd", "ug", "yi", "ji", "dv", "syr", "prs", "azb", "arc"}
)
RTL_SCRIPTS = frozenset({"arab", "hebr", "syrc", "thaa", "nkoo", "rohg", "adlm"})

FIRST_STRONG_ISOLATE = "\u2068"
POP_ISOLATE = "\u2069"
_STRONG_RTL = re.compile(
    "[\u0590-\u08ff\ufb1d-\ufdcf\ufdf0-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]"
)
# LRE, RLE, PDF, LRO, RLO, and LRI, RLI, FSI, PDI: all that Unicode has of them (UAX #9, 2).
_STRAY = re.compile("[\u202a-\u202e\u2066-\u2069]")


def language_direction(language: str) -> Literal["ltr", "rtl"]:
    """By the script when the tag names one (az-Arab), else by the language."""
    first, *rest = language.replace("_", "-").lower().split("-")
    for subtag in rest:
        if len(subtag) == 4 and subtag.isalpha():
            return "rtl" if subtag in RTL_SCRIPTS else "ltr"
    return "rtl" if first in RTL_LANGUAGES else "ltr"


def has_rtl(text: str) -> bool:
    """Whether any character of the text is strongly right-to-left."""
    return not text.isascii() and _STRONG_RTL.search(text) is not None


def isolate(text: str) -> str:
    """The text between U+2068 and U+2069: neighbours' order cannot reach in, nor the text's out."""
    return f"{FIRST_STRONG_ISOLATE}{text}{POP_ISOLATE}" if text else ""


def balanced(text: str) -> str:
    """The text without stray bidi embeddings, overrides and isolates, which could turn around what follows."""
    return text if text.isascii() else _STRAY.sub("", text)
