"""Single mail of one workspace while another one's campaign goes out."""

import time

from tests.chaos.bench import Bench
from tests.chaos.checker import Terms
from tests.chaos.evidence import read_log
from tests.chaos.rows import Outcome, row
from tests.fixtures.outside import Outside

SINGLES = 100
TIMES = 10  # the campaign's size, in those of other rows
P99_S = 2.0


@row("L1", "100 single mails of one workspace beside a tenfold campaign of another")
def single_mail(bench: Bench) -> Outcome:
    """From the request to the sink, while the campaign is under way. The campaign is cancelled then."""
    info = bench.stack.info()
    made = bench.outside.call("POST", "/v1/workspaces", json={"name": "Singles", "postal_address": "1 Quick Road"})
    other = Outside(info["url"], made["token"])
    with other.http:
        sender = other.sender()
        content = {"subject": "Your receipt", "html": "<p>Thank you.</p>", "language": "en"}
        # What campaigns tells of a new sender has to have come to delivery; only then is there something to time.
        first = {"sender_id": sender, "to": [{"email": f"first{time.time_ns()}@gmail.com"}], "content": content}
        other.call("POST", "/v1/messages", json=first)
        sending = bench.send(count=bench.size * TIMES)
        bench.wait_for(sending, 0.02, 300)
        asked: dict[str, float] = {}
        for n in range(SINGLES):
            address = f"single{n}.{sending.tag}@{('gmail.com', 'outlook.com', 'shop.example')[n % 3]}"
            began = time.time()
            body = {"sender_id": sender, "to": [{"email": address}], "content": content}
            other.call("POST", "/v1/messages", json=body)
            asked[address] = began
            time.sleep(0.3)
        share = bench.arrived(sending) / len(sending.wanted)
        said = [] if share < 1 else ["the campaign was over before the last single mail was asked for"]
        bench.outside.http.post(f"/v1/campaigns/{sending.id}/cancel", json={})
        verdict = bench.verdict(sending, Terms(cancelled=True))
    took: dict[str, list[float]] = {one: [] for one in asked}
    for seen in read_log(bench.sink.log, sending.log_from):
        if seen.has and seen.recipient in took:
            took[seen.recipient].append(seen.t - asked[seen.recipient])
    times = sorted(one for found in took.values() for one in found)
    said += [f"{n} single mails arrived {what}" for what, n in (
        ("never", sum(not found for found in took.values())), ("twice", sum(len(found) > 1 for found in took.values()))
    ) if n]  # fmt: skip
    p99 = times[int(len(times) * 0.99) - 1] if times else float("inf")
    if p99 >= P99_S:
        said.append(f"single mails took {p99:.2f} s at the 99th percentile")
    median = times[len(times) // 2] if times else float("inf")
    return [verdict], f"{median:.2f} s, p99 {p99:.2f} s; the campaign was at {share:.0%}", said
