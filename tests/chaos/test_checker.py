"""The checker itself: each planted fault must turn it red, and nothing else may."""

from dataclasses import replace

import pytest

from tests.chaos.checker import Block, Entry, Evidence, Seen, Terms, busiest, check

PEOPLE = [f"p{n}@gmail.com" for n in range(6)]
NOTHING = Terms()


def seen(recipient: str, verdict: str = "taken", t: float = 1.0, **more: str) -> Seen:
    return Seen(t, recipient, "body", verdict, **{"message_id": f"id-{recipient}", **more})


def told(**more: object) -> dict:
    none = {"suppressed": 0, "uncertain": 0, "expired": 0, "failed": {}}
    closed = {"audience": 6, "excluded": {}, "eligible": 6, "balanced": True}
    return {**none, **closed, "sent": 6, **more}


def truth() -> Evidence:
    """Six people, six mails, and everybody says so."""
    ledger = [Entry(f"id-{one}", one, "sent") for one in PEOPLE]
    facts = {"sent": [entry.message_id for entry in ledger], "failed": [], "suppressed": [], "uncertain": []}
    return Evidence(frozenset(PEOPLE), [seen(one) for one in PEOPLE], ledger, told(), told(), facts)


def with_row(evidence: Evidence, n: int, status: str, reason: str = "") -> Evidence:
    """The n-th person's row says something else; balance, report and facts agree with it."""
    ledger = list(evidence.ledger)
    entry = ledger[n] = replace(ledger[n], status=status, reason=reason)
    failed = {reason: 1} if status == "failed" else {}
    more = {"sent": 5, status: 1} if status in ("suppressed", "uncertain", "expired") else {"sent": 5}
    facts = {**evidence.facts, "sent": [e.message_id for e in ledger if e.status == "sent"]}
    facts |= {status: [entry.message_id]} if status in facts else {}
    said = told(**more, failed=failed)
    return replace(evidence, ledger=ledger, balance=said, report=said, facts=facts)


def without_mail(evidence: Evidence, n: int, *instead: Seen) -> Evidence:
    return replace(evidence, sink=[one for one in evidence.sink if one.recipient != PEOPLE[n]] + list(instead))


def test_six_people_and_six_mails_are_in_order() -> None:
    verdict = check(truth(), NOTHING)
    assert verdict.held
    assert (verdict.recipients, verdict.arrived, verdict.lost, verdict.doubled, verdict.uncertain) == (6, 6, 0, 0, 0)


