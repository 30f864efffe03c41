"""What mail providers tell by their webhooks: many times, in any order, and some of it by somebody else."""

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from cryptography.hazmat.primitives.asymmetric import ec

from tests.chaos.bench import Bench
from tests.chaos.checker import Terms
from tests.chaos.rows import Outcome, row
from tests.chaos.script import Rule
from tests.chaos.sendgrid import Event, SendGrid, event

# Not faults of the sink: who is chosen by them.
BOUNCED = Rule("bounced", "body", "reply", share=0.03)
COMPLAINED = Rule("complained", "body", "reply", share=0.01)
FORGED = Rule("forged", "body", "reply", share=0.05)
TIMES, OFTEN = 4, 50  # each event so many times, every hundredth this often
AT_ONCE = 250
ANSWER_S = 1.0


@row("F22", "a provider's events 4 to 50 times, shuffled, and forged ones")
def told_again(bench: Bench) -> Outcome:
    """Each counts once, forged ones not at all, whoever bounced or complained is blocked, nobody else."""
    sending = bench.send()
    bench.closed(sending)
    bounced = BOUNCED.chosen(bench.seed, sending.wanted)
    complained = COMPLAINED.chosen(bench.seed, sending.wanted) - bounced
    slandered = FORGED.chosen(bench.seed, sending.wanted) - bounced
    true: list[Event] = []
    forged: list[Event] = []
    for seen in bench.log(sending):
        if seen.has:
            true.append(event("bounce" if seen.recipient in bounced else "delivered", seen))
            true += [event("spamreport", seen)] if seen.recipient in complained else []
            forged += [event("bounce", seen)] if seen.recipient in slandered else []
    told = [one for n, one in enumerate(true) for _ in range(OFTEN if n % 100 == 0 else TIMES)]
    bench.random("F22").shuffle(told)
    said, slowest = _tell(bench, told, forged)
    if slowest > ANSWER_S:
        said.append(f"an answer took {slowest:.1f} s")
    verdict = bench.verdict(sending, Terms(blocked=bounced | complained))
    said += _facts(
        bench, sending.id, {"bounced": bounced, "complained": complained, "delivered": sending.wanted - bounced}
    )
    note = f"{len(told):,} events of {len(true):,} and {len(forged):,} forged, {slowest:.2f} s for {AT_ONCE} at most"
    return [verdict], note, said


def _tell(bench: Bench, told: list[Event], forged: list[Event]) -> tuple[list[str], float]:
    """Give them, signed by the provider and by somebody else, two at once: wrong answers, and the longest wait."""
    provider, strange = SendGrid(bench), ec.generate_private_key(ec.SECP256R1())
    calls = [(None, told[n : n + AT_ONCE]) for n in range(0, len(told), AT_ONCE)]
    calls += [(strange, forged[n : n + AT_ONCE]) for n in range(0, len(forged), AT_ONCE)]
    bench.random("F22 order").shuffle(calls)
    with ThreadPoolExecutor(2) as telling:
        answers = list(telling.map(lambda call: provider.tell(call[1], call[0]), calls))
    wrong = Counter(
        f"{'a forged' if key else 'a true'} call was answered {status}"
        for (key, _), (status, _) in zip(calls, answers, strict=True)
        if (key is None) != (status < 300) or status >= 500
    )
    return [f"{n} times {what}" for what, n in wrong.items()], max(took for _, took in answers)


def _facts(bench: Bench, campaign: str, wanted: dict[str, frozenset[str]]) -> list[str]:
    """What analytics has of each kind, by identity, against what was told."""
    ids = {entry.recipient: entry.message_id for entry in bench.databases.ledger(campaign)}
    want = {kind: Counter(ids[one] for one in who) for kind, who in wanted.items()}
    deadline = time.monotonic() + 60
    while True:
        found = bench.databases.facts(campaign)
        have = {kind: Counter(found.get(kind, ())) for kind in want}
        if have == want or time.monotonic() > deadline:
            break
        time.sleep(0.5)
    return [
        f"{kind}: {(want[kind] - have[kind]).total()} missing, {(have[kind] - want[kind]).total()} too many"
        for kind in want
        if have[kind] != want[kind]
    ]
