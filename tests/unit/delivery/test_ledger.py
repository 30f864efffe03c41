"""The ledger's state machine under any order of steps, against what must always hold."""

from dataclasses import dataclass, field

from delivery.domain import ledger
from delivery.domain.balance import balance_of
from delivery.domain.ledger import Message
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from tests.fixtures.properties import times


@dataclass
class World:
    """What really happened, which the ledger may not know."""

    message: Message = field(default_factory=Message)
    started: list[int] = field(default_factory=list)
    accepted: set[int] = field(default_factory=set)
    person_resent: int = 0


class Ledger(RuleBasedStateMachine):
    """One message; mailers that mark, begin, die and answer late; a campaign; people who leave or are erased."""

    attempts = Bundle("attempts")

    def __init__(self):
        super().__init__()
        self.world = World()
        self.state = "running"
        self.blocked = None
        self.blocked_at_attempt = None

    def move(self, after):
        if after is not None:
            assert after.revision >= self.world.message.revision
            self.world.message = after
        return after is not None

    @rule(target=attempts)
    def mark(self):
        before = self.world.message
        if self.move(ledger.take(before, self.state, self.blocked)) and self.world.message.status == "attempting":
            assert self.state == "running"
            assert self.blocked is None
            assert not before.erased
            return self.world.message.attempt
        return 0

    @rule(attempt=attempts, taken=st.booleans())
    def write_the_dot(self, attempt, taken):
        """Only a mailer that marked the attempt can do this, once."""
        if attempt and attempt not in self.world.started:
            self.world.started.append(attempt)
            if taken:
                self.world.accepted.add(attempt)

    @rule(attempt=attempts)
    def answer(self, attempt):
        if attempt in self.world.started:
            status, klass = ("sent", "") if attempt in self.world.accepted else ("failed", "other")
            if self.move(ledger.settle(self.world.message, attempt, status, klass)):
                assert self.world.message.attempt == attempt

    @rule(attempt=attempts)
    def refuse_for_now(self, attempt):
        if attempt in self.world.started and attempt not in self.world.accepted:
            self.move(ledger.settle(self.world.message, attempt, "deferred"))

    @rule(attempt=attempts)
    def lose_the_connection_after_the_dot(self, attempt):
        if attempt in self.world.started:
            self.move(ledger.settle(self.world.message, attempt, "uncertain", "connection_lost"))

    @rule(attempt=consumes(attempts))
    def give_back(self, attempt):
        if attempt and attempt not in self.world.started:
            self.move(ledger.settle(self.world.message, attempt, "pending"))

    @rule()
    def kill_and_reap(self):
        self.move(ledger.reap(self.world.message))

    @rule(state=st.sampled_from(["running", "paused", "cancelled"]))
    def steer(self, state):
        if self.state != "cancelled":
            self.state = state

    @rule()
    def sweep(self):
        if self.state == "cancelled":
            self.move(ledger.cancel(self.world.message))

    @rule()
    def expire(self):
        self.move(ledger.expire(self.world.message))

    @rule()
    def unsubscribe(self):
        self.blocked = "unsubscribed"

    @rule()
    def erase(self):
        self.move(ledger.erase(self.world.message))

    @rule()
    def resend(self):
        if self.move(ledger.resend(self.world.message)):
            self.world.person_resent += 1

    @rule(delivered=st.booleans())
    def resolve(self, delivered):
        self.move(ledger.resolve(self.world.message, delivered=delivered))

    @invariant()
    def nobody_gets_two_unless_somebody_asked_for_it(self):
        assert len(self.world.accepted) <= 1 + self.world.person_resent

    @invariant()
    def what_was_taken_is_never_sent_again_by_itself(self):
        message = self.world.message
        if self.world.accepted and not self.world.person_resent:
            assert message.status in {"attempting", "sent", "uncertain", "failed"}

    @invariant()
    def the_erased_do_not_wait(self):
        assert not (self.world.message.erased and self.world.message.status in ledger.WAITING)

    @invariant()
    def the_books_count_it_once(self):
        message = self.world.message
        balance = balance_of({f"{message.status}:{message.klass}": 1})
        parts = (
            balance.sent, sum(balance.failed.values()), balance.suppressed, balance.uncertain, balance.expired,
            balance.cancelled, balance.open,
        )  # fmt: skip
        assert sum(parts) == balance.rows == 1


Ledger.TestCase.settings = settings(max_examples=times(200), stateful_step_count=30, deadline=None)
TestLedger = Ledger.TestCase


def test_a_known_result_is_never_thrown_away():
    marked = ledger.take(Message(), "running", None)
    reaped = ledger.reap(marked)
    assert reaped.status == "uncertain"
    assert ledger.settle(reaped, 1, "sent").status == "sent"


def test_an_outcome_of_an_earlier_attempt_is_not_this_ones():
    first = ledger.take(Message(), "running", None)
    second = ledger.take(ledger.settle(first, 1, "deferred"), "running", None)
    assert ledger.settle(second, 1, "sent") is None


def test_a_block_stops_what_is_not_marked():
    assert ledger.take(Message(), "running", "complaint").klass == "complaint"
    assert ledger.take(Message(), "paused", None) is None
