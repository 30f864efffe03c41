"""Strong ETags from a revision (RFC 9110 §8.8), If-Match, and JSON merge patch (RFC 7396)."""

from typing import Annotated, Any

from fastapi import Header, Response

from common.errors import PreconditionFailed

IfMatch = Annotated[str | None, Header(alias="If-Match", description="the ETag this change is based on")]


def etag(revision: int) -> str:
    """The strong ETag of a revision."""
    return f'"r{revision}"'


def set_etag(response: Response, revision: int) -> None:
    """Send the revision's ETag with the answer."""
    response.headers["ETag"] = etag(revision)


def require_match(if_match: str | None, revision: int) -> None:
    """Raises PreconditionFailed (412 `stale`) if the caller's ETag is not this revision's. No header: no condition.

    Call it with the row locked.
    """
    if if_match is None or if_match.strip() == "*":
        return
    if etag(revision) not in {candidate.strip() for candidate in if_match.split(",")}:
        raise PreconditionFailed(mend="Read it again and repeat the change", revision=revision)


def merge_patch(target: Any, patch: Any) -> Any:
    """The target with the patch applied: null removes, objects merge, anything else replaces (RFC 7396)."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged
