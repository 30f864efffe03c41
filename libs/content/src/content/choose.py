"""Which language variant a recipient gets."""

from content.model import CompiledMail


def variant_for(mail: CompiledMail, language: str | None) -> str:
    """The variant's id: ar-EG → ar → any other Arabic → the default."""
    if not language:
        return mail.default
    tag = language.replace("_", "-").lower()
    known = {variant.language.replace("_", "-").lower(): variant.id for variant in reversed(mail.variants)}
    subtags = tag.split("-")
    for length in range(len(subtags), 0, -1):
        found = known.get("-".join(subtags[:length]))
        if found is not None:
            return found
    base = subtags[0]
    for variant in mail.variants:
        if variant.language.replace("_", "-").lower().split("-")[0] == base:
            return variant.id
    return mail.default
