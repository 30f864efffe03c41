"""What mail providers tell by their webhooks: many times, in any order, and some of it by somebody else."""

import base64
import json
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.chaos.bench import SENDING_DOMAIN, Bench
from tests.chaos.checker import Terms
from tests.chaos.rows import Outcome, row
from tests.chaos.script import Rule

BOUNCED = Rule("bounced", "body", "reply", share=0.03)
COMPLAINED = Rule("complained", "body", "reply", share=0.01)
FORGED = Rule("forged", "body", "reply", share=0.05)
TIMES, OFTEN = 4, 50  # each event so many times, every hundredth this often
AT_ONCE = 500
ANSWER_S = 1.0


@row("F22", "a provider's events 4 to 50 times, shuffled, and forged ones")
def told_again(bench: Bench) -> Outcome:
    """Each counts once, forged ones not at all, whoever bounced or complained is blocked, nobody else."""
    sending = bench.send()
    bench.closed(sending)
    bounced = BOUNCED.chosen(bench.seed, sending.wanted)
    complained = COMPLAINED.chosen(bench.seed, sending.wanted) - bounced
    true, forged = [], []
    for seen in bench.log(sending):
        if not seen.has or seen.recipient is None:
            continue
        about = {"email": seen.recipient, "smtp-id": f"<{seen.message_id}@{SENDING_DOMAIN}>", "timestamp": int(seen.t)}
        bounce = {**about, "event": "bounce", "type": "bounce", "status": "5.1.1", "reason": "550 5.1.1 no such user"}
        kind = bounce if seen.recipient in bounced else {**about, "event": "delivered"}
        true.append({**kind, "sg_event_id": f"1-{seen.message_id}"})
        if seen.recipient in complained:
            true.append({**about, "event": "spamreport", "sg_event_id": f"2-{seen.message_id}"})
        if seen.recipient in FORGED.chosen(bench.seed, sending.wanted) - bounced:
            forged.append({**bounce, "sg_event_id": f"3-{seen.message_id}"})
    told = [one for n, one in enumerate(true) for _ in range(OFTEN if n % 100 == 0 else TIMES)]
    bench.random("F22").shuffle(told)
    said, slowest = _tell(bench, told, forged)
    if slowest > ANSWER_S:
        said.append(f"an answer took {slowest:.1f} s")
    verdict = bench.verdict(sending, Terms(blocked=bounced | complained))
    wanted = {
        "bounced": bounced, "complained": complained, "delivered": sending.wanted - bounced,
    }  # fmt: skip
    said += _facts(bench, sending.id, wanted)
    note = f"{len(told):,} events of {len(true):,} and {len(forged):,} forged, {slowest:.2f} s for {AT_ONCE} at most"
    return [verdict], note, said


def _tell(bench: Bench, told: list[dict], forged: list[dict]) -> tuple[list[str], float]:
    """Give them, signed by the provider and by somebody else, two at once: wrong answers, and the longest wait."""
    own, strange = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    public = own.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    body = {"provider": "sendgrid", "name": f"s{time.time_ns()}", "verification_key": base64.b64encode(public).decode()}
    url = bench.outside.call("POST", "/v1/bounces/endpoints", json=body)["url"]

    def post(part: tuple[ec.EllipticCurvePrivateKey, list[dict]]) -> tuple[int, float]:
        key, events = part
        raw, now = json.dumps(events).encode(), str(int(time.time()))
        signature = base64.b64encode(key.sign(now.encode() + raw, ec.ECDSA(SHA256()))).decode()
        headers = {"X-Twilio-Email-Event-Webhook-Signature": signature, "X-Twilio-Email-Event-Webhook-Timestamp": now}
        began = time.monotonic()
        answer = httpx.post(url, content=raw, headers=headers, timeout=60)
        return answer.status_code, time.monotonic() - began

    parts = [(own, told[n : n + AT_ONCE]) for n in range(0, len(told), AT_ONCE)]
    parts += [(strange, forged[n : n + AT_ONCE]) for n in range(0, len(forged), AT_ONCE)]
    bench.random("F22 order").shuffle(parts)
    with ThreadPoolExecutor(2) as posting:
        answers = list(posting.map(post, parts))
    wrong = Counter(
        f"{'a true' if key is own else 'a forged'} call was answered {status}"
        for (key, _), (status, _) in zip(parts, answers, strict=True)
        if (key is own) != (status < 300) or status >= 500
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
