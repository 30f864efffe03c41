"""What servers' words and enhanced status codes mean: the one table for SMTP replies and for bounce mails.

First match counts. What speaks against the sender, the message, the moment or the way stands before what speaks
against the address, so that a sentence which says both never costs somebody their mail. Codes: RFC 3463, RFC 5248,
RFC 7504, RFC 7505 and the IANA registry; words: what servers are known to say.
"""

import re
from typing import Literal

Reason = Literal[
    "policy", "rate", "relay", "content", "inactive", "mailbox_full", "network", "bad_domain", "moved", "bad_mailbox",
    "unsupported_address", "system",
]  # fmt: skip

# By subject and detail, without the class: what 5.1.1 and 4.1.1 say is the same, how lasting it is differs.
BY_DETAIL: dict[str, Reason] = {
    "0.1": "bad_mailbox",
    "1.0": "bad_mailbox",
    "1.1": "bad_mailbox",
    "1.2": "bad_domain",
    "1.3": "bad_mailbox",
    "1.6": "moved",
    "1.7": "policy",
    "1.8": "policy",
    "1.9": "unsupported_address",
    "1.10": "bad_mailbox",
    "2.1": "inactive",
    "2.2": "mailbox_full",
    "2.3": "content",
    "3.1": "mailbox_full",
    "3.4": "content",
    "4.1": "network",
    "4.2": "network",
    "4.3": "network",
    "4.4": "bad_domain",
    "4.6": "network",
    "4.7": "network",
    "4.8": "network",
    "5.3": "rate",
    "6.7": "unsupported_address",
    "6.8": "unsupported_address",
    "6.9": "unsupported_address",
}

# What can stop mail to an address for good.
ABOUT_ADDRESS = frozenset({"bad_mailbox", "bad_domain", "moved"})
# Details that servers seldom use for anything else.
SURE_DETAILS = frozenset({"1.1", "1.6", "1.10"})


def by_detail(detail: str) -> Reason | None:
    """The reason that `subject.detail` of an enhanced code names, if it names one."""
    subject = detail.partition(".")[0]
    if detail in BY_DETAIL:
        return BY_DETAIL[detail]
    return {"6": "content", "7": "policy"}.get(subject)  # type: ignore[return-value]


def _any(*alternatives: str) -> re.Pattern[str]:
    pattern = "|".join(alternatives).replace("WHO", _WHO).replace("HOST", _HOST)
    return re.compile(pattern, re.I)


_WHO = r"(?:user|mailbox|mail box|recipient|account|address|addressee|alias|e-?mail|person|customer|login|member)"
_HOST = r"(?:domain|host|hostname|host/domain|mail ?server|server name|destination system|mx)"

