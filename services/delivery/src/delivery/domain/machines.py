"""Which opens and clicks a machine made, by rules that need no state. Analytics decides the others, later."""

import re

# Mail providers' image proxies fetch when a person opens, and HTTP libraries are partners' programs: neither is here.
_AGENTS: tuple[tuple[str, re.Pattern[str]], ...] = (
    (
        "scanner",
        re.compile(
            r"barracuda|mimecast|proofpoint|urldefense|safelinks|microsoft office|ms-?office|forcepoint|fireeye|trellix"
            r"|symantec|messagelabs|sophos|trend ?micro|cisco-?(ironport|ces)|cloudmark|avanan|checkpoint|egress"
            r"|virustotal|netcraft|zscaler|bitdefender|vade|spamassassin|rspamd|mailscanner",
            re.I,
        ),
    ),
    (
        "bot",
        re.compile(
            r"bot\b|crawl|spider|slurp|linkpreview|facebookexternalhit|whatsapp|skypeuripreview|embedly|headless"
            r"|phantomjs",
            re.I,
        ),
    ),
)
_PREFETCH = frozenset({"prefetch", "preview", "prerender", "prefetch;prerender"})


def machine_rule(method: str, user_agent: str, purpose: str) -> str | None:
    """The rule that says a machine asked, or None. `purpose`: the Purpose or Sec-Purpose header."""
    if method == "HEAD":
        return "head"
    if purpose.lower() in _PREFETCH:
        return "prefetch"
    return next((rule for rule, pattern in _AGENTS if pattern.search(user_agent)), None)
