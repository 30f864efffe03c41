"""What callers of contacts may be told."""

from collections.abc import Mapping, Sequence
from typing import Any

from common.errors import BadRequest, BaridError, Conflict, Invalid, NotFound, Unavailable


class InvalidAddress(Invalid):
    """This is not an e-mail address that mail can be sent to."""

    code = "invalid_email"


class InvalidField(Invalid):
    """A field holds a value it cannot have."""

    code = "invalid_field"


class UnknownAttribute(Invalid):
    """There is no attribute of this name."""

    code = "unknown_attribute"


class UnknownPurpose(Invalid):
    """There is no purpose of this key in the workspace."""

    code = "unknown_purpose"


class ContactNotFound(NotFound):
    """There is no such contact in this workspace."""

    code = "contact_not_found"


class NoteNotFound(NotFound):
    """There is no such note about this contact."""

    code = "note_not_found"


class BulkChangeNotFound(NotFound):
    """There is no such bulk change in this workspace."""

    code = "bulk_change_not_found"


class BulkChangeOver(Conflict):
    """The bulk change is over; it cannot be cancelled."""

    code = "bulk_change_over"


class ContactExists(Conflict):
    """There is a contact with this address already."""

    code = "contact_exists"


class ExternalIdTaken(Conflict):
    """Another contact has this external id."""

    code = "external_id_taken"


class TwoPeople(Conflict):
    """What was sent names two different contacts."""

    code = "two_people"


class AttributeNotFound(NotFound):
    """There is no attribute of this name."""

    code = "attribute_not_found"


class AttributeExists(Conflict):
    """There is an attribute of this name already."""

    code = "attribute_exists"


class AttributeInUse(Conflict):
    """A segment's rule names this attribute."""

    code = "attribute_in_use"


class AttributeBeingDeleted(Conflict):
    """The values of the deleted attribute of this name are still being taken away."""

    code = "attribute_being_deleted"


class ListUnknown(NotFound):
    """There is no such list in this workspace."""

    code = "list_not_found"


class ImportNotFound(NotFound):
    """There is no such import in this workspace."""

    code = "import_not_found"


class NotCsv(BadRequest):
    """The file is not a CSV file."""

    code = "not_csv"


class NotXlsx(BadRequest):
    """The file is not a workbook that can be read."""

    code = "not_xlsx"


class NotJsonLines(BadRequest):
    """The file is not JSON Lines: one object a line."""

    code = "not_json_lines"


class InvalidHeader(BadRequest):
    """The file's first row does not name its columns."""

    code = "invalid_header"


class InflatesTooFar(BadRequest):
    """Far more comes out of the compressed file than went in."""

    code = "inflates_too_far"


class TooManyTags(Invalid):
    """The column that is mapped to tags holds something else."""

    code = "too_many_tags"


class WrongEncoding(BadRequest):
    """The file's text encoding cannot be read."""

    code = "wrong_encoding"


class MissingColumn(Invalid):
    """The file has no column that the mapping names."""

    code = "missing_column"


class InvalidMapping(Invalid):
    """The mapping of columns to fields is not usable."""

    code = "invalid_mapping"


class ImportNotRunning(Conflict):
    """The import is over; it cannot be cancelled."""

    code = "import_over"


class ImportNotUndoable(Conflict):
    """The import cannot be undone."""

    code = "import_not_undoable"


class SuppressionNotFound(NotFound):
    """There is no such suppression in this workspace."""

    code = "suppression_not_found"


class PrivacyRequestNotFound(NotFound):
    """There is no such privacy request in this workspace."""

    code = "privacy_request_not_found"


class InvalidRule(Invalid):
    """The rule of the segment is not acceptable."""

    code = "invalid_rule"

    def __init__(self, message: str, *, mend: str, pointer: str, **params: Any) -> None:
        super().__init__(message, mend=mend, pointer=pointer, **params)
        self.errors = [{"where": pointer, "code": self.code, "detail": message}]


class SegmentUnknown(NotFound):
    """There is no such segment in this workspace."""

    code = "segment_not_found"


