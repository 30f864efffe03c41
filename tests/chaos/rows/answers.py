"""What the server answers, and what it leaves unsaid."""

import time
from collections import defaultdict
from itertools import pairwise
from statistics import median, pstdev

from tests.chaos.bench import RETRY_FIRST_S, WINDOW, Bench, Sending
from tests.chaos.checker import Seen, Terms, busiest
from tests.chaos.rows import Outcome, row
from tests.chaos.script import Rule

SPAN_S = 5.0

UNHURRIED = ("icloud.com", "yahoo.com")  # who refuse, and never ask for less
LATER = (
    Rule("busy", "greet", "reply", "421 4.3.2 too busy", share=0.2),
    Rule("closing", "rcpt", "reply", "421 4.7.0 try again later", domains=("chmail.ir",), until_s=3),
    Rule("unusual", "rcpt", "reply", "450 4.7.28 unusual rate", share=0.5, domains=("gmx.de",), until_s=3),
    Rule("throttling", "body", "reply", "454 4.7.0 throttling", share=0.5, domains=("proton.me",), until_s=3),
    Rule("resources", "mail", "reply", "451 4.3.0 no resources", share=0.5, domains=("mail.ru",), until_s=3),
    Rule("grey", "rcpt", "reply", "450 4.2.0 greylisted", share=0.10, first_s=4),
    Rule("data", "data", "reply", "451 4.3.0 not now", share=0.03, attempts=2),
    Rule("full", "body", "reply", "452 4.2.2 mailbox full", share=0.1, domains=UNHURRIED, attempts=6),
)


@row("F5", "421, 450 greylisting, 451, 452, 454 in every phase; one provider with a cap, three mailers")
def later(bench: Bench) -> Outcome:
    """All arrive in the end, nobody is blocked, waits grow and are not the same for all, the cap is kept."""
    cap = bench.size / 400  # so that the capped provider, 5 % of all, takes 20 s
    for _ in range(2):
        bench.another("delivery", "mailer")
    with bench.route({"yandex": {"per_second": cap}}):
        sending = bench.send(*LATER)
        verdict = bench.verdict(sending, Terms())
    seen = [one for one in bench.log(sending) if one.recipient]
    refusals = sum(one.verdict[:1] == "4" for one in seen)
    most = busiest([one.t for one in seen if _domain(one) == "yandex.ru"], SPAN_S) / SPAN_S
    said = [] if most <= cap * 1.05 + 1 / SPAN_S else [f"{most:.2f} a second to a provider whose cap is {cap:.2f}"]
    waits = [wait for wait in _waits([one for one in seen if _domain(one) in UNHURRIED]) if len(wait) > 5]
    # The first wait is for the rest of the campaign, which was due before; what waits for its turn adds to all of them.
    second, sixth = [wait[1] for wait in waits], [wait[5] for wait in waits]
    if not waits:
        return [verdict], f"{refusals:,} refusals", [*said, "nobody was refused six times"]
    if median(sixth) < 1.5 * median(second):
        said.append(f"waits did not grow: {median(second):.2f} s, then {median(sixth):.2f} s")
    if min(second) < RETRY_FIRST_S / 2 or pstdev(second) < RETRY_FIRST_S / 20:
        said.append(f"waits are from {min(second):.2f} s on, spread by {pstdev(second):.2f} s")
    note = f"{refusals:,} refusals; second waits of {median(second):.1f} s, sixth of {median(sixth):.1f} s; "
    return [verdict], f"{note}at most {most / cap:.0%} of the cap in {SPAN_S:.0f} s", said


def _domain(seen: Seen) -> str:
    return str(seen.recipient).rpartition("@")[2]


def _waits(seen: list[Seen]) -> list[list[float]]:
    """Each recipient's waits between attempts."""
    times: dict[str, list[float]] = defaultdict(list)
    for one in seen:
        times[str(one.recipient)].append(one.t)
    return [[b - a for a, b in pairwise(found)] for found in times.values()]


STALL_S = 30
FROZEN = 2
STALLS = (
    Rule("mute", "rcpt", "hang", seconds=20, share=0.2, domains=("chmail.ir",), until_s=STALL_S),
    Rule("drip", "body", "drip", "250 2.0.0 taken", seconds=5, domains=("chmail.ir",), until_s=STALL_S),
)