WORDS: tuple[tuple[Reason, re.Pattern[str]], ...] = (
    # How Exchange Online refuses, in answer to RCPT, whom its directory does not have.
    ("bad_mailbox", _any(r"5\.4\.1 .{0,80}recipient address rejected: access denied")),
    ("bad_domain", _any(r"delivered to the recipient because the domain is not reachable")),  # Hotmail, having given up
    (
        "policy",  # the sender
        _any(
            r"(?:sender|envelope from|return[- ]path|mail from|from)(?:'s)? ?(?:e-?mail )?(?:address|domain|host|"
            r"id)\b.{0,120}(?:reject|denied|refus|invalid|not (?:exist|found|valid|allowed|accepted|resolve)|"
            r"does not|unknown|verif|block|missing|unresolvable)",
            r"(?:invalid|unknown|unroutable|unrouteable|bad|unverified|illegal|unacceptable|forged) (?:sender|"
            r"from)\b",
            r"sender (?:verif|rejected|denied|refused|is not|not|domain|invalid|unknown|address)",
            r"(?:domain|address) (?:name )?of (?:the )?sender|valid sender domain",
            r"your (?:domain|e-?mail address) (?:does not|is not|isn)",
            r"(?:does not|must|cannot) resolve.{0,40}sender|callback|call-?out verif",
            r"verif\w* (?:has )?fail(?:ed|ure)? (?:for|of) (?:the )?(?:sender|envelope from|mail from)",
            r"absender(?:adresse|domain)? (?:(?:wurde|wird|ist|hat) ){0,2}(?:abgelehnt|abgewiesen|blockiert|gesperrt|"
            r"unbekannt|ungültig|existiert nicht|nicht (?:erlaubt|zugelassen|gefunden|vorhanden|verifiz)|verweigert)",
            r"expéditeur (?:(?:a|été|est|n'est|n'existe|pas|non) ){0,3}(?:refus|rejet|bloqu|inconnu|invalide|interdit|"
            r"pas|autoris|v[ée]rifi)",
            r"remitente (?:(?:ha|sido|fue|está|es|no) ){0,3}(?:rechaz|deneg|bloque|desconocid|v[áa]lid|inv[áa]lid|"
            r"prohibid|existe|autoriz|verific)",
            # The recipient is 收件人, المرسل إليه and گیرنده.
            r"(?:发件人|發件人|寄件人|寄件者)(?:的)?(?:地址|域名|邮箱|郵箱|网域|ip)?(?:已?被|不|无|無|未)",
            r"(?:المرسل|المُرسل) (?:مرفوض|محظور|غير|ممنوع)|(?:رفض|حظر) (?:عنوان |نطاق )?المرسل(?! [إا]لي)",
            r"فرستنده (?:(?:شما|آن) )?(?:مسدود|مجاز|غیر|نامعتبر|ناشناس|رد شد|تأیید|تایید|پذیرفته|وجود)",
        ),
    ),
    (
        "policy",  # authentication, names of the sending host
        _any(
            r"\bspf\b|dkim|dmarc|\barc\b fail|sender policy framework|sender[- ]id\b|domainkeys|unauthenticated",
            r"authentication (?:is )?(?:required|fail|check|information|results?|level|requirements)",
            r"not authenticated",
            r"must (?:be |)authenticat|please authenticate|smtp auth|auth required",
            r"\bptr\b|\brdns\b|reverse (?:dns|lookup|mapping|hostname|address|name|ip)|ip name lookup",
            r"name lookup failed for|cannot find your (?:host|reverse|domain)|no (?:host ?name|dns name|reverse)",
            r"generic (?:ptr|host|rdns)",
            r"\b(?:helo|ehlo)\b.{0,60}(?:reject|invalid|denied|not|must|bad|need)",
        ),
    ),
    (
        "relay",
        _any(
            r"relay(?:ing)?(?: access| attempt| mail)? ?(?:is |was |)(?:denied|not|prohibited|forbidden|disallowed|"
            r"refused|disabled|blocked|rejected)",
            r"(?:not|cannot|can't|don't|do not|unable to|won't|no|refuse to|may not|allowed to|insecure|open|"
            r"denied) (?:permitted to |allowed to |mail |third[- ]party )?relay",
            r"rcpthosts|not (?:a |an? )?(?:registered )?gateway|unauthenticated relay|we do not relay|mail relay\b",
            r"not (?:a )?local (?:domain|host)|not hosted here|is not local|non-local (?:domain|recipient)",
        ),
    ),
    (
        "rate",
        _any(
            r"too many (?!hops|lines|header|received)|too much (?:mail|traffic)|too (?:fast|frequent|often)",
            r"rate.?limit|throttl|slow down",
            r"(?:sending|hourly|daily|relay|message|connection|recipient|mail) (?:rate|limits?|relay quota|"
            r"sending quota)\b",
            r"(?:hourly|daily|relay|sending) quota",
            r"unusual rate|excessive|unexpected volume|volume of|quota for sending|over (?:the )?limit",
            r"grey.?list|gray.?list|max(?:imum)? (?:number of )?(?:connections|recipients|messages|sessions|emails)",
            r"connection (?:limit|rate)|(?:concurrent|simultaneous) (?:connection|session)",
            r"receiving mail (?:too|at a rate)",
        ),
    ),
    (
        "mailbox_full",
        _any(
            r"quota|mail ?box .{0,20}full|mail ?box is over|(?:mail|in|m)?box full|full mail|mail ?folder.{0,10}full",
            r"is full\b|account (?:is )?full|\bover (?:its|his|her|the)? ?(?:size|storage|allotted)",
            r"disk (?:is )?full|disk space|disk.{0,10}exceed|storage|insufficient space|not enough space",
            r"out of space|no space|space (?:left|available)",
            r"(?:mailbox|inbox|account).{0,40}(?:exceed|size|limit|allocat)|exceed.{0,40}(?:mailbox|inbox|allocat)",
            r"mail ?box .{0,15}too large|容量|voll\b|boîte .{0,20}pleine|buz[oó]n .{0,20}lleno|переполнен|pełn",
        ),
    ),
    (
        "content",
        _any(
            r"(?:message|mail|e-?mail|letter|attachment|body|header|content|data|line)s?(?: |"
            r"'s )?(?:\w+ ){0,4}(?:too (?:large|big|long)|oversize)",
            r"too (?:large|big) (?:message|mail)",
            r"(?:message|mail|e-?mail|file|maximum|max|fixed|local|allowed|permitted) ?(?:message |mail |"
            r"allowed )?size",
            r"size (?:limit|of the (?:message|mail)|exceed|violation|is too)",
            r"exceeds? (?:the )?(?:maximum|max|size|fixed|allowed|limit of).{0,30}(?:size|bytes|kb|mb)|larger than",
            r"maximum .{0,30}(?:message|mail) (?:size|length)|line (?:is )?too long|exceeded? .{0,20}line length",
            r"virus|malware|trojan|\bworm\b|infected",
            r"attachments? (?:\S+ ){0,4}(?:block|not allowed|reject|type|refus|prohibit|banned|forbidden|illegal|"
            r"strip)",
            r"(?:illegal|bad|banned|blocked|forbidden|prohibited|unsafe) attachment|executable|dangerous|harmful",
            r"content (?:reject|block|present|not|was|is|type|scan|analysis)",
            r"(?:message|mail|illegal|invalid|objectionable|offensive) content",
            r"media (?:error|not|type)|conversion|bare (?:lf|cr|line)|(?:8|7|eight|seven)[- ]?bit|binarymime",
            r"charset|character set|encoding|not (?:rfc ?)?(?:2?822|5322|5321) compliant",
            r"(?:missing|multiple|invalid|malformed|duplicate|bad|illegal) (?:\S+ ){0,3}headers?",
            r"header (?:is |are )?(?:missing|invalid|not)|messages? (?:with|missing|without|lacks?)\b|mime",
            r"syntax error in (?:message|header)|null characters?",
        ),
    ),
    (
        "policy",  # reputation, lists, spam, rules
        _any(
            r"reputation|block(?:ed|ing|s)?\b|block.?list|black.?list|deny.?list|white.?list|\brbl\b|dnsbl|\bbl\b",
            r"spamhaus|spamcop|sorbs|barracuda|senderscore|senderbase|ironport|invaluement|uceprotect|proofpoint",
            r"cloudmark|mail-abuse|abuse|(?<!not )(?<!no longer )listed (?:in|by|at|on|with)\b|banned|\bban\b",
            r"suspicious|blacklisted",
            r"spam|unsolicited|\bjunk\b|\bbulk\b|\buce\b|phish|scam|spoof|forge|mass mail|advertis|filter",
            r"polic(?:y|ies)|prohibited|forbidden|restrict|not (?:permitted|allowed|authori[sz]ed)|unauthori[sz]ed",
            r"access (?:is |was |has been |)(?:denied|refused|rejected)",
            r"(?:permission|delivery|message|mail|connection) (?:is |was |)denied|administratively |security",
            r"challenge|refused due to|recipient'?s? preferences|moderat|closed (?:group|list|mailing)",
            r"only (?:accepts?|allowed|members|internal)|don't have permission|do not have permission",
            r"not accept(?:ing)? (?:mail|messages?|e-?mail) from",
            r"refus(?:ed?|es|ing) (?:to (?:accept|receive)|mail from|your)|trusted|(?:violat|complain)|unacceptable",
            r"\bvrfy\b",
        ),
    ),
    (
        "policy",  # the same in other languages; "blocked" of an account is as soft
        _any(
            r"schwarze[nr]? liste|sperrliste|blockliste|blockiert|gesperrt|richtlinie|unerwünscht|werbemail",
            r"(?:zugriff|zugang|annahme|zustellung|verbindung) (?:wurde )?(?:verweigert|abgelehnt)",
            r"nicht (?:erlaubt|zugelassen|gestattet|berechtigt|autorisiert)|ihre ip\b",
            r"listes? noires?|bloquée? (?:par|pour|car|en raison)|(?:est|été) bloquée?\b|réputation|indésirable",
            r"pourriel|politiques? (?:de|d'|du|des|anti|locale|interne)|votre (?:adresse )?ip\b",
            r"(?:accès|connexion|permission) (?:refusé|interdit)e?|non autorisée?|pas (?:autorisé|permis)e?",
            r"listas? negras?|bloquead[oa]|pol[ií]ticas? (?:de|del|anti|local|interna)|reputaci[oó]n|no desead[oa]",
            r"(?:acceso|permiso|conexi[oó]n) (?:denegad|rechazad)[oa]|no (?:está )?(?:autorizad[oa]|permitid[oa])",
            r"su (?:direcci[oó]n )?ip\b",
            r"黑名[单單]|垃圾[邮郵]件|垃圾信|[拦攔]截|封[锁鎖]|封禁|屏蔽|策略|政策|信[誉譽]|反垃圾|[违違]反|不允[许許]|未授[权權]",
            r"القائمة السوداء|قائمة سوداء|قائمة الحظر|محظور|حظر|مزعج|عشوائي|غير مرغوب|سياس[ةه]|سياسات|سمعة",
            r"غير (?:مسموح|مصرح|مخول)|رفض الوصول|ممنوع",
            r"(?:فهرست|ل[یي]ست) س[یي]اه|مسدود|هرزنامه|اسپم|س[یي]است|خط[ \u200c]?مش[یي]|غ[یي]ر[ \u200c]?مجاز",
            r"مجاز (?:ن[یي]ست|نم[یي])|اجازه (?:\S+ )?ندار|دسترس[یي] (?:\S+ )?(?:رد|ممنوع|ندار)",
            r"اعتبار (?:فرستنده|دامنه)",
        ),
    ),
    (
        "inactive",
        _any(
            r"WHO(?:\(s\))?s?\b[^.;]{0,60}\b(?:disabled|suspend|inactive|de-?activated|not active|isn't active|"
            r"locked|frozen|limited|discontinued|on hold|terminated|expired|dormant|quarantined|temporarily|"
            r"currently|not currently|no longer active|unavailable at|not activated|is closed|been closed|"
            r"not been logged)",
            r"(?:disabled|suspended|inactive|de-?activated|locked|frozen|expired|dormant|blocked|abandoned|"
            r"unactivated) WHO",
            r"out of service|not accepting (?:mail|messages|new)",
            r"not accept (?:any )?(?:new )?(?:mail|messages) (?:at|now)",
            r"cannot receive|not receiving mail|delivery (?:to this .{0,20})?(?:suspended|disabled)|inactivity",
            r"suppress|no longer accepts? (?:e-?)?mail",
        ),
    ),
    (
        "network",
        _any(
            r"timed? ?out|time.?out|connection .{0,20}(?:refused|reset|lost|dropped|closed|fail|died|aborted)",
            r"(?:could ?n[o']t|can ?n[o']t|can't|unable to|failed to|not able to|not be) (?:be )?(?:connect|contact|"
            r"reach|establish)",
            r"\bunreachable|not reachable|no route|host (?:is )?down|socket error|network (?:error|problem|is)",
            r"not respond|no (?:answer|response) from|not accept(?:ing|ed)? (?:our |any )?(?:requests to )?connect",
            r"bad connection|broken pipe|i/o error|conversation|handshake|\btls\b|\bssl\b|starttls|certificate",
            r"connect(?:ion)? to",
            r"retry (?:time|limit)|expired|queue(?:d)? (?:too long|for|time)|been in the queue|too long in",
            r"multiple retries|delivery time|not (?:been )?delivered (?:within|for|after)|undelivered (?:for|after)",
            r"unable to deliver .{0,30}(?:hours|days)|could not be delivered (?:for|within|after)",
            r"no longer (?:be )?(?:tried|retried)|maximum (?:retries|number of (?:retries|attempts))",
            r"loop(?:s|ed|ing|back)?\b|hop count|too many (?:hops|received)|maximum hop",
            r"points? (?:back )?to (?:me|myself|local ?host)",
            r"try (?:again|later)|(?:please )?retry|temporar|transient|deferred",
            r"lookup (?:failure|did not complete|timed)|servfail|malformed or unexpected name server",
            r"(?:dns|name (?:server|service)).{0,60}(?:fail|error.{0,40}try|timeout|problem)",
            r"resolv.{0,20}(?:failed|temporar)",
        ),
    ),
    (
        "bad_domain",
        _any(
            r"(?:unknown|no such|invalid|illegal|bad|non-?existent|unrouteable|unroutable|undefined) (?:mail |"
            r"e-?mail |destination |recipient )?HOST",
            r"HOST(?: name|\(s\))?(?: or domain)?(?: name)?(?: \S+)?[ :]+(?:is |was |are |could |can )?(?:unknown|"
            r"not (?:be )?found|not known|(?:does not|doesn't|not|don't) exist|invalid|not defined|non-?existent)",
            r"could not find a gateway|nxdomain|null ?mx",
            r"no (?:valid |appropriate )?(?:mx|mail ?hosts?|mail exchange|mail server)",
            r"mx (?:records? )?.{0,40}non-?existent|could(?: not|n't) find any host|couldn't find a mail exchanger",
            r"name or service not known|host or domain name not found|does not accept (?:any )?(?:e-?)?mail\b",
            r"domain does(?: not|n't) (?:accept|receive|exist)|has no (?:mx|mail|a record)|not a valid domain",
            r"domain .{0,60}(?:not exist|not found|unknown|no mail)|address lookups? failed permanently",
            r"server returned answer with no data",
            r"(?:destination|recipient) (?:system|domain) .{0,40}(?:not exist|not found|unknown|invalid)",
            r"record indicated no smtp service|bad destination system|no a record",
            r"system not accepting network messages|host name is unknown",
        ),
    ),
    (
        "moved",
        _any(
            r"(?:user|mailbox|recipient|account|address) (?:has )?(?:been )?(?:moved|migrated|relocated|changed)\b",
            r"has moved to|moved to another|new address|no longer (?:on server|on this server|with us)",
            r"address (?:is )?(?:obsolete|retired)|has been replaced|forward(?:ing)? address",
        ),
    ),
    (
        "bad_mailbox",
        _any(
            r"no such (?:\S+ )?(?:user|mailbox|mail box|recipient|person|address|account|alias|id\b|name|local|mail|"
            r"in-?box|member|customer)",
            r"(?:unknown|undefined|invalid|illegal|non-?existent|bad|wrong|incorrect|unlisted|unrouteable|"
            r"unroutable|undeliverable|inexistent|unrecogni[sz]ed|no valid) (?:or \S+ )?(?:e-?mail |local |"
            r"destination |final |delivery |mail |recipient |to )?WHO",
            r"WHO(?:\(s\))?s?\b[^;\n]{0,90}?\b(?:not (?:be |been )?(?:found|exist|known|valid|recogni[sz]ed|listed|"
            r"registered|defined|present|located|match|here|on this|a valid|one of|in (?:our|the|my|this))|(?:does|"
            r"do|did|could)(?: not|n't) (?:exist|match|resolve|be found)|(?:isn't|is not) (?:valid|known|found|here|"
            r"a)|unknown|invalid|unavailable|no longer (?:exist|valid|available|here|in use|employed|works)|"
            r"non-?existent|inexistent|undeliverable|incorrect|(?:has|have) been (?:deleted|removed)|deleted|"
            r"removed)",
            r"not a (?:valid|known|local|registered|current|legal) (?:\S+ )?(?:mailbox|recipient|user|address|"
            r"account)",
            r"no mail ?box|no account|doesn't have a|does not have an?|user has no",
            r"cannot find (?:the )?(?:user|mailbox|recipient)|couldn't be found|could not be found|unknown local",
            r"not our (?:user|customer)|not exist|no longer (?:a )?valid|unknown to|not known here|user not",
            r"recipient not",
            r"\bno user\b|nosuchuser|recipnotfound|recipientnotfound|addressee unknown|bad address|not listed in",
            r"is unknown\b|unknown or illegal alias",
            r"(?:recipient address|address|recipient|user) (?:was )?rejected[.,]?(?: by \S+)?\s*(?:$|\(|\[)",
            r"rejected recipient|invalid mailbox",
            r"unbekannt|existiert nicht|nicht (?:gefunden|bekannt|vorhanden)|n'existe pas|inconnu|introuvable",
            r"no existe|desconocid|no (?:se )?(?:ha )?(?:encontr|pudo encontrar)|non esiste|inesistente|sconosciut",
            r"non (?:è stato )?trovat|trovare l'indirizzo|não (?:existe|encontrad|foi encontrad)|desconhecid",
            r"inexistente|nie istnieje|nieznany|onbekend|bestaat niet|finns inte|okänd|bulunamad|mevcut değil",
            r"не существует|не найден|неизвест|не зарегистрирован|нет такого",
            r"不存在|无此用户|查无|存在しま|見つかりま|존재하지|찾을 수 없",
            r"غير موجود|وجود ندارد|غير معروف|یافت نشد",
        ),
    ),
    (
        "system",
        _any(
            r"mailer error|local (?:configuration )?error|service (?:un|not )available|command (?:fail|died|not)",
            r"configuration error|internal (?:server )?error|cannot (?:open|create|append|update)",
            r"can't (?:open|create|append)|no such file|pipe to|ldap|temporary system problem|resources",
            r"software error|unexpected|storedrv|protocol error|syntax error|bad sequence",
        ),
    ),
)

