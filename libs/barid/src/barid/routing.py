"""Which service answers which path: the one table behind the gateway, and behind every other proxy."""

from collections.abc import Mapping

RESOURCES: Mapping[str, tuple[str, ...]] = {
    "contacts": (
        "contacts",
        "attributes",
        "lists",
        "segments",
        "imports",
        "exports",
        "consents",
        "suppressions",
        "forms",
        "events",
        "occasions",
        "sites",
        "sources",
        "audiences",
        "privacy-requests",
        "retention",
        "data-quality",
    ),
    "campaigns": (
        "workspaces",
        "members",
        "tokens",
        "senders",
        "purposes",
        "templates",
        "media",
        "programs",
        "campaigns",
    ),
    "delivery": ("messages", "routes", "domains", "bounces", "webhooks"),
    "analytics": ("reports", "kpis", "leads", "scoring", "conversions", "costs", "budgets"),
}
PUBLIC: Mapping[str, tuple[str, ...]] = {
    "contacts": ("f", "p", "t", "in"),
    "campaigns": (".well-known",),
    "delivery": ("provider",),
}
TRACKER = ("o", "c", "u", "b", "h")

_BY_RESOURCE = {name: service for service, names in RESOURCES.items() for name in names}
_BY_PREFIX = {name: service for service, names in PUBLIC.items() for name in names}


def service_of(path: str) -> str | None:
    """The service that answers a path, `tracker` for its public paths, None for nobody."""
    first, _, rest = path.removeprefix("/").partition("/")
    if first == "v1":
        return _BY_RESOURCE.get(rest.partition("/")[0])
    if first in TRACKER:
        return "tracker"
    return _BY_PREFIX.get(first)
