"""Processes that stop and come back, come and go, or are there twice."""

import signal
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import cycle, pairwise

from tests.chaos.bench import WINDOW, Bench, Sending, go_on, stop
from tests.chaos.checker import Terms
from tests.chaos.rows import Outcome, row

LEASE_S = 30
STILL_S = 12  # what it had locked is free by then


@row("F6", "double clicks, repeated requests, every job, relay and mailer there twice")
def twice(bench: Bench) -> Outcome:
    """One campaign by twenty clicks at once, one by a schedule that three processes look at."""
    for service, command in (("campaigns", "jobs"), ("campaigns", "jobs"), ("contacts", "jobs"), ("delivery", "jobs"),
                             ("contacts", "relay"), ("delivery", "relay"), ("delivery", "mailer")):  # fmt: skip
        bench.another(service, command)
    half = bench.size // 2
    said = []
    tag, wanted = bench.people(half)
    clicked = bench.draft(tag)
    now, log_from = time.time(), bench.sink.log.stat().st_size
    with ThreadPoolExecutor(20) as clicks:
        start = f"/v1/campaigns/{clicked}/start"
        answers = list(clicks.map(lambda _: bench.outside.http.post(start, json={}).status_code, range(20)))
    if sorted(answers) != [200] + [409] * 19:
        said.append(f"twenty clicks were answered {sorted(answers)}")
    keyed = {"Idempotency-Key": f"once-{tag}"}
    body = {"name": "once", "audience": {"segment_ids": []}}
    with ThreadPoolExecutor(8) as clicks:
        made = list(clicks.map(lambda _: bench.outside.http.post("/v1/campaigns", json=body, headers=keyed), range(8)))
    ids = {answer.json()["id"] for answer in made if answer.status_code == 201}
    odd = sorted({answer.status_code for answer in made} - {201, 409})
    if len(ids) != 1 or odd:
        said.append(f"one Idempotency-Key made {len(ids)} campaigns; other answers: {odd}")
    first = bench.verdict(Sending(clicked, tag, wanted, log_from, now), Terms())

    tag, wanted = bench.people(half)
    timed = bench.draft(tag)
    now, log_from = time.time(), bench.sink.log.stat().st_size
    at = datetime.now(UTC) + timedelta(seconds=3)
    bench.outside.call("POST", f"/v1/campaigns/{timed}/schedule", json={"at": at.isoformat()})
    return [first, bench.verdict(Sending(timed, tag, wanted, log_from, now), Terms())], "7 more processes", said


@row("F7", "SIGSTOP of a mailer beyond its lease, then SIGCONT")
def zombie(bench: Bench) -> Outcome:
    """Another mailer goes on meanwhile. Who comes back writes nothing that it had not begun."""
    bench.another("delivery", "mailer")
    sending = bench.send(bench.slow())
    bench.wait_for(sending, 0.1)
    pid = bench.stack.pid("mailer")
    stopped = time.time()
    stop(pid)
    time.sleep(LEASE_S + 10)
    under_way, left = len(bench.attempting(sending)), len(sending.wanted) - bench.arrived(sending)
    back = time.time()
    go_on(pid)
    verdict = bench.verdict(sending, Terms(uncertain=WINDOW))
    times = [stopped, *sorted(seen.t for seen in bench.log(sending) if seen.has and stopped < seen.t < back)]
    more_to_send = left > WINDOW  # beside what the stopped one has under its intents
    silence = max((b - a for a, b in pairwise([*times, back] if more_to_send else times)), default=0.0)
    said = [f"{under_way} under intents, of one mailer with a lease"] if under_way > WINDOW else []
    said += [f"nobody sent for {silence:.0f} s"] if silence > STILL_S else []
    note = f"stopped for {back - stopped:.0f} s; the other one waited {silence:.0f} s at most and left {left:,} to send"
    return [verdict], note, said


@row("F15", "mailers and workers come and go, a rolling restart of all")
def coming_and_going(bench: Bench) -> Outcome:
    """All by SIGTERM: nobody may be left in doubt."""
    sending = bench.send(bench.slow())
    added = cycle([("delivery", "mailer"), ("delivery", "worker"), ("contacts", "worker"), ("analytics", "worker")])
    restarts = cycle(["mailer", "all", "gateway"])
    names: list[str] = []
    said: list[str] = []
    changes = 0
    while bench.arrived(sending) < 0.85 * len(sending.wanted):
        names.append(bench.another(*next(added)))
        time.sleep(2)
        bench.stack.kill(next(restarts), signal.SIGTERM)
        changes += 2
        if len(names) > 2:
            name = names.pop(0)
            if status := bench.end(name):
                said.append(f"{name} ended with {status}")
            changes += 1
    return [bench.verdict(sending, Terms())], f"{changes} changes", said