# The server names its own list of users here: it knows whom it has.
DIRECTORY = _any(
    r"not listed in (?:the )?(?:public |domino |\S+ )?(?:directory|name ?(?:&|and) ?address book)",
    r"domino .{0,12}ディレクトリ",
    r"recipient name is not recogni[sz]ed|\(000c05a6\)|recip(?:ient)?notfound|nosuchuser",
    r"e-?mail account does not exist at the organi[sz]ation",
    r"5\.4\.1 .{0,80}recipient address rejected: access denied",
    r"email account that you tried to reach does not exist|(?:user|person) doesn't have an? \S+ account",
    r"mail\.local: unknown (?:user|name)|unknown user name in|no such local user|unknown local.?part",
    r"mailbox unavailable \(-?\d+:\d+:-?\d+\)|unrout(?:e)?able address|unknown or illegal alias",
    r"no valid recipients for this mm",
    r"local (?:mailbox|user|recipient)\b.{0,80}(?:not (?:found|known|exist)|unknown)",
    r"no user by that name at this server",
    r"(?<!\d )unknown user: [<\"]|msexch:ims:.{0,200}unknown recipient",
)


_ADDRESS = re.compile(r"[^\s<>\"]{1,128}@[^\s<>\"]{1,253}")
_LINK = re.compile(r"https?://\S{1,500}|mailto:\S{1,500}", re.I)
_MOST = 8_000


def plain_words(text: str) -> str:
    """A reply as one line without links, and with addresses blanked: their words are not the server's."""
    return " ".join(_ADDRESS.sub("<a@b>", _LINK.sub(" ", text[:_MOST])).split())


def reason_of_words(text: str) -> Reason | None:
    """The reason that a server's plain words name, if any."""
    return next((reason for reason, pattern in WORDS if pattern.search(text)), None)
