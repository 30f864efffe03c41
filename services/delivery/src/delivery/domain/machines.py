"""Which opens and clicks a machine made, by rules that need no state. Analytics decides the others, later."""

import re

# HTTP libraries are partners' programs, and not here. Nor is Microsoft Office: Outlook for Windows says so when a
# person reads. (CUBOT makes telephones.)
_AGENTS: tuple[tuple[str, re.Pattern[str]], ...] = (
    (
        "scanner",
        re.compile(
            r"barracuda|mimecast|proofpoint|urldefense|safelinks|office existence discovery|forcepoint|fireeye|trellix"
            r"|symantec|messagelabs|sophos|trend ?micro|cisco-?(ironport|ces)|cloudmark|avanan|checkpoint|egress"
            r"|virustotal|netcraft|zscaler|bitdefender|vade|spamassassin|rspamd|mailscanner",
            re.I,
        ),
    ),
    (
        "bot",
        re.compile(
            r"(?<!cu)bot\b|crawl|spider|slurp|linkpreview|facebookexternalhit|whatsapp|skypeuripreview|embedly|headless"
            r"|phantomjs",
            re.I,
        ),
    ),
)
# Apple's privacy protection fetches the images of all mail as it comes, read or not, and says no more than this.
_APPLE = "Mozilla/5.0"
# These fetch when a person opens the mail: their opens are people's.
_PROXIES = (
    ("gmail", "GoogleImageProxy"),
    ("yahoo", "YahooMailProxy"),
    ("mailru", "Mail.Ru"),
    ("seznam", "SeznamEmailProxy"),
)
_PREFETCH = frozenset({"prefetch", "preview", "prerender", "prefetch;prerender"})


def machine_rule(method: str, user_agent: str, purpose: str) -> str | None:
    """The rule that says a machine asked, or None. `purpose`: the Purpose or Sec-Purpose header."""
    if method == "HEAD":
        return "head"
    if purpose.lower() in _PREFETCH:
        return "prefetch"
    return next((rule for rule, pattern in _AGENTS if pattern.search(user_agent)), None)


def open_rule(method: str, user_agent: str, purpose: str) -> str | None:
    """The same for opens: images are also fetched ahead of any reading."""
    return "apple_privacy" if user_agent == _APPLE else machine_rule(method, user_agent, purpose)


def proxy(user_agent: str) -> str | None:
    """The mail provider's proxy that asked for a person."""
    return next((name for name, word in _PROXIES if word in user_agent), None)
