"""The words that Barid itself puts into a mail, in the mail's language (English where it has none)."""

from typing import NamedTuple


class Wording(NamedTuple):
    """One language's words."""

    address: str
    unsubscribe: str


WORDING = {
    "en": Wording("Our postal address:", "Unsubscribe:"),
    "ar": Wording("عنواننا البريدي:", "لإلغاء الاشتراك:"),
    "fa": Wording("نشانی پستی ما:", "لغو عضویت:"),
}


def wording_for(language: str) -> Wording:
    """By the language without its region."""
    return WORDING.get(language.replace("_", "-").split("-")[0].lower(), WORDING["en"])
