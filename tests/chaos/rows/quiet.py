"""No fault: the measure of the others."""

from tests.chaos.bench import Bench
from tests.chaos.checker import Terms
from tests.chaos.rows import Outcome, row


@row("F0", "none")
def nothing(bench: Bench) -> Outcome:
    """A campaign as any."""
    sending = bench.send()
    verdict = bench.verdict(sending, Terms())
    times = sorted(seen.t - sending.began for seen in bench.log(sending) if seen.has)
    note = f"half arrived in {times[len(times) // 2]:.0f} s, all in {times[-1]:.0f} s" if times else ""
    return [verdict], note, []
