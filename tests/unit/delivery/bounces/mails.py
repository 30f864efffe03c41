"""Writing a mail in a test, and reading who is judged."""

from textwrap import dedent

from delivery.domain.bounces import classify_mail


def mail(text: str) -> bytes:
    """The text as it is written in a test, as bytes of a mail."""
    return dedent(text).lstrip("\n").replace("\n", "\r\n").encode()


def judged(text: str) -> list[tuple[str, str, str]]:
    """Recipient, kind and reason, in the order of the mail."""
    return [(one.recipient, one.kind, one.reason) for one in classify_mail(mail(text))]
