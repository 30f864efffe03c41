"""Search compares by fold(), in Python and in the database; the two must agree."""

import unicodedata

import pytest
from contacts.domain.folding import fold


def test_letter_forms_marks_and_digits_do_not_count():
    assert fold("كِتَابُ ٱلْأُسْبُوع ۱۲٣") == fold("کتاب الاسبوع 123")
    assert fold("می\u200cرود") == "میرود"
    assert fold("CAFÉ") == "café"


@pytest.mark.asyncio
async def test_fold_says_the_same_in_the_database(contacts_db):
    wanted = [chr(code) for code in range(0x20, 0x2FA0) if unicodedata.category(chr(code)) not in ("Cs", "Cn", "Co")]
    wanted += ["ΟΔΟΣ", "İSTANBUL", "كِتَابُ"]
    async with contacts_db.api.connection() as connection:
        rows = await connection.fetch("select c, fold(c) as folded from unnest($1::text[]) c", wanted)
    different = {row["c"]: row["folded"] for row in rows if row["folded"] != fold(row["c"])}
    assert different == {}