class PreviewTooSlow(Unavailable):
    """Counting this rule takes longer than a preview may."""

    code = "preview_too_slow"


class SnapshotUnknown(NotFound):
    """There is no such snapshot of this segment in this workspace."""

    code = "snapshot_not_found"


class SnapshotNotFrozen(Conflict):
    """The rule names a snapshot that is not frozen yet."""

    code = "snapshot_not_frozen"


class SegmentInUse(Conflict):
    """Another segment's rule names this one."""

    code = "segment_in_use"


class ListFull(Conflict):
    """The list may not hold so many contacts."""

    code = "list_full"


class ListInUse(Conflict):
    """A segment's rule names this list."""

    code = "list_in_use"


class AudienceUnknown(NotFound):
    """There is no audience of such a campaign in this workspace."""

    code = "audience_not_found"


class ExportNotFound(NotFound):
    """There is no such export in this workspace."""

    code = "export_not_found"


class UnknownExportColumn(Invalid):
    """There is no column of this name to export."""

    code = "unknown_column"


class TooManyRows(Conflict):
    """There are more contacts than a file of this format has room for."""

    code = "too_many_rows"


class TooManyDownloads(Unavailable):
    """Several exports are being downloaded at once."""

    code = "too_many_downloads"


class StillCollecting(Conflict):
    """Not every service has told yet what it keeps of the person."""

    code = "still_collecting"


class MergeNotFound(NotFound):
    """There is no such merge in this workspace."""

    code = "merge_not_found"


class CannotMerge(Conflict):
    """These two contacts cannot be merged, or not be told apart again."""

    code = "cannot_merge"


class SenderUnknown(NotFound):
    """There is no such sender in this workspace."""

    code = "sender_not_found"


class FormUnknown(NotFound):
    """There is no such form."""

    code = "form_not_found"


class FormRejected(Invalid):
    """Something in the form is missing or wrong."""

    code = "form_rejected"

    def __init__(self, wrong: Mapping[str, str]) -> None:
        """`wrong`: what is wrong, by field."""
        super().__init__()
        self.errors = [{"where": f"/{name}", "code": self.code, "detail": text} for name, text in wrong.items()]


class TooManyPosts(BaridError):
    """Too much came from here, or for this workspace, in a short time."""

    status = 429
    code = "too_many_requests"
    remedy = "Send it again after the seconds in Retry-After"


class EventNotDefined(NotFound):
    """There is no event of this name."""

    code = "event_not_defined"


class EventDefined(Conflict):
    """There is an event of this name already."""

    code = "event_defined"


class InvalidEvents(Invalid):
    """Some of the events cannot be taken, so none was."""

    code = "invalid_events"

    def __init__(self, message: str, errors: Sequence[Mapping[str, Any]]) -> None:
        super().__init__(message, mend="Correct or leave out what `errors` name, and send the call again")
        self.errors = list(errors)


class TooManyParked(Conflict):
    """Too many events wait for contacts that nobody knows."""

    code = "too_many_parked"


class NothingToSearch(Invalid):
    """There is no letter and no digit in what was asked."""

    code = "nothing_to_search"
    remedy = "Ask for part of a name, company or city, or the beginning of an address, phone or external id"


class OccasionUnknown(NotFound):
    """There is no such webinar or event."""

    code = "occasion_not_found"


class OccasionTooEarly(Conflict):
    """Nobody can have attended or missed it yet."""

    code = "occasion_too_early"


class SourceUnknown(NotFound):
    """There is no such source."""

    code = "source_not_found"


class DeliveryUnknown(NotFound):
    """Nothing of this id came to the source lately."""

    code = "delivery_not_found"


class TooManySources(Conflict):
    """A workspace has no more sources than this."""

    code = "too_many_sources"


class ForgedDelivery(BaridError):
    """This was not signed as the source's partner signs, or too long ago."""

    status = 401
    code = "forged"
    remedy = "Sign with the secret of the source, as GET /v1/sources/{id} says, and send it again"
