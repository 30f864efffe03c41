"""Write contacts.csv: the readers of a bookshop in three languages, as messy as a real export is.

Usage: python examples/make_contacts.py > examples/contacts.csv

The same bytes each time. Some rows are doubled in another spelling of the address, some have no usable address,
names hold joiners and both kinds of ye and kaf, numbers are missing, cells hold commas, quotes and line breaks.
"""

import csv
import random
import sys

ROWS = 300
PEOPLE = {
    "fa": {
        "first": ["علی", "زهرا", "رضا", "مریم", "حسین", "سارا", "کیان", "نیلوفر", "آرش", "پریسا", "امیر‌حسین", "نگین"],
        "last": ["محمدی", "حسینی", "کریمی", "رضایی", "یوسفی", "نوری‌زاده", "تهرانی", "شیرازی"],
        "places": [("تهران", "IR"), ("اصفهان", "IR"), ("شیراز", "IR"), ("مشهد", "IR"), ("کابل", "AF")],
        "login": ["ali", "zahra", "reza", "maryam", "hossein", "sara", "kian", "niloofar", "arash", "parisa"],
    },
    "ar": {
        "first": ["محمد", "فاطمة", "أحمد", "مريم", "خالد", "نورة", "يوسف", "ليلى", "عبدالله", "هدى", "عمر", "سلمى"],
        "last": ["العتيبي", "الحسيني", "القحطاني", "المنصوري", "الخطيب", "بن علي", "الشامي"],
        "places": [("الرياض", "SA"), ("دبي", "AE"), ("القاهرة", "EG"), ("الدوحة", "QA"), ("عمّان", "JO")],
        "login": ["mohammed", "fatima", "ahmad", "mariam", "khaled", "noura", "yousef", "layla", "abdullah", "huda"],
    },
    "en": {
        "first": ["Olivia", "James", "Amelia", "Noah", "Sofia", "Lucas", "Zoë", "Renée", "Jürgen", "Łukasz", "Siobhán"],
        "last": ["O'Neill", "Smith", "García", "Müller", "Nowak", "Lee", "van der Berg", "D'Angelo"],
        "places": [("London", "GB"), ("Berlin", "DE"), ("Madrid", "ES"), ("Toronto", "CA"), ("Dublin", "IE")],
        "login": ["olivia", "james", "amelia", "noah", "sofia", "lucas", "zoe", "renee", "jurgen", "siobhan"],
    },
}
DOMAINS = ["example.com", "example.org", "example.net", "mail.example", "کتاب.example", "bücher.example"]
NOTES = ["", "", "", "met at the book fair", 'wants "The Little Prince"', "خط اول\nخط دوم", "يفضّل الرسائل", "=1+1"]
UNUSABLE = ["", "no address", "name@", "@example.com", "two@@example.com", "dot..dot@example", "a b@example.com"]
HEADER = ["Email", "First Name", "Last Name", "City", "Country", "Language", "Points", "Last Visit", "Notes"]


def person(r: random.Random, number: int) -> list[str]:
    """One row with a good address."""
    language = r.choices(["fa", "ar", "en"], [4, 3, 3])[0]
    people = PEOPLE[language]
    city, country = r.choice(people["places"])
    first = r.choice(people["first"])
    if language == "fa" and r.random() < 0.15:  # typed on an Arabic keyboard
        first = first.replace("ی", "ي").replace("ک", "ك")
    return [
        f"{r.choice(people['login'])}.{number}@{r.choice(DOMAINS)}",
        "" if r.random() < 0.05 else first,
        r.choice(people["last"]),
        "" if r.random() < 0.06 else city,
        country,
        language,
        "" if r.random() < 0.3 else str(r.choice([1, 2, 3, 11, 25, 100, 480, 1250])),
        f"2026-{r.randint(1, 10):02d}-{r.randint(1, 28):02d}",
        r.choice(NOTES),
    ]


def main() -> None:
    """Write the rows to standard output."""
    r = random.Random(1404)  # noqa: S311
    rows: list[list[str]] = []
    for number in range(ROWS):
        dice = r.random()
        row = person(r, number)
        if dice < 0.02:
            row[0] = r.choice(UNUSABLE)
        elif dice < 0.06 and rows:
            address = r.choice([other[0] for other in rows if "@example" in other[0]])
            row[0] = r.choice([address.upper(), f"  {address} ", f"\u200b{address}", address.capitalize()])
        rows.append(row)
    writer = csv.writer(sys.stdout, lineterminator="\r\n")
    writer.writerow(HEADER)
    writer.writerows(rows)


if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8-sig", newline="")
    main()
