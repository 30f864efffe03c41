"""Telephone numbers: as people type them, and as they can be called from everywhere (E.164)."""

from functools import lru_cache

import phonenumbers

from contacts.domain.values import WrongValue

PHONE_CHARACTERS = 60
_FEWEST_DIGITS = 3
_PLUS = ("+", "＋", "00", "٠٠", "۰۰")

# Where people live whose workspace has this time zone: only zones that lie in one country.
_REGIONS = {
    "Africa/Algiers": "DZ", "Africa/Cairo": "EG", "Africa/Casablanca": "MA", "Africa/Johannesburg": "ZA",
    "Africa/Khartoum": "SD", "Africa/Lagos": "NG", "Africa/Nairobi": "KE", "Africa/Tripoli": "LY",
    "Africa/Tunis": "TN", "America/Sao_Paulo": "BR", "Asia/Aden": "YE", "Asia/Amman": "JO", "Asia/Baghdad": "IQ",
    "Asia/Bahrain": "BH", "Asia/Baku": "AZ", "Asia/Beirut": "LB", "Asia/Damascus": "SY", "Asia/Dubai": "AE",
    "Asia/Dushanbe": "TJ", "Asia/Gaza": "PS", "Asia/Hebron": "PS", "Asia/Istanbul": "TR", "Asia/Kabul": "AF",
    "Asia/Karachi": "PK", "Asia/Kolkata": "IN", "Asia/Kuwait": "KW", "Asia/Muscat": "OM", "Asia/Qatar": "QA",
    "Asia/Riyadh": "SA", "Asia/Singapore": "SG", "Asia/Tbilisi": "GE", "Asia/Tehran": "IR", "Asia/Tokyo": "JP",
    "Asia/Yerevan": "AM", "Europe/Amsterdam": "NL", "Europe/Athens": "GR", "Europe/Berlin": "DE",
    "Europe/Brussels": "BE", "Europe/Bucharest": "RO", "Europe/Budapest": "HU", "Europe/Copenhagen": "DK",
    "Europe/Dublin": "IE", "Europe/Helsinki": "FI", "Europe/Istanbul": "TR", "Europe/Kyiv": "UA",
    "Europe/Lisbon": "PT", "Europe/London": "GB", "Europe/Madrid": "ES", "Europe/Moscow": "RU", "Europe/Oslo": "NO",
    "Europe/Paris": "FR", "Europe/Prague": "CZ", "Europe/Rome": "IT", "Europe/Sofia": "BG", "Europe/Stockholm": "SE",
    "Europe/Vienna": "AT", "Europe/Warsaw": "PL", "Europe/Zurich": "CH",
}  # fmt: skip


def region_of(time_zone: str | None) -> str | None:
    """The country whose numbers need no prefix in a workspace of this time zone, if there is one."""
    return _REGIONS.get(time_zone or "")


@lru_cache(maxsize=10_000)
def normalise(text: str, region: str | None) -> str | None:
    """A number as ITU-T E.164 writes it; None if nobody could call it.

    `region`: the country (ISO 3166-1) of numbers that name none. Digits of any script count.
    """
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    # With a prefix somebody meant a number; without one it may be an extension. New ranges come before our tables.
    right = phonenumbers.is_possible_number if text.lstrip().startswith(_PLUS) else phonenumbers.is_valid_number
    if not right(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def country_of(normalised: str) -> str | None:
    """The country a number in E.164 belongs to; None where several share the prefix and the number does not tell."""
    region = phonenumbers.region_code_for_number(phonenumbers.parse(normalised))
    return region if region and region.isalpha() else None


def check(text: str) -> str:
    """A number as somebody types it, in whatever spelling. Raises WrongValue for what is none."""
    text = text.strip()
    if len(text) > PHONE_CHARACTERS or sum(map(str.isdigit, text)) < _FEWEST_DIGITS:
        raise WrongValue(f"{text[:40]!r} is not a telephone number, like +98 21 1234 5678")
    if text.startswith(_PLUS[:2]) and normalise(text, None) is None:
        raise WrongValue(f"{text[:40]!r} is not a number that exists in the country of its prefix")
    return text
