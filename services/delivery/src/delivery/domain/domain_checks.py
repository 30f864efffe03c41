"""What must stand in the DNS for a sending domain, and what to say of what stands there. Asks nobody: pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Literal

from delivery.domain import dkim_records, dmarc, spf

CheckName = Literal["dkim", "spf", "dmarc", "return_path", "mx", "ptr"]
# unchecked: not yet looked at; unknown: the DNS did not answer; not_applicable: nothing here that could be checked.
Status = Literal["unchecked", "ok", "warning", "missing", "wrong", "unknown", "not_applicable"]
KeyState = Literal["published", "active", "retired"]

# Mail that was signed by a retired key is on its way, or waits in a queue, for five days at most (RFC 5321 §4.5.4.1).
KEEP_RETIRED = timedelta(days=7)
BAD: frozenset[str] = frozenset({"missing", "wrong"})
_NO_ANSWER = "The DNS did not answer. What was known before still holds; it is asked again."


@dataclass(frozen=True, slots=True)
class DnsRecord:
    """One record to publish."""

    type: str
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at. `subject`: which key (its selector) or sending address.

    `publish` are the exact records that should be there; empty where nothing need change.
    """

    check: CheckName
    status: Status
    detail: str
    publish: tuple[DnsRecord, ...] = ()
    found: tuple[str, ...] = ()
    subject: str | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """What the installation says of how its mail leaves: see BARID_SPF, BARID_SENDING_IPS and BARID_BOUNCE_ADDRESS."""

    spf: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    bounce_domain: str | None = None


@dataclass(frozen=True, slots=True)
class Key:
    """A DKIM key's public half."""

    selector: str
    algorithm: str
    public: bytes
    state: KeyState
    retired_at: datetime | None = None


