"""Who may do what: roles and scopes, as data. What is not listed is denied."""

RESOURCES = (
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
    "privacy",
    "workspaces",
    "members",
    "tokens",
    "senders",
    "purposes",
    "templates",
    "media",
    "programs",
    "campaigns",
    "messages",
    "routes",
    "domains",
    "bounces",
    "webhooks",
    "reports",
    "kpis",
    "leads",
    "scoring",
    "conversions",
    "costs",
    "budgets",
)

# Reading these shows secrets, exported personal data, or who works here.
_GUARDED = frozenset({"tokens", "exports", "privacy", "webhooks", "routes"})
# Writing these changes who may do what, or the workspace itself.
_GOVERNING = frozenset({"workspaces", "members", "tokens"})

SCOPES = frozenset(f"{resource}:{verb}" for resource in RESOURCES for verb in ("read", "write")) | {"campaigns:send"}

_READ = frozenset(f"{resource}:read" for resource in RESOURCES if resource not in _GUARDED)
_EDIT = frozenset(
    f"{resource}:write"
    for resource in (
        "contacts",
        "attributes",
        "lists",
        "segments",
        "imports",
        "consents",
        "suppressions",
        "forms",
        "events",
        "occasions",
        "templates",
        "media",
        "programs",
        "campaigns",
        "conversions",
        "costs",
        "budgets",
        "scoring",
    )
)

ROLES: dict[str, frozenset[str]] = {
    "owner": SCOPES,
    "manager": frozenset(s for s in SCOPES if not (s.endswith(":write") and s.split(":")[0] in _GOVERNING)),
    "editor": _READ | _EDIT,
    "approver": _READ | {"campaigns:send"},
    "contributor": _READ | {f"{resource}:write" for resource in ("contacts", "lists", "imports", "templates", "media")},
    "viewer": _READ,
}


def scopes_of(role: str | None, scopes: list[str] | None) -> frozenset[str]:
    """What a token may do: its role's scopes, or its own list. Unknown roles and scopes give nothing."""
    if role is not None:
        return ROLES.get(role, frozenset())
    return frozenset(scopes or ()) & SCOPES
