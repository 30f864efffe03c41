"""What can go wrong with a caller's request to delivery."""

from common.errors import Conflict, Invalid, NotFound, TooLarge, Unauthorized, Unavailable


class MessageNotFound(NotFound):
    """There is no such message."""

    code = "message_not_found"


class NotUncertain(Conflict):
    """Only an uncertain message can be sent again or resolved."""

    code = "not_uncertain"


class CampaignCancelled(Conflict):
    """The campaign is cancelled; nothing of it is sent any more."""

    code = "campaign_cancelled"


class AddressErased(Conflict):
    """The person is erased; there is no address to send to."""

    code = "address_erased"


class CampaignNotFound(NotFound):
    """There is no such campaign in this workspace, or it has not been started."""

    code = "campaign_not_found"


class SenderNotFound(NotFound):
    """There is no such sender in this workspace."""

    code = "sender_not_found"


class InvalidContent(Invalid):
    """The content cannot be made into a mail."""

    code = "invalid_content"


class InvalidRecipient(Invalid):
    """A recipient is not an address that mail can go to."""

    code = "invalid_recipient"


class BounceTooLarge(TooLarge):
    """The mail is larger than a bounce can be."""

    code = "bounce_too_large"
    remedy = "Send the report with the headers of the returned mail only, or with less of it"


class BounceTooManyParts(Invalid):
    """The mail has more parts than a bounce can have."""

    code = "bounce_too_many_parts"
    remedy = "Send the mail that came back as it came, not a collection of them"


class SetAsideNotFound(NotFound):
    """No such mail of this workspace is set aside; after a week none is kept."""

    code = "set_aside_not_found"


class StillUnreadable(Invalid):
    """The mail cannot be read or stored by this version either."""

    code = "still_unreadable"
    remedy = "GET /v1/bounces/set-aside/{set_aside_id}/mail gives it as it came; tell an operator what it is"


class DomainNotFound(NotFound):
    """There is no such domain in this workspace."""

    code = "domain_not_found"


class DomainUnfit(Invalid):
    """This cannot be a sending domain."""

    code = "domain_unfit"
    remedy = "Give a domain of your own, such as news.example.com, without a scheme, an @ or a path"


class DomainExists(Conflict):
    """The workspace has this domain already."""

    code = "domain_exists"
    remedy = "GET /v1/domains/{domain_id} says what to publish for it"


class RotationUnderWay(Conflict):
    """New keys of this domain wait to be published."""

    code = "rotation_under_way"
    remedy = "Publish the records that the domain's checks name, and POST /v1/domains/{domain_id}/check"


class RouteNotFound(NotFound):
    """There is no such route."""

    code = "route_not_found"


class RouteNameTaken(Conflict):
    """Another route of this workspace has this name."""

    code = "route_name_taken"
    remedy = "Choose another name, or change the route that has it"


class RouteHostRefused(Invalid):
    """Mail cannot go to this host."""

    code = "route_host_refused"
    remedy = "Name a host on the internet; an operator can allow private networks with BARID_ROUTE_NETWORKS"


class InvalidRoute(Invalid):
    """The parts of the route do not fit together."""

    code = "invalid_route"


class DirectNotOffered(Invalid):
    """Mail is handed to relays here; it does not go to the recipients' servers directly."""

    code = "direct_not_offered"
    remedy = (
        "Name a relay: your provider's, or a mail server of your own; an operator can allow direct routes with"
        " BARID_DIRECT_TO_MX=true and BARID_EHLO_NAME"
    )


class WarmupNotFound(NotFound):
    """This domain has no warm-up plan."""

    code = "warmup_not_found"
    remedy = "PUT one, or send without: there is no cap then"


class ProviderEndpointNotFound(NotFound):
    """There is no such endpoint for a provider's events."""

    code = "provider_endpoint_not_found"
    remedy = "Make one with POST /v1/bounces/endpoints, and give its URL to the provider"


class ForgedEvent(Unauthorized):
    """The event does not prove that it is the provider's."""

    code = "forged_event"
    remedy = "Check that the endpoint has the key, password or topic that the provider shows for this webhook"


class UnreadableEvent(Invalid):
    """The event is not of the form that this provider sends."""

    code = "unreadable_event"
    remedy = "Give this URL to the provider it was made for, and to none of its other webhooks"


class InvalidProviderSecret(Invalid):
    """The key is not one that this provider gives."""

    code = "invalid_provider_secret"
    remedy = "Copy it again from the provider's page for this webhook"


class AmazonUnreachable(Unavailable):
    """Amazon's certificate or confirmation cannot be fetched now."""

    code = "amazon_unreachable"
    remedy = "SNS tries again by itself; see that this service may reach sns.<region>.amazonaws.com over TLS"