@dataclass(slots=True)
class Answers:
    """What the DNS said; None where it did not answer. `dkim` by selector: of those that were asked for.

    `exists`: false where the DNS said that there is no such name, nor one below it (RFC 8020).
    """

    dkim: dict[str, list[str] | None] = field(default_factory=dict)
    texts: list[str] | None = None
    verdicts: dict[str, spf.Verdict] = field(default_factory=dict)
    dmarc: dict[str, list[str]] | None = None
    exists: bool = True
    return_path: "ReturnPath | None" = None
    mail_hosts: list[str] | None = None
    addresses: list[str] = field(default_factory=list)
    names: dict[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReturnPath:
    """What stands at the return path: an alias, or mail hosts."""

    alias: str | None
    mail_hosts: tuple[str, ...]


def return_path(domain: str) -> str:
    """The name that bounces of a domain's mail go to."""
    return f"bounces.{domain}"


def unchecked(domain: str, keys: Sequence[Key], facts: Facts) -> list[Check]:
    """Every check before the first look, with the records to publish."""
    checks = [_dkim(domain, key, "unchecked", "Publish this record.") for key in keys]
    checks.append(Check("spf", "unchecked", "Publish this record.", (_spf_record(domain, None, facts),)))
    checks.append(Check("dmarc", "unchecked", "Publish this record.", (_dmarc_record(domain),)))
    checks.append(_return_path(domain, facts, "unchecked", "Bounces need a way back."))
    checks.append(Check("mx", "unchecked", "Replies need a mail host."))
    return [*checks, *(Check("ptr", "unchecked", f"The name of {one}.", subject=one) for one in facts.addresses)]


def judged(domain: str, keys: Sequence[Key], facts: Facts, answers: Answers, now: datetime) -> list[Check]:
    """Every check, by what the DNS said."""
    return [
        *(
            judge_dkim(domain, key, answers.dkim[key.selector], now)
            if key.selector in answers.dkim
            else _dkim(domain, key, "unchecked", "Publish this record.")
            for key in keys
        ),
        judge_spf(domain, facts, answers.texts, answers.verdicts),
        judge_dmarc(domain, answers.dmarc, exists=answers.exists),
        judge_return_path(domain, facts, answers.return_path),
        judge_mx(answers.mail_hosts, answers.addresses),
        *(judge_ptr(address, answers.names.get(address)) for address in facts.addresses),
    ]


def is_found(key: Key, texts: list[str] | None) -> bool:
    """Whether receivers find the key at its name: this record, and no other (RFC 6376 §3.6.2.2)."""
    return texts is not None and len(texts) == 1 and dkim_records.holds(texts[0], key.algorithm, key.public)


def judge_dkim(domain: str, key: Key, texts: list[str] | None, now: datetime) -> Check:
    """Whether receivers find the key, and how long the record of a retired one is needed."""
    status: Status = "ok"
    if texts is None:
        status, detail = "unknown", _NO_ANSWER
    elif key.retired_at is not None and now - key.retired_at > KEEP_RETIRED:
        detail = "This key signs no more. Its record may be removed."
    elif is_found(key, texts):
        detail = "Receivers find the key, and mail is signed by it."
        if key.retired_at is not None:
            detail = "This key signs no more, but mail it signed is on its way: keep its record for a week."
    elif len(texts) > 1:
        status, detail = "wrong", "There must be one TXT record at this name: remove the others."
    elif texts:
        status, detail = "wrong", "Another text stands there: replace it by this record."
    else:
        status, detail = "missing", "Publish this record. Mail is not signed by this key before it is there."
    if status == "ok":
        return Check("dkim", status, detail, (), tuple(texts or ()), key.selector)
    return _dkim(domain, key, status, detail, texts or ())


def judge_spf(domain: str, facts: Facts, texts: list[str] | None, verdicts: Mapping[str, spf.Verdict]) -> Check:
    """Whether the domain lets our way out send for it (RFC 7208)."""
    if texts is None:
        return Check("spf", "unknown", _NO_ANSWER)
    found = spf.records(texts)
    if not found:
        return Check("spf", "missing", "Publish this record.", (_spf_record(domain, None, facts),))
    merged = " ".join(dict.fromkeys(term for text in found for term in text.split()))
    wanted = _spf_record(domain, merged, facts)
    fault = _spf_fault(found, wanted.value, facts, verdicts)
    if fault:
        publish = (wanted,) if wanted.value not in found else ()
        return Check("spf", "wrong", fault, publish, tuple(found))
    detail = "The record lets our way out send for the domain."
    if not facts.addresses and not facts.spf:
        detail = "There is a record; BARID_SPF and BARID_SENDING_IPS, by which our way out could be known, are not set."
    return Check("spf", "ok", detail, (), tuple(found))


def _spf_fault(found: Sequence[str], wanted: str, facts: Facts, verdicts: Mapping[str, spf.Verdict]) -> str:
    broken = next((verdict.why for verdict in verdicts.values() if verdict.result == "permerror"), "")
    refused = [one for one in facts.addresses if verdicts.get(one, spf.Verdict()).result != "pass"]
    if len(found) > 1:
        return "There must be one SPF record: merge them into this one."
    if any(term.lower() in {"all", "+all"} for term in found[0].split()):
        return "The record lets the whole world send for the domain: end it with ~all or -all."
    if broken:
        return f"Receivers cannot use the record: {broken}."
    if refused:
        return f"The record does not let {', '.join(refused)} send: replace it by this one."
    if not facts.addresses and wanted != found[0]:
        return "The record does not name our way out: replace it by this one."
    return ""


def judge_dmarc(domain: str, texts: Mapping[str, list[str]] | None, *, exists: bool = True) -> Check:
    """Whether a DMARC record applies (RFC 9989), by the tree walk's answers; `exists`: the domain is in the DNS."""
    if texts is None:
        return Check("dmarc", "unknown", _NO_ANSWER)
    there = texts.get(domain, [])
    records = {name: dmarc.only_record(at) for name, at in texts.items()}
    found = dmarc.discover(domain, records)
    if sum(dmarc.parse(text) is not None for text in there) > 1:
        detail = "There are several DMARC records, so receivers use none: leave one."
        return Check("dmarc", "wrong", detail, (), tuple(there))
    if found.record is None or found.at is None:
        status: Status = "wrong" if there else "missing"
        detail = "What stands there is no DMARC record: it begins with v=DMARC1." if there else "Publish this record."
        return Check("dmarc", status, detail, (_dmarc_record(domain),), tuple(there))
    status, detail = "ok", _policy(domain, found.record, found.at, exists)
    removed = [tag for tag in dmarc.REMOVED if tag in found.record.tags]
    if removed:
        status = "warning"
        detail += f" Receivers ignore {', '.join(removed)} since RFC 9989: take them out."
        if "pct" in removed:
            detail += " t=y, which asks for no action yet, takes the place of a pct below 100."
    if found.record.faulty:
        status = "warning"
    return Check("dmarc", status, detail, (), tuple(text for text in texts[found.at] if dmarc.parse(text)))


def _policy(domain: str, record: dmarc.DmarcRecord, at: str, exists: bool) -> str:
    """Which policy applies to the domain, and which tag of which record says so."""
    place = f"the record at _dmarc.{at}"
    if record.faulty:
        unread = "" if "rua" in record.tags else ", and having no rua, by many as no record"
        return (
            f"{' and '.join(record.faulty)} of {place} must say none, quarantine or reject:"
            f" till then receivers take it for p=none{unread}."
        )
    below = domain != at
    applied = record.applied(below=below, exists=exists)
    detail = f"The policy is {applied.policy}: {applied.tag} of {place}"
    if below and applied.tag == "p":
        detail += ", which has no sp"
    detail += "."
    if applied.tag == "np":
        later = record.applied(below=True)
        detail += f" np counts while {domain} is not in the DNS; then it is {later.policy}, by {later.tag}."
    if record.testing and applied.policy != "none":
        detail += f" It is only being tested (t=y): receivers are asked to act as under {applied.under_test}."
    return detail


def is_at_home(domain: str, facts: Facts) -> bool:
    """Whether the address for bounces is in the domain already, so that SPF is aligned without another name."""
    return facts.bounce_domain is not None and f".{facts.bounce_domain}".endswith(f".{domain}")


def judge_return_path(domain: str, facts: Facts, found: ReturnPath | None) -> Check:
    """Whether bounces come back to us."""
    if facts.bounce_domain is None:
        return _return_path(domain, facts, "unchecked", "")
    if found is None:
        return _return_path(domain, facts, "unknown", _NO_ANSWER)
    there = (*((f"CNAME {found.alias}",) if found.alias else ()), *(f"MX {host}" for host in found.mail_hosts))
    if is_at_home(domain, facts):
        if there:
            return Check("return_path", "ok", f"Bounces go to {facts.bounce_domain}.", (), there)
        detail = f"Bounces go to {facts.bounce_domain}, which takes no mail: give it an MX record."
        return Check("return_path", "missing", detail)
    # The same mail hosts would not do: many domains share those of one provider, each with mailboxes of its own.
    if facts.bounce_domain in {found.alias, *found.mail_hosts}:
        return Check("return_path", "ok", "Bounces come back here.", (), there)
    status: Status = "wrong" if there else "missing"
    detail = "replace what stands there by this record" if there else "publish this record"
    return _return_path(domain, facts, status, f"Bounces do not come back by it: {detail}.", there)


def judge_mx(hosts: list[str] | None, addresses: Sequence[str]) -> Check:
    """Whether people can answer: receivers distrust senders that take no mail."""
    if hosts is None:
        return Check("mx", "unknown", _NO_ANSWER)
    found = tuple(f"MX {host or '.'}" for host in hosts)
    if hosts == [""]:
        detail = "The domain says that it takes no mail (null MX, RFC 7505). Many receivers refuse senders like that."
        return Check("mx", "wrong", detail, (), found)
    if hosts:
        return Check("mx", "ok", "The domain takes mail.", (), found)
    if addresses:
        detail = "There is no MX record; mail goes to the host of that name. Publish an MX record with your mail host."
        return Check("mx", "warning", detail, (), tuple(addresses))
    return Check("mx", "missing", "Nobody can answer mail from this domain. Publish an MX record with your mail host.")


def judge_ptr(address: str, names: list[str] | None) -> Check:
    """Whether a sending address has a name that leads back to it; `names` are only those that do."""
    if names is None:
        return Check("ptr", "unknown", _NO_ANSWER, subject=address)
    if names:
        return Check("ptr", "ok", f"{address} is {names[0]}, and back.", (), tuple(names), address)
    detail = (
        f"{address} has no name that leads back to it. Who runs the address publishes a PTR record at"
        f" {ip_address(address).reverse_pointer} with a host name whose A or AAAA record is {address}."
    )
    return Check("ptr", "missing", detail, subject=address)


def relaxed(domain: str, texts: Mapping[str, list[str]] | None) -> bool | None:
    """Whether a signature of the domain stands for its subdomains too (RFC 9989 §4.4); None where nobody answered."""
    if texts is None:
        return None
    found = dmarc.discover(domain, {name: dmarc.only_record(there) for name, there in texts.items()})
    return found.record is None or not found.record.strict("adkim")


def _dkim(domain: str, key: Key, status: Status, detail: str, found: Sequence[str] = ()) -> Check:
    name = f"{key.selector}._domainkey.{domain}"
    record = DnsRecord("TXT", name, dkim_records.record(key.algorithm, key.public))
    return Check("dkim", status, detail, (record,), tuple(found), key.selector)


def _spf_record(domain: str, present: str | None, facts: Facts) -> DnsRecord:
    named = facts.spf or tuple(f"ip{ip_address(one).version}:{one}" for one in facts.addresses)
    return DnsRecord("TXT", domain, spf.authorising(present, named))


def _dmarc_record(domain: str) -> DnsRecord:
    return DnsRecord("TXT", f"_dmarc.{domain}", "v=DMARC1; p=none")


def _return_path(domain: str, facts: Facts, status: Status, detail: str, found: Sequence[str] = ()) -> Check:
    if facts.bounce_domain is None:
        return Check("return_path", "not_applicable", "Bounces go to the sender: BARID_BOUNCE_ADDRESS is not set.")
    if is_at_home(domain, facts):
        return Check("return_path", status, detail)
    record = DnsRecord("CNAME", return_path(domain), facts.bounce_domain)
    return Check("return_path", status, detail, (record,), tuple(found))
