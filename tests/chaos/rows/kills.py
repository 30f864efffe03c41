"""kill -9: at random moments, and between each pair of steps of the mailer, the relay and the consumers."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.chaos.bench import WINDOW, Bench, Sending, stop
from tests.chaos.checker import Terms
from tests.chaos.rows import Outcome, row
from tests.chaos.script import Rule

MUTE_AFTER_RCPT = Rule("mute", "rcpt", "hang")
MUTE_AFTER_DOT = Rule("mute", "body", "hang", takes=True)


@row("F1", "kill -9 of each process at random moments")
def anywhere(bench: Bench) -> Outcome:
    """Each process twice, the mailer three times, at shares of the audience that the seed gives."""
    chance = bench.random("F1")
    victims = ["gateway", "all", "postgres", "mailer"] * 2 + ["mailer"] + (["broker"] * 2 if bench.broker else [])
    chance.shuffle(victims)
    moments = sorted(chance.uniform(0, 0.9) for _ in victims)
    sending = bench.send()
    for moment, victim in zip(moments, victims, strict=True):
        bench.wait_for(sending, moment)
        bench.kill(victim)
    killed = victims.count("mailer")
    verdict = bench.verdict(sending, Terms(uncertain=WINDOW * killed))
    return [verdict], f"{len(victims)} kills, {killed} of a mailer", []


@row("F2", "kill -9 between each pair of steps")
def between_steps(bench: Bench) -> Outcome:
    """One campaign, caught at each step in turn. Whoever was under an intent of a killed mailer is in doubt: exactly
    these, by name; kills of other processes leave nobody in doubt.
    """
    bench.kill("mailer")  # its lease taken, nothing marked
    doubt: set[str] = set()
    with bench.databases.locked("delivery", "messages"):  # a batch of the audience read, not committed
        sending = bench.send()
        _until_waiting(bench, "delivery")
        bench.kill("all")
    steps = [_marked, _commands_written, _dot_written, _accepted, _recorded, _consumed]
    for n, step in enumerate(steps):
        bench.wait_for(sending, n / (len(steps) + 1))
        doubt |= step(bench, sending)
    verdict = bench.verdict(sending, Terms(in_doubt=frozenset(doubt)))
    too_many = [] if len(doubt) <= 4 * WINDOW else [f"{len(doubt)} in doubt for 4 mailers killed under a mark"]
    return [verdict], f"killed at {len(steps) + 2} steps", too_many


def _marked(bench: Bench, sending: Sending) -> frozenset[str]:
    """Marked, no MAIL written: the server is gone."""
    bench.proxy.tell(mode="refuse", cut=True)
    time.sleep(1)
    try:
        return _kill_mailer(bench, sending)
    finally:
        bench.proxy.tell(mode="pass")


def _commands_written(bench: Bench, sending: Sending) -> frozenset[str]:
    """MAIL, RCPT and DATA written, no body."""
    with _muted(bench, MUTE_AFTER_RCPT):
        return _kill_mailer(bench, sending)


def _dot_written(bench: Bench, sending: Sending) -> frozenset[str]:
    """The body written, no reply."""
    with _muted(bench, MUTE_AFTER_DOT):
        return _kill_mailer(bench, sending)


def _accepted(bench: Bench, sending: Sending) -> frozenset[str]:
    """250 heard, the outcome not committed. What PostgreSQL was told is one statement, and outlives the mailer."""
    with bench.databases.locked("delivery", "message_counts"):
        _until_still(bench, sending)
        stop(bench.stack.pid("mailer"))
    return _kill_mailer(bench, sending)


def _recorded(bench: Bench, sending: Sending) -> frozenset[str]:
    """Outcomes committed, their events not published."""
    stop(bench.stack.pid("all"))
    bench.wait_for(sending, (bench.arrived(sending) + 100) / len(sending.wanted))
    bench.kill("all")
    return frozenset()


def _consumed(bench: Bench, sending: Sending) -> frozenset[str]:
    """Events counted by analytics, offsets not committed."""
    with bench.databases.locked("analytics", "status_counts"):
        _until_waiting(bench, "analytics")
        bench.kill("all")
    return frozenset()


def _kill_mailer(bench: Bench, sending: Sending) -> frozenset[str]:
    """Stop it, see who is under its intents, kill it."""
    stop(bench.stack.pid("mailer"))
    time.sleep(0.5)  # a commit that was under way
    doubt = bench.attempting(sending)
    bench.kill("mailer")
    return doubt


@contextmanager
def _muted(bench: Bench, rule: Rule) -> Iterator[None]:
    """The server falls silent at a step; entered once all connections wait there."""
    bench.sink.script(bench.seed, [rule])
    bench.outside.until(bench.sink.tell, lambda stats: 0 < stats["held"] == stats["open"], 30)
    try:
        yield
    finally:
        bench.sink.script(bench.seed)
        bench.sink.tell(release=True)


def _until_waiting(bench: Bench, service: str) -> None:
    """Until a process of a service waits for a lock."""
    waiting = "select count(*) from pg_stat_activity where datname = $1 and wait_event_type = 'Lock'"
    bench.outside.until(lambda: bench.databases.read(service, waiting, service)[0][0], lambda n: n > 0, 60)


def _until_still(bench: Bench, sending: Sending) -> None:
    """Until nothing arrives any more."""
    before = -1
    while (now := bench.arrived(sending)) != before:
        before = now
        time.sleep(1)
