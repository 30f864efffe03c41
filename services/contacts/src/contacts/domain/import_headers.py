"""What columns hold, by the headers of other systems' exports: which system wrote a file, and a mapping for it."""

import re
from collections.abc import Collection, Sequence

from contacts.domain import values
from contacts.domain.exports.spreadsheets import GUARDED_ID
from contacts.domain.folding import fold

# Headers that only this system's exports have together.
_SYSTEMS = {
    "hubspot": ("Record ID", "Contact owner", "Lead Status", "Marketing contact status", "Last Activity Date",
                "Create Date", "Associated Company", "Country/Region", "Lifecycle Stage"),
    "salesforce": ("Contact ID", "Account Name", "Mailing Street", "Mailing City", "Mailing Country",
                   "Mailing State/Province", "Salutation", "AccountId", "MailingCity", "MailingCountry",
                   "HasOptedOutOfEmail", "LeadSource", "Email Opt Out"),
    "zoho": ("Record Id", "Contact Owner", "Lead Source", "Account Name", "Email Opt Out", "Created Time",
             "Modified Time", "Tag", "Mailing City", "Other City"),
    "mailchimp": ("Email Address", "MEMBER_RATING", "OPTIN_TIME", "OPTIN_IP", "CONFIRM_TIME", "CONFIRM_IP", "LEID",
                  "EUID", "GMTOFF", "DSTOFF", "CC", "TAGS", "UNSUB_TIME"),
    "google": ("E-mail 1 - Value", "E-mail 1 - Label", "E-mail 1 - Type", "Phone 1 - Value", "Organization Name",
               "Given Name", "Family Name", "Group Membership", "Phonetic First Name", "Address 1 - City"),
    "outlook": ("E-mail Address", "E-mail 2 Address", "Business Phone", "Mobile Phone", "Business City",
                "Home City", "Business Country/Region", "E-mail Display Name", "Web Page"),
}  # fmt: skip

# By target, the likelier one first.
_WORDS = {
    "email": ("Email", "E-mail", "Email Address", "E-mail Address", "E-mail 1 - Value", "Mail", "Work Email",
              "Business Email", "Primary Email", "البريد الإلكتروني", "بريد إلكتروني", "الإيميل", "ایمیل",
              "پست الکترونیک", "پست الکترونیکی", "نشانی ایمیل", "آدرس ایمیل", "رایانامه"),
    "first_name": ("First Name", "Firstname", "Given Name", "Forename", "FNAME", "الاسم الأول", "الاسم", "نام"),
    "last_name": ("Last Name", "Lastname", "Family Name", "Surname", "LNAME", "اسم العائلة", "الاسم الأخير", "العائلة",
                  "اللقب", "نام خانوادگی", "فامیلی"),
    "language": ("Language", "Preferred Language", "Locale", "Lang", "اللغة", "زبان"),
    "timezone": ("Timezone", "Time Zone", "المنطقة الزمنية", "منطقه زمانی"),
    "country": ("Country Code", "CC", "Country", "Country/Region", "Mailing Country", "MailingCountry",
                "Business Country/Region", "Address 1 - Country", "Home Country/Region", "البلد", "الدولة",
                "رمز الدولة", "کشور"),
    "external_id": ("External ID", "Record ID", "Contact ID", "Customer ID", "CRM ID", "EUID", "المعرف", "رقم العميل",
                    "شناسه", "کد مشتری"),
    "tags": ("Tags", "Tag", "Labels", "Group Membership", "Categories", "الوسوم", "برچسب", "برچسب ها"),
    "phone": ("Phone", "Phone Number", "Mobile", "Mobile Phone", "Mobile Phone Number", "Phone 1 - Value",
              "Business Phone", "Telephone", "الهاتف", "رقم الهاتف", "الجوال", "رقم الجوال", "المحمول", "تلفن",
              "شماره تلفن", "موبایل", "تلفن همراه"),
    "company": ("Company", "Company Name", "Account Name", "Associated Company", "Organization Name", "Organisation",
                "Organization", "الشركة", "المؤسسة", "اسم الشركة", "شرکت", "نام شرکت", "سازمان"),
    "city": ("City", "Mailing City", "MailingCity", "Business City", "Home City", "Address 1 - City", "Town",
             "المدينة", "شهر"),
    "stage": ("Lifecycle Stage",),
}  # fmt: skip

_OPTED_OUT = ("Email Opt Out", "HasOptedOutOfEmail", "Unsubscribed from all email", "UNSUB_TIME", "Opted Out",
              "Unsubscribed", "Opt Out", "Do Not Email")  # fmt: skip


def plain(header: str) -> str:
    """A header without case, marks and letter forms."""
    return re.sub(r"[\W_]+", "", fold(header))


_TARGETS = {plain(word): (target, rank) for target, words in _WORDS.items() for rank, word in enumerate(words)}
_OUT = frozenset(map(plain, _OPTED_OUT))


def system(columns: Sequence[str]) -> str | None:
    """Which system's export this is, if at least three of its own headers are there; `barid` for ours."""
    if columns and columns[0] in ("id", GUARDED_ID) and "email" in columns:
        return "barid"
    given = {column.strip() for column in columns}
    found = {name: sum(header in given for header in headers) for name, headers in _SYSTEMS.items()}
    best = max(found, key=lambda name: found[name])
    return best if found[best] >= 3 else None


def opted_out(columns: Sequence[str]) -> list[str]:
    """The columns that say who left."""
    return [column for column in columns if plain(column) in _OUT]


def suggest(
    columns: Sequence[str], fields: Collection[str], known: Collection[str], *, create_attributes: bool
) -> dict[str, str]:
    """A mapping for these columns: to fields, to known attributes, and with `create_attributes` to new ones."""
    ours = system(columns) == "barid"
    best: dict[str, tuple[int, str]] = {}
    for column in columns:
        target, rank = _TARGETS.get(plain(column), ("", 0)) if column else ("", 0)
        if ours and column in fields:
            target, rank = column, 0  # `owner`, say, is a member's id in our own files alone
        if target in fields and (target not in best or rank < best[target][0]):
            best[target] = (rank, column)
    chosen = {column: target for target, (_, column) in best.items()}
    mapping: dict[str, str] = {}
    taken: set[str] = set(chosen.values())
    for column in columns:
        if ours and column not in chosen and not column.startswith("attributes."):
            continue  # what no file sets: scores, dates, and consents, which need a record of their own
        wanted = chosen.get(column) or _attribute(column, fields, known, create_attributes=create_attributes)
        if column and wanted and (column in chosen or wanted not in taken):
            mapping[column] = wanted
            taken.add(wanted)
    return mapping


def _attribute(column: str, fields: Collection[str], known: Collection[str], *, create_attributes: bool) -> str | None:
    named = column.strip().removeprefix("attributes.")
    own = re.sub(r"\W+", "_", named.lower()).strip("_")[:63]
    word = _TARGETS.get(plain(column), ("", 0))[0]
    for name in (named, own, word):
        if name in known:
            return f"attributes.{name}"
    new = own if not word or word in fields else word
    return f"attributes.{new}" if create_attributes and values.is_attribute_name(new) else None