PLANTED = {
    "a lost mail that the ledger calls sent": (without_mail(truth(), 2), "1 lost: p2"),
    "a lost person without a row": (
        replace(without_mail(truth(), 2), ledger=[e for e in truth().ledger if e.recipient != PEOPLE[2]]),
        "1 lost: p2",
    ),
    "a message for ever pending": (without_mail(with_row(truth(), 2, "pending"), 2), "1 lost: p2"),
    "a doubled mail": (replace(truth(), sink=[*truth().sink, seen(PEOPLE[0], t=9)]), "1 doubled: p0"),
    "a mail that was kept without an answer, and sent again": (
        replace(truth(), sink=[seen(PEOPLE[0], "kept"), *truth().sink]),
        "1 doubled: p0",
    ),
    "a row twice": (
        replace(truth(), ledger=[*truth().ledger, Entry("id-2", PEOPLE[0], "sent")]),
        "1 in the ledger more than once",
    ),
    "a stranger": (replace(truth(), sink=[*truth().sink, seen("x@gmail.com")]), "1 mailed, and nobody asked"),
    "another's Message-ID": (
        without_mail(truth(), 2, seen(PEOPLE[2], message_id=f"id-{PEOPLE[1]}")),
        "1 mailed under a Message-ID that is not theirs",
    ),
    "a mail that arrived, called failed": (
        with_row(truth(), 1, "failed", "other"),
        "1 called failed, and mailed: p1",
    ),
    "a temporary refusal, called failed": (
        without_mail(with_row(truth(), 1, "failed", "other"), 1, seen(PEOPLE[1], "451")),
        "1 called failed, though no server refused them for good",
    ),
    "failed as what it is not": (
        without_mail(with_row(truth(), 1, "failed", "bad_mailbox"), 1, seen(PEOPLE[1], "550")),
        "1 failed as bad_mailbox",
    ),
    "suppressed for nothing": (without_mail(with_row(truth(), 1, "suppressed"), 1), "1 suppressed without a reason"),
    "expired": (without_mail(with_row(truth(), 1, "expired"), 1), "1 expired"),
    "cancelled by nobody": (without_mail(with_row(truth(), 1, "cancelled"), 1), "1 cancelled by nobody"),
    "doubt beyond what was granted": (with_row(truth(), 1, "uncertain"), "1 uncertain, 0 at most"),
    "a wrong block": (replace(truth(), blocks=[Block(PEOPLE[3], "bad_mailbox")]), "1 blocked: p3"),
    "a balance that lies": (replace(truth(), balance=told(sent=5)), "the balance says 5 sent, the ledger has 6"),
    "a balance that counts fewer people": (
        replace(truth(), balance=told(eligible=5, audience=5)),
        "the balance says 5 eligible, 6 are wanted",
    ),
    "a balance that does not close": (replace(truth(), balance=told(audience=7)), "the balance does not close"),
    "a report that lies": (replace(truth(), report=told(sent=7)), "the report says 7 sent, the ledger has 6"),
    "a report that invents a failure": (
        replace(truth(), report=told(failed={"policy": 1})),
        "the report says {'policy'",
    ),
    "an event that was lost": (
        replace(truth(), facts={**truth().facts, "sent": truth().facts["sent"][1:]}),
        "1 sent, and analytics was never told",
    ),
    "an event that was counted twice": (
        replace(truth(), facts={**truth().facts, "sent": [*truth().facts["sent"], f"id-{PEOPLE[0]}"]}),
        "1 told sent more than once",
    ),
    "an event of what never was": (
        replace(truth(), facts={**truth().facts, "sent": [*truth().facts["sent"], "id-ghost"]}),
        "1 analytics was told sent, and they are not",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", PLANTED)
def test_a_planted_fault_is_found(what: str) -> None:
    evidence, expected = PLANTED[what]
    verdict = check(evidence, NOTHING)
    assert not verdict.held
    assert any(line.startswith(expected) for line in verdict.violations), verdict.violations


def test_what_was_granted_is_no_violation() -> None:
    doubtful = with_row(truth(), 1, "uncertain")
    assert check(doubtful, Terms(uncertain=1)).held
    assert check(without_mail(doubtful, 1), Terms(uncertain=1)).held
    assert check(doubtful, Terms(in_doubt=frozenset({PEOPLE[1]}))).held
    refused = without_mail(with_row(truth(), 1, "failed", "bad_mailbox"), 1, seen(PEOPLE[1], "550"))
    refused = replace(refused, blocks=[Block(PEOPLE[1], "bad_mailbox")])
    assert check(refused, Terms(fails={PEOPLE[1]: "bad_mailbox"}, blocked=frozenset({PEOPLE[1]}))).held
    gone = without_mail(with_row(truth(), 1, "suppressed"), 1)
    assert check(gone, Terms(suppressed=frozenset({PEOPLE[1]}))).held
    assert check(without_mail(with_row(truth(), 1, "cancelled"), 1), Terms(cancelled=True)).held


def test_who_ought_to_be_in_doubt_and_is_not_is_found() -> None:
    verdict = check(truth(), Terms(in_doubt=frozenset({PEOPLE[4]})))
    assert verdict.violations == ["1 in doubt, and nobody says so: p4@gmail.com"]


def test_who_ought_to_have_failed_and_did_not_is_found() -> None:
    verdict = check(truth(), Terms(fails={PEOPLE[4]: "bad_mailbox"}))
    assert verdict.violations == ["1 refused for good, and not called failed: p4@gmail.com"]


@pytest.mark.parametrize(("left_at", "held"), [(0.5, False), (1.5, True)])
def test_nobody_is_mailed_after_they_left(left_at: float, held: bool) -> None:
    assert check(truth(), Terms(left={PEOPLE[0]: left_at})).held is held


def test_a_suppressed_person_who_got_the_mail_is_found_whatever_was_granted() -> None:
    verdict = check(with_row(truth(), 1, "suppressed"), Terms(suppressed=frozenset(PEOPLE)))
    assert verdict.violations == ["1 suppressed, and mailed: p1@gmail.com"]


def test_the_busiest_span_is_found_wherever_it_lies() -> None:
    assert busiest([], 5) == 0
    assert busiest([0, 10, 20, 20.5, 21, 24.9, 25, 40], 5) == 4
    assert busiest(range(100), 50) == 50
