"""Cells that a spreadsheet program would take for a formula (OWASP, CSV injection), and the way back."""

# Full-width forms too: some programs read them as the others. An apostrophe, so that the way back is unambiguous.
RISKY = frozenset("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20'")
MARK = "'"
# The first column of a file whose cells are guarded; the importer knows them by it.
GUARDED_ID = "id (guarded)"


def guarded(text: str) -> str:
    """The text with an apostrophe before it, if a program could run it."""
    return MARK + text if text[:1] in RISKY and text else text


def unguarded(text: str) -> str:
    """What was guarded; any other text as it is."""
    return text[1:] if text[:1] == MARK and text[1:2] in RISKY and len(text) > 1 else text
