"""What is wrong with a mail's content, told so that its author can mend it."""


class ContentError(ValueError):
    """The content cannot be compiled.

    `code` is stable; `where` names variant and part ("variant fa, html"); `mend` says how to put it right; `told` says
    the place and what is wrong there.
    """

    def __init__(
        self,
        where: str,
        line: int | None,
        message: str,
        mend: str = "",
        *,
        code: str = "content_invalid",
        variant: str | None = None,
        part: str | None = None,
    ) -> None:
        self.where = where
        self.line = line
        self.message = message
        self.mend = mend
        self.code = code
        self.variant = variant
        self.part = part
        place = f"{where}, line {line}" if line else where
        self.told = f"{place}: {message}"
        super().__init__(self.told + (f" {mend}" if mend else ""))

    @property
    def params(self) -> dict[str, str | int | None]:
        """What a front end needs to show the place."""
        return {
            "where": self.where, "line": self.line, "reason": self.code, "variant": self.variant, "part": self.part,
        }  # fmt: skip


def at(variant: str, part: str, line: int | None, message: str, mend: str = "", *, code: str) -> ContentError:
    """An error in one part (subject, preheader, html, mjml, text) of one variant."""
    return ContentError(f"variant {variant}, {part}", line, message, mend, code=code, variant=variant, part=part)
