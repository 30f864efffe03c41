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
# What the names of their mail hosts end in: domains of others whose mail they take count as theirs.
_EXCHANGES = {
    "gmail": "google.com googlemail.com",
    "microsoft": "protection.outlook.com mx.microsoft hotmail.com",
    "yahoo": "yahoodns.net",
    "apple": "mail.icloud.com",
    "proton": "protonmail.ch",
    "yandex": "yandex.net yandex.ru",
    "mailru": "mail.ru",
    "gmx": "gmx.net web.de mail.com",
}
_PROVIDER = {domain: provider for provider, domains in _DOMAINS.items() for domain in domains.split()}
_BY_EXCHANGE = {suffix: provider for provider, suffixes in _EXCHANGES.items() for suffix in suffixes.split()}

OTHER = "other"
PROVIDERS: tuple[str, ...] = (*_DOMAINS, OTHER)


def provider_of(domain: str) -> str:
    """The provider behind a domain (lower case, A-label)."""
    return _PROVIDER.get(domain, OTHER)


def provider_of_exchange(host: str) -> str:
    """The provider whose mail host this is (lower case, without the last dot)."""
    labels = host.split(".")
    parents = (".".join(labels[at:]) for at in range(len(labels)))
    return next((_BY_EXCHANGE[parent] for parent in parents if parent in _BY_EXCHANGE), OTHER)
