"""Complaints that come back by mail (RFC 5965)."""

from datetime import UTC, datetime

import pytest
from common.contracts.email import EmailComplainedV1
from common.link_tokens import LinkToken

from tests.fixtures.returning import COMPLAINT, blocked, mail, return_path, told
from tests.fixtures.sending import KEYS
from tests.integration.delivery.test_returns import post, three

__all__ = ["post", "three"]


async def test_a_complaint_without_a_recipient_is_matched_by_the_link_that_its_mail_carried(
    post, delivery_db, three, workspace_id
):

    row = three[1]
    token = KEYS.sign(
        LinkToken("u", "campaign", workspace_id, row["id"], row["contact_id"], row["mailing_id"], None,
                  datetime.now(UTC))
    )  # fmt: skip
    ids = f"Message-ID: <{row['id']}@shop.test>"
    unproven = await post(mail(COMPLAINT.format(to="fbl@shop.test", headers=ids)))
    assert (unproven["kind"], unproven["counted"]) == ("complaint", False)
    headers = f"{ids}\nList-Unsubscribe: <https://shop.test/u/{token}>"
    proven = await post(mail(COMPLAINT.format(to="fbl@shop.test", headers=headers)))
    assert (proven["kind"], proven["counted"], proven["message_id"]) == ("complaint", True, str(row["id"]))
    assert await blocked(delivery_db) == {row["address_hash"]: "complaint"}
    (event,) = await told(delivery_db, EmailComplainedV1)
    assert (event.message_id, event.reason) == (row["id"], "abuse")
    assert event.block_id


@pytest.mark.parametrize("field", ["Original-Mail-From", "Original-Envelope-Id"])
async def test_a_complaint_that_hides_its_person_is_matched_by_the_envelope_that_it_names(
    post, delivery_db, three, field
):
    row = three[1]
    hidden = COMPLAINT.replace("Feedback-Type: abuse", f"Feedback-Type: abuse\n{field}: <{return_path(row)}>")
    answer = await post(mail(hidden.format(to="fbl@shop.test", headers="To: redacted@isp.example")))
    assert (answer["kind"], answer["counted"], answer["message_id"]) == ("complaint", True, str(row["id"]))
    assert await blocked(delivery_db) == {row["address_hash"]: "complaint"}
    altered = hidden.replace(return_path(row), "bounces+" + return_path(three[0]).partition("+")[2][::-1])
    assert not (await post(mail(altered.format(to="fbl@shop.test", headers="To: redacted@isp.example"))))["counted"]
