"""People who change their minds, and campaigns that are paused, edited and cancelled, while mail goes out."""

import time
from itertools import cycle

import httpx

from tests.chaos.bench import WINDOW, Bench, Sending
from tests.chaos.checker import Terms
from tests.chaos.rows import Outcome, row
from tests.chaos.sendgrid import SendGrid, event

TOLD_WITHIN_S = 60


@row("F19", "pause, edit, cancel; unsubscribe, complain, suppress and erase while sending")
def minds(bench: Bench) -> Outcome:
    """Nobody is mailed who left before their turn; a pause and a cancel hold from their answer on."""
    tag, wanted = bench.people(bench.size)
    first = _to_some(bench, tag, wanted)
    mails = {str(seen.recipient): seen for seen in bench.log(first) if seen.has}
    provider = SendGrid(bench)
    contacts = {one: bench.contact(one) for one in first.wanted}

    sending = bench.send_to(tag, wanted, bench.slow())
    bench.wait_for(sending, 0.1)
    left: dict[str, float] = {}
    erased: dict[str, str] = {}
    marked: set[str] = set()
    had = {seen.recipient for seen in bench.log(sending) if seen.has}
    for one, way in zip(
        sorted(first.wanted - had), cycle(["click", "click", "complain", "consent", "suppress", "erase"])
    ):
        if way == "click":
            answer = httpx.post(str(mails[one].leave), data={"List-Unsubscribe": "One-Click"})
            assert answer.status_code == 200, answer.text
            left[one] = time.time()
        elif way == "complain":
            assert provider.tell([event("spamreport", mails[one])])[0] == 200
            left[one] = time.time()
        elif way == "consent":
            body = {"purpose": "newsletter", "status": "unsubscribed", "source": "phone", "evidence": "a call"}
            bench.outside.call("POST", "/v1/consents", json={"contact_id": contacts[one], **body})
            left[one] = time.time() + TOLD_WITHIN_S
        elif way == "suppress":
            bench.outside.call("POST", "/v1/suppressions", json={"email": one})
            left[one] = time.time() + TOLD_WITHIN_S
        else:
            body = {"kind": "erase", "contact_id": contacts[one]}
            bench.outside.call("POST", "/v1/privacy-requests", json=body)
            left[one], erased[contacts[one]] = time.time() + TOLD_WITHIN_S, one
        # Marked by then, or had already: only these may still get it.
        if way in ("click", "complain") and not bench.databases.waits(sending.id, one):
            del left[one]
            marked.add(one)
    said = _paused(bench, sending) + _cancelled(bench, sending)
    gone = left.keys() | marked
    terms = Terms(suppressed=frozenset(gone), blocked=frozenset(gone), cancelled=True, left=left)
    verdict = bench.verdict(sending, terms, names=erased)
    return [verdict], f"{len(gone)} left in mid-campaign, {len(marked)} of them when their mail was on its way", said


def _to_some(bench: Bench, tag: str, wanted: frozenset[str]) -> Sending:
    """An earlier campaign to a few of them, so that they have a link to leave by."""
    digits = "7" if len(wanted) < 5000 else "77"
    some = frozenset(one for one in wanted if one.startswith(tag + digits))
    sending = bench.send_to(tag + digits, some)
    bench.closed(sending)
    return sending


def _paused(bench: Bench, sending: Sending) -> list[str]:
    """A pause: `paused` means that nothing is under way; an edit is refused; then on."""
    said = []
    bench.wait_for(sending, 0.4)
    path = f"/v1/campaigns/{sending.id}"
    bench.outside.call("POST", f"{path}/pause", json={})
    asked, before = time.time(), bench.arrived(sending)
    bench.outside.until(lambda: bench.outside.call("GET", path), lambda found: found["status"] == "paused", 60)
    at = bench.arrived(sending)
    edit = bench.outside.http.patch(path, json={"content": {"subject": "x", "html": "<p>x</p>"}})
    if edit.is_success:
        said.append(f"an edit of a started campaign was answered {edit.status_code}")
    time.sleep(3)
    if (late := bench.arrived(sending) - at) != 0:
        said.append(f"{late} mails after `paused`")
    if (late := sum(seen.has and seen.t > asked for seen in bench.log(sending))) > WINDOW + at - before:
        said.append(f"{late} mails after the answer to pause")
    bench.outside.call("POST", f"{path}/resume", json={})
    return said


def _cancelled(bench: Bench, sending: Sending) -> list[str]:
    bench.wait_for(sending, 0.8)
    bench.outside.call("POST", f"/v1/campaigns/{sending.id}/cancel", json={})
    asked = time.time()
    bench.closed(sending)
    late = sum(seen.has and seen.t > asked + 1 for seen in bench.log(sending))
    return [f"{late} mails later than a second after the answer to cancel"] if late > WINDOW else []
