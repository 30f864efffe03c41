"""What harms a single mail on its way, said when it is asked for: it is filled for each recipient, as a mailer will."""

from collections.abc import Iterator, Sequence
from typing import Any

from common.contracts.campaigns import RequestedRecipient
from content.choose import variant_for
from content.compile import CLIPPED, is_clipped
from content.errors import ContentError
from content.model import CompiledMail
from content.render import RenderContext, render, render_encoded, shows
from pydantic import BaseModel, Field

from delivery.use_cases.composing import fields_of

# About as long as a mailer's.
_LINK = "https://mail.invalid/u/" + "x" * 160
_OF_RECIPIENTS = {
    "subject_empty": "The subject is empty once it is filled for these recipients: they will not be sent the mail.",
    "content_empty": "Nothing of the mail is left once it is filled for these recipients: they will not be sent it.",
    "content_unfillable": "The content cannot be filled for these recipients: they will not be sent the mail.",
    "html_clipped": CLIPPED,
}


class MailWarning(BaseModel):
    """`code` is stable; `params` name the recipients (`to`, from 0), or the variant and part of the content."""

    code: str
    message: str
    params: dict[str, Any] = Field(default_factory=dict)


def warnings(mail: CompiledMail, recipients: Sequence[RequestedRecipient]) -> list[MailWarning]:
    """What the author should know, of the content and of these recipients."""
    found: dict[str, list[int]] = {}
    for n, recipient in enumerate(recipients):
        for code in _codes(mail, recipient):
            found.setdefault(code, []).append(n)
    of_content = [
        MailWarning(code=one.code, message=one.message, params={"variant": one.variant, "part": one.part})
        for one in mail.warnings
        if one.code not in _OF_RECIPIENTS  # the compiler can only guess at these
    ]
    return of_content + [
        MailWarning(code=code, message=_OF_RECIPIENTS[code], params={"to": to}) for code, to in found.items()
    ]


def _codes(mail: CompiledMail, recipient: RequestedRecipient) -> Iterator[str]:
    variant = variant_for(mail, recipient.language)
    fields = fields_of(recipient.fields, recipient.email, recipient.language)
    context = RenderContext(fields, _LINK, _LINK, _LINK)
    try:
        encoded = render_encoded(mail, variant, context)
        html = render(mail, variant, context).html
    except ContentError:
        yield "content_unfillable"
        return
    if not shows(encoded.subject):
        yield "subject_empty"
    if encoded.blank:
        yield "content_empty"
    if html is not None and is_clipped(html):
        yield "html_clipped"
