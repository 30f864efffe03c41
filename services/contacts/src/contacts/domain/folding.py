"""What search compares: case, diacritics, tatweel, joiners, letter forms and digits do not count.

The database's function fold() says the same.
"""

_FROM = "يىئكةۀأإآٱؤ" + "٠١٢٣٤٥٦٧٨٩۰۱۲۳۴۵۶۷۸۹"
_TO = "یییکههااااو" + "01234567890123456789"
_GONE = "ًٌٍَُِّْٰـ\u0653\u0654\u0655\u200c\u200d\u200e\u200f\u061c"
_TABLE = str.maketrans(_FROM, _TO, _GONE)
# The database lowers letter by letter; Python looks at their neighbours.
_LETTERS = str.maketrans("İΣ", "iσ")


def fold(text: str) -> str:
    """The text as search sees it."""
    return text.translate(_LETTERS).lower().translate(_TABLE)
