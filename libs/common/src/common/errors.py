"""Errors that callers may see. `common.web.problems` turns them into problem documents (RFC 9457)."""

from typing import Any, ClassVar


class BaridError(Exception):
    """Base of the errors with a stable code. The class docstring's first line is the default message.

    `code` is stable and machine-readable; `params` carry the values a front end needs to translate the
    message; `mend` says how to put it right, `remedy` does when the raiser knows nothing better.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal"
    remedy: ClassVar[str | None] = None

    def __init__(self, message: str | None = None, *, mend: str | None = None, **params: Any) -> None:
        self.message = message or (type(self).__doc__ or "").strip().split("\n")[0]
        self.mend = mend or self.remedy
        self.params = params
        super().__init__(self.message)


class NotFound(BaridError):
    """There is no such thing in this workspace."""

    status = 404
    code = "not_found"
    remedy = "Check the id in a list of this workspace; what is deleted or another workspace's is not there"


class Conflict(BaridError):
    """The request contradicts the present state."""

    status = 409
    code = "conflict"
    remedy = "Read it again: its present state says what may be done"


class Invalid(BaridError):
    """The request's content is not acceptable."""

    status = 422
    code = "invalid"
    remedy = "Correct what `detail` and `errors` name, and send it again"


class BadRequest(BaridError):
    """The request cannot be understood."""

    status = 400
    code = "bad_request"
    remedy = "Correct what `detail` and `errors` name, and send it again"


class Unauthorized(BaridError):
    """A valid bearer token is needed."""

    status = 401
    code = "unauthorized"
    remedy = "Send `Authorization: Bearer <token>` with a valid token of this workspace"


class Forbidden(BaridError):
    """This role may not do that."""

    status = 403
    code = "forbidden"
    remedy = "Ask an owner of the workspace for a role or token that may"


class PreconditionFailed(BaridError):
    """If-Match names another version than the stored one; read it again and repeat the change."""

    status = 412
    code = "stale"
    remedy = "Read it again and repeat the change"


class TooLarge(BaridError):
    """The request is larger than allowed."""

    status = 413
    code = "too_large"
    remedy = "Send less at once"


class Unavailable(BaridError):
    """A part this needs is not there now; try again."""

    status = 503
    code = "unavailable"
    remedy = "Send it again after the seconds in Retry-After"


class Misconfigured(BaridError):
    """A setting is missing or wrong; the process cannot start."""

    code = "misconfigured"