@row("F9", "a provider stalls and answers byte by byte, connections half-open")
def stalled(bench: Bench) -> Outcome:
    """The stalled provider has two connections at most, and others do not wait for it."""
    with bench.route({"chmail": {"connections": 2}}):
        quiet = bench.send(count=bench.size // 2)
        verdicts = [bench.verdict(quiet, Terms())]
        sending = bench.send(*STALLS, count=bench.size // 2)
        bench.wait_for(sending, 0.2)
        frozen = bench.proxy.tell(freeze_now=FROZEN)["frozen"]
        held = 0
        while time.time() < sending.began + STALL_S:
            held = max(held, bench.sink.tell()["held"])
            time.sleep(0.1)
        bench.proxy.tell(cut_frozen=True)
        verdicts.append(bench.verdict(sending, Terms(uncertain=frozen)))
    before, after = (_p99(bench, one, "chmail.ir") for one in (quiet, sending))
    said = [f"{held} connections stalled by one provider"] if held > 2 else []
    if after > 2 * before + 1:
        said.append(f"the others' p99 was {before:.1f} s, and {after:.1f} s with the stall")
    return verdicts, f"{frozen} half-open; the others' p99 {before:.1f} s, with the stall {after:.1f} s", said


def _p99(bench: Bench, sending: Sending, without: str) -> float:
    """When the last hundredth arrived, of all but one provider's, from the start on."""
    times = sorted(seen.t - sending.began for seen in bench.log(sending) if seen.has and _domain(seen) != without)
    return times[int(len(times) * 0.99) - 1]


@row("F8", "the server takes the mail, then drops, resets, hangs, or its 250 is lost")
def unsaid(bench: Bench) -> Outcome:
    """Exactly those are in doubt, whether the server kept the mail or not; none is sent twice or called failed."""
    few = max(0.002, 4 / bench.size)  # each costs a connection for the whole wait after the dot
    rules = (
        Rule("hang", "body", "hang", takes=True, share=few),
        Rule("drop", "body", "drop", takes=True, share=0.04),
        Rule("reset", "body", "reset", takes=True, share=0.04),
        Rule("discard", "body", "drop", share=0.02),
    )
    sending = bench.send(*rules)
    doubt = frozenset().union(*(rule.chosen(bench.seed, sending.wanted) for rule in rules))
    verdict = bench.verdict(sending, Terms(in_doubt=doubt))
    kept = sum(seen.verdict == "kept" for seen in bench.log(sending))
    return [verdict], f"{kept:,} mails kept without a word", []


REFUSED = (
    (Rule("nobody", "rcpt", "reply", "550 5.1.1 no such user", share=0.02), "bad_mailbox"),
    (Rule("over", "rcpt", "reply", "552 5.2.2 mailbox full", share=0.01), "mailbox_full"),
    (Rule("content", "body", "reply", "554 5.6.0 cannot be converted", share=0.01), "content"),
    (Rule("spam", "body", "reply", "550 5.7.1 looks like spam", share=0.005), "policy"),
)


@row("F10", "550, 552, 554 for some; then 5.7.515 for all")
def refused(bench: Bench) -> Outcome:
    """Only those fail, each as what it is; only a mailbox that is not there is blocked. Policy holds the campaign."""
    first = bench.send(*(rule for rule, _ in REFUSED))
    fails: dict[str, str] = {}
    for rule, reason in reversed(REFUSED):
        fails |= dict.fromkeys(rule.chosen(bench.seed, first.wanted), reason)
    nobody = frozenset(one for one, reason in fails.items() if reason == "bad_mailbox")
    verdicts = [bench.verdict(first, Terms(fails=fails, blocked=nobody))]

    unwanted = Rule("unwanted", "body", "reply", "550 5.7.515 Access denied, sending domain does not meet the level")
    second = bench.send(unwanted, count=bench.size // 4)
    state = bench.outside.until(lambda: _campaign(bench, second), lambda found: found["status"] == "paused", 60)
    told = {seen.recipient: "policy" for seen in bench.log(second) if seen.verdict == "550" and seen.recipient}
    said = [f"{len(told)} were refused before the campaign was held"] if len(told) > 2 * WINDOW else []
    bench.sink.script(bench.seed)
    bench.outside.call("POST", f"/v1/campaigns/{second.id}/resume", json={})
    verdicts.append(bench.verdict(second, Terms(fails=told)))
    return verdicts, f"held after {len(told)} refusals: {state.get('status_reason') or state['status']}", said


def _campaign(bench: Bench, sending: Sending) -> dict[str, str]:
    found: dict[str, str] = bench.outside.call("GET", f"/v1/campaigns/{sending.id}")
    return found
