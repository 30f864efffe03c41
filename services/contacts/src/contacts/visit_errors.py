"""What callers may be told of web sites and their visitors."""

from common.errors import Forbidden, NotFound


class SiteUnknown(NotFound):
    """There is no such web site."""

    code = "site_not_found"


class OriginNotAllowed(Forbidden):
    """Pages of this origin are not the site's."""

    code = "origin_not_allowed"


class ConsentNeeded(Forbidden):
    """The site's visitors are asked first, and this one has not agreed."""

    code = "consent_needed"


class IdentityNotProven(Forbidden):
    """Nothing proves whose browser this is."""

    code = "identity_not_proven"
