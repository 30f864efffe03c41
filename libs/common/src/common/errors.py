"""Errors that callers may see. `common.web.problems` turns them into problem documents (RFC 9457)."""

from typing import Any, ClassVar


class BaridError(Exception):
    """Base of the errors with a stable code. The class docstring's first line is the default message.

    `code` is stable and machine-readable; `params` carry the values a front end needs to translate the
    message; `mend` says how to put it right.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal"

    def __init__(self, message: str | None = None, *, mend: str | None = None, **params: Any) -> None:
        self.message = message or (type(self).__doc__ or "").strip().split("\n")[0]
        self.mend = mend
        self.params = params
        super().__init__(self.message)


class NotFound(BaridError):
    """There is no such thing in this workspace."""

    status = 404
    code = "not_found"


class Conflict(BaridError):
    """The request contradicts the present state."""

    status = 409
    code = "conflict"


class Invalid(BaridError):
    """The request's content is not acceptable."""

    status = 422
    code = "invalid"


class BadRequest(BaridError):
    """The request cannot be understood."""

    status = 400
    code = "bad_request"


class Unauthorized(BaridError):
    """A valid bearer token is needed."""

    status = 401
    code = "unauthorized"


class Forbidden(BaridError):
    """This role may not do that."""

    status = 403
    code = "forbidden"


class PreconditionFailed(BaridError):
    """If-Match names another version than the stored one; read it again and repeat the change."""

    status = 412
    code = "stale"


class TooLarge(BaridError):
    """The request is larger than allowed."""

    status = 413
    code = "too_large"


class Unavailable(BaridError):
    """A part this needs is not there now; try again."""

    status = 503
    code = "unavailable"


class Misconfigured(BaridError):
    """A setting is missing or wrong; the process cannot start."""

    code = "misconfigured"
