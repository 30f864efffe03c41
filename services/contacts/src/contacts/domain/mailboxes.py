"""What an address says of itself: whose domain it is of, and whether a person or a duty reads it.

Small tables of our own, so that nothing is asked of anybody. What they do not know is not flagged.
"""

from functools import cache, lru_cache

from common.contracts.addresses import InvalidAddress, u_label
from publicsuffixlist import PublicSuffixList

_PROVIDERS = """
126.com 163.com aim.com alice.it aol.com att.net bigpond.com bluewin.ch bol.com.br btinternet.com centrum.cz
chmail.ir comcast.net cox.net daum.net email.com emirates.net.ae fastmail.com fastmail.fm foxmail.com free.fr
freenet.de gmail.com gmx.at gmx.ch gmx.com gmx.de gmx.fr gmx.net googlemail.com hanmail.net hotmail.be
hotmail.co.uk hotmail.com hotmail.com.tr hotmail.de hotmail.es hotmail.fr hotmail.it hushmail.com icloud.com
iinet.net.au inbox.lv inbox.ru interia.pl laposte.net libero.it list.ru live.co.uk live.com live.de live.fr
live.nl mac.com mail.com mail.ru mailbox.org mailfence.com me.com msn.com mynet.com naver.com nifty.com o2.pl
ok.de onet.pl orange.fr outlook.com outlook.de outlook.es outlook.fr outlook.sa pm.me posteo.de proton.me
protonmail.ch protonmail.com qq.com rambler.ru rediffmail.com rocketmail.com runbox.com sapo.pt saudi.net.sa
sbcglobal.net seznam.cz sfr.fr sina.com skynet.be sohu.com t-online.de tiscali.it tuta.com tuta.io
tutanota.com ukr.net uol.com.br verizon.net virgilio.it walla.co.il walla.com wanadoo.fr web.de wp.pl ya.ru
yahoo.ca yahoo.co.in yahoo.co.jp yahoo.co.uk yahoo.com yahoo.com.br yahoo.de yahoo.es yahoo.fr yahoo.it
yandex.com yandex.ru yeah.net ymail.com zoho.com zohomail.com ziggo.nl
"""
FREEMAIL = frozenset(_PROVIDERS.split())

_THROWN_AWAY = """
10minutemail.com 20minutemail.com burnermail.io discard.email dispostable.com emailondeck.com fakeinbox.com
getairmail.com getnada.com grr.la guerrillamail.biz guerrillamail.com guerrillamail.net guerrillamail.org
guerrillamailblock.com inboxbear.com incognitomail.org mail-temp.com mailcatch.com maildrop.cc mailinator.com
mailnesia.com mailsac.com mintemail.com moakt.com mohmal.com mytemp.email nada.email sharklasers.com spam4.me
spamgourmet.com temp-mail.io temp-mail.org tempail.com tempinbox.com tempmail.com tempmail.net tempmailo.com
tempr.email throwawaymail.com trashmail.com trashmail.de trashmail.net yopmail.com yopmail.fr yopmail.net
"""
DISPOSABLE = frozenset(_THROWN_AWAY.split())

# RFC 2142's, and what is commonly read by whoever is on duty.
_DUTIES = """
abuse accounting accounts admin administrator billing booking bookings career careers complaints compliance
contact contactus customercare customerservice dns enquiries enquiry feedback finance ftp hello help helpdesk
hostmaster hr info information inquiries inquiry invoice invoices it jobs legal list mail mailer-daemon
marketing media news newsletter no-reply noc noreply office operations orders postmaster pr press privacy
purchasing reception recruiting recruitment registrar reservations root sales security service shop spam staff
support team tech usenet uucp webmaster welcome www
"""
ROLES = frozenset(_DUTIES.split())


@lru_cache(maxsize=10_000)
def organisation(domain: str) -> str | None:
    """The name below the public suffix that a domain belongs to: `example.co.uk` of `mail.example.co.uk`."""
    found: str | None = _suffixes().privatesuffix(domain)
    return found


def flags(normalised: str) -> list[str]:
    """What is known of a normalised address, in the order of the alphabet."""
    local, _, domain = normalised.rpartition("@")
    owner = organisation(domain)
    found = {
        "disposable": owner in DISPOSABLE or domain in DISPOSABLE,
        "freemail": owner in FREEMAIL or domain in FREEMAIL,
        "role": local.partition("+")[0] in ROLES,
    }
    return [name for name, is_so in found.items() if is_so]


@lru_cache(maxsize=10_000)
def company_of(domain: str) -> str | None:
    """A company's name as its domain has it; None where the domain tells of a mailbox provider, or of nobody."""
    owner = organisation(domain)
    if owner is None or {owner, domain} & (FREEMAIL | DISPOSABLE):
        return None
    try:
        label = u_label(owner).partition(".")[0]
    except InvalidAddress:
        return None
    words = [word for word in label.split("-") if word]
    return " ".join(word[:1].upper() + word[1:] for word in words) or None


@cache
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList()
