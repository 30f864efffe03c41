"""What campaigns refuses, and how to mend it."""

from common.errors import Conflict, Forbidden, Invalid, NotFound, Unavailable


class WorkspaceNotFound(NotFound):
    """There is no such workspace."""

    code = "workspace_not_found"


class MemberNotFound(NotFound):
    """There is no such member in this workspace."""

    code = "member_not_found"


class MemberExists(Conflict):
    """A member with this address exists already."""

    code = "member_exists"


class LastOwner(Conflict):
    """A workspace keeps at least one owner."""

    code = "last_owner"


class TokenNotFound(NotFound):
    """There is no such token in this workspace."""

    code = "token_not_found"


class SenderNotFound(NotFound):
    """There is no such sender in this workspace."""

    code = "sender_not_found"


class SenderInUse(Conflict):
    """A campaign that is not finished uses this sender."""

    code = "sender_in_use"


class SenderUnaligned(Invalid):
    """Mail from this sender would not be signed for the sender's domain, and the policy refuses that."""

    code = "sender_unaligned"
    remedy = "POST /v1/domains with the domain, publish its records and check it; or take a sender of a verified domain"


class PurposeNotFound(NotFound):
    """There is no such purpose in this workspace."""

    code = "purpose_not_found"


class PurposeExists(Conflict):
    """A purpose with this key exists already."""

    code = "purpose_exists"


class InvalidEmail(Invalid):
    """This is not one address that mail can come from or go to."""

    code = "invalid_address"


class CampaignNotFound(NotFound):
    """There is no such campaign in this workspace."""

    code = "campaign_not_found"


class AudienceSourceNotFound(NotFound):
    """A segment or list named in the audience is not in this workspace."""

    code = "audience_source_not_found"


class ContactNotFound(NotFound):
    """There is no such contact in this workspace."""

    code = "contact_not_found"


class ProjectionBehind(Unavailable):
    """What contacts told is not all here yet, so nobody can say whether this id exists."""

    code = "projection_behind"


class InvalidContent(Invalid):
    """The content cannot be made into a mail."""

    code = "invalid_content"


class CampaignIncomplete(Invalid):
    """The campaign lacks something it cannot be sent without."""

    code = "campaign_incomplete"


class AlreadyStarted(Conflict):
    """The campaign has been started already."""

    code = "already_started"


class NotEditable(Conflict):
    """Only a campaign that was never started may be changed."""

    code = "not_editable"


class NotRunning(Conflict):
    """The campaign is not being sent."""

    code = "not_running"


class CampaignFinished(Conflict):
    """The campaign is finished."""

    code = "campaign_finished"


class InvalidSchedule(Invalid):
    """The time given cannot be used."""

    code = "invalid_schedule"


class InvalidDraft(Invalid):
    """The change would leave a campaign that is not acceptable; see `errors`."""

    code = "invalid_draft"

    def __init__(self, errors: list[dict[str, str]]) -> None:
        super().__init__()
        self.errors = errors


class UnknownVariant(Invalid):
    """The content has no such variant."""

    code = "unknown_variant"


class BeyondOwnRights(Forbidden):
    """Nobody can give rights they do not have."""

    code = "beyond_own_rights"


class SigningUnavailable(Unavailable):
    """This process has no key to sign tokens with; set BARID_TOKEN_SIGNING_KEY."""

    code = "signing_unavailable"
