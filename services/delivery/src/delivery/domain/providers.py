"""Which mailbox provider an address belongs to: the unit of throttling. Everything unknown is `other`."""

_DOMAINS = {
    "gmail": "gmail.com googlemail.com",
    "microsoft": "outlook.com hotmail.com live.com msn.com hotmail.co.uk hotmail.fr hotmail.de live.co.uk "
    "outlook.sa outlook.fr outlook.de passport.com",
    "yahoo": "yahoo.com ymail.com rocketmail.com yahoo.co.uk yahoo.fr yahoo.de aol.com aim.com maktoob.com",
    "apple": "icloud.com me.com mac.com",
    "proton": "proton.me protonmail.com pm.me protonmail.ch",
    "yandex": "yandex.ru yandex.com ya.ru",
    "mailru": "mail.ru inbox.ru list.ru bk.ru",
    "gmx": "gmx.de gmx.net gmx.com web.de mail.com",
    "chmail": "chmail.ir",
    "mihan": "mihanmail.ir",
}
_PROVIDER = {domain: provider for provider, domains in _DOMAINS.items() for domain in domains.split()}

OTHER = "other"
PROVIDERS: tuple[str, ...] = (*_DOMAINS, OTHER)


def provider_of(domain: str) -> str:
    """The provider behind a domain (lower case, A-label)."""
    return _PROVIDER.get(domain, OTHER)
