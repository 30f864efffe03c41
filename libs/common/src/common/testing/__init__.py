"""For tests only: events through the real decode, inbox and handlers, without a bus. No shipped module imports it."""

from common.testing.deliver import deliver, outbox_events
from common.testing.shuffle import deliver_shuffled, doubled_and_permuted

__all__ = ["deliver", "deliver_shuffled", "doubled_and_permuted", "outbox_events"]
