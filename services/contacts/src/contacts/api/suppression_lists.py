"""`/v1/suppressions/file`: whole lists of suppressions, plain or hashed, in and out."""

from typing import Annotated, Literal

from common.web.problems import problems
from common.web.route import Caller, Db, allow, own_transaction, service_router
from fastapi import Form, UploadFile
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from contacts.api.deps import ActingCaller, AddressReader
from contacts.api.schemas import Time
from contacts.db.suppression_lists import known_as
from contacts.domain.suppression_files import ListKind
from contacts.errors import InvalidField, TooManyRows
from contacts.use_cases.import_problems import FILE_PROBLEMS
from contacts.use_cases.suppression_lists import stream_list, take_list

router = service_router("/suppressions/file", "suppressions")

MAX_BYTES = 32 * 1024**2


class RejectedEntry(BaseModel):
    """A row that could not be taken."""

    row: int
    message: str


class ListTaken(BaseModel):
    """What became of the list."""

    read: int
    added: int = Field(description="what was not suppressed before, or not for so long; of digests, contacts")
    rejected: int
    rejects: list[RejectedEntry] = Field(description="the first hundred")


@router.post(
    "",
    max_body_size=MAX_BYTES,
    dependencies=[allow("suppressions:write")],
    responses=problems(*FILE_PROBLEMS, TooManyRows),
)
@own_transaction
async def import_suppressions(
    file: UploadFile,
    db: Db,
    caller: Caller,
    actor: ActingCaller,
    addresses: AddressReader,
    kind: Annotated[ListKind, Form(description="what the first cell of each row is")],
    reason: Annotated[str, Form(pattern=r"^[a-z][a-z0-9_]{0,39}$")] = "list",
    expires_at: Annotated[Time | None, Form()] = None,
) -> ListTaken:
    """Suppress all that a file names: up to 100,000 rows of addresses, domains, or hashes of lower-case addresses.

    A hash of somebody who is not here yet is kept, and suppresses them when they come.
    """
    async with db.transaction(caller.workspace_id) as tx:
        taken = await take_list(tx, caller.workspace_id, file.file, kind, reason, expires_at, addresses, actor.name)
    rejects = [RejectedEntry(row=one.row, message=one.message) for one in taken.rejects]
    return ListTaken(read=taken.read, added=taken.added, rejected=taken.rejected, rejects=rejects)


@router.get(
    "",
    dependencies=[allow("exports:read")],
    response_class=StreamingResponse,
    responses={**problems(InvalidField), 200: {"content": {"text/csv": {}}}},
)
@own_transaction
async def export_suppressions(
    db: Db,
    caller: Caller,
    scope: Literal["address", "domain"] = "address",
    form: Literal["plain", "sha256", "md5", "keyed"] = "keyed",
) -> StreamingResponse:
    """The active suppressions as CSV. Only keyed hashes are stored: other forms need a contact that is still here."""
    if not known_as(scope, form):
        raise InvalidField(f"a {scope} is not given as {form}", where="/form", mend="Use plain or keyed")
    return StreamingResponse(
        stream_list(db, caller.workspace_id, scope, form),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="suppressions-{scope}-{form}.csv"'},
    )
