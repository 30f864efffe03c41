"""Previews and test mails: the code that makes the real ones, with a contact's fields or samples."""

from typing import Any
from uuid import UUID

import httpx
import pytest
from common.contracts.leads import LeadErasedV1
from common.ids import new_id
from common.outbox.writer import Outgoing
from common.testing.deliver import deliver, outbox_events
from content.choose import variant_for
from content.model import CompiledMail
from content.render import RenderContext, render

from tests.fixtures.databases import ServiceDatabase
from tests.integration.campaigns.scene import ADDRESS, HTML, MAIN, draft, lead, problem

VARIANTS = {
    "default": "en",
    "variants": [
        {"id": "en", "language": "en", "subject": "Hello {{ first_name }}", "html": HTML},
        {
            "id": "fa",
            "language": "fa",
            "subject": "سلام {{ first_name }} از {{ attributes.city }}",
            "html": '<p>{{ first_name }}</p><a href="{{ unsubscribe_url }}">لغو</a>',
        },
    ],
}


async def test_preview_shows_the_contacts_variant_and_fields(
    client: httpx.AsyncClient, campaigns_db: ServiceDatabase, workspace_id: UUID
) -> None:
    contact_id = new_id()
    told = lead(contact_id, first_name="لیلا <b>", language="fa-IR", attributes={"city": "تهران"})
    await deliver(campaigns_db.worker, MAIN, [Outgoing(workspace_id, told)])
    made = await draft(client, content=VARIANTS)
    answer = await client.post(f"/v1/campaigns/{made['id']}/preview", json={"contact_id": str(contact_id)})
    assert answer.status_code == 200, answer.text
    shown = answer.json()
    assert (shown["variant_id"], shown["language"], shown["direction"]) == ("fa", "fa", "rtl")
    assert "تهران" in shown["subject"]
    assert "لیلا &lt;b&gt;" in shown["html"]
    assert 'dir="rtl"' in shown["html"]
    assert ADDRESS in shown["html"]
    assert "لیلا" in shown["text"]
    english = {"contact_id": str(contact_id), "variant_id": "en"}
    assert (await client.post(f"/v1/campaigns/{made['id']}/preview", json=english)).json()["variant_id"] == "en"


async def test_preview_without_contact_shows_samples_even_of_an_unfinished_mail(client: httpx.AsyncClient) -> None:
    made = await draft(client, content={"subject": "Dear {{ first_name }}", "html": "<p>{{ attributes.city }}</p>"})
    shown = (await client.post(f"/v1/campaigns/{made['id']}/preview", json={})).json()
    assert "Sara" in shown["subject"]
    assert "city" in shown["html"]


async def test_preview_of_unknown_erased_or_foreign_contact_then_404(
    client: httpx.AsyncClient, campaigns_db: ServiceDatabase, workspace_id: UUID, impatient: None
) -> None:
    made = await draft(client)
    erased, foreign = new_id(), new_id()
    told = LeadErasedV1(contact_id=erased, request_id=new_id(), address_hashes=[])
    await deliver(campaigns_db.worker, MAIN, [Outgoing(workspace_id, told), Outgoing(workspace_id, lead(erased))])
    await deliver(campaigns_db.worker, MAIN, [Outgoing(new_id(), lead(foreign))])
    for contact_id in (erased, foreign, new_id()):
        answer = await client.post(f"/v1/campaigns/{made['id']}/preview", json={"contact_id": str(contact_id)})
        problem(answer, 404, "contact_not_found")
    unknown = await client.post(f"/v1/campaigns/{made['id']}/preview", json={"variant_id": "de"})
    problem(unknown, 422, "unknown_variant")


async def test_test_mail_is_requested_with_compiled_content_and_samples(
    client: httpx.AsyncClient, campaigns_db: ServiceDatabase
) -> None:
    made = await draft(client, content=VARIANTS)
    to = ["a@example.org", "B@example.org", "a@example.org"]
    answer = await client.post(f"/v1/campaigns/{made['id']}/test", json={"to": to, "variant_id": "fa"})
    assert answer.status_code == 202, answer.text
    [asked] = await outbox_events(campaigns_db.worker, "message.requested")
    assert str(asked.data.request_id) == answer.json()["id"]
    assert (asked.data.kind, str(asked.data.campaign_id), asked.data.variant_id) == ("test", made["id"], "fa")
    assert [one.email for one in asked.data.recipients] == ["a@example.org", "B@example.org"]
    assert asked.data.recipients[0].fields == {"first_name": "سارا", "attributes.city": "city"}
    mail = CompiledMail.model_validate(asked.data.content)
    assert variant_for(mail, asked.data.recipients[0].language) == "fa"
    fields = {"first_name": "سارا", "attributes": {"city": "city"}}
    assert "سارا" in render(mail, "fa", RenderContext(fields=fields, unsubscribe_url="https://u.example")).subject


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"to": []}, 422, "invalid"),
        ({"to": [f"a{n}@example.org" for n in range(11)]}, 422, "invalid"),
        ({"to": ["no address"]}, 422, "invalid_address"),
        ({"to": ["a@example.org\r\nBcc: b@example.org"]}, 422, "invalid_address"),
        ({"to": ["a@example.org"], "variant_id": "de"}, 422, "unknown_variant"),
    ],
)
async def test_test_mail_that_cannot_be_then_refused_and_nothing_asked(
    client: httpx.AsyncClient, campaigns_db: ServiceDatabase, body: dict[str, Any], status: int, code: str
) -> None:
    made = await draft(client)
    problem(await client.post(f"/v1/campaigns/{made['id']}/test", json=body), status, code)
    assert await outbox_events(campaigns_db.worker, "message.requested") == []


async def test_test_mail_without_sender_or_content_then_422(client: httpx.AsyncClient) -> None:
    for lacking, missing in (({"sender_id": ...}, "sender_id"), ({"content": ...}, "content")):
        made = await draft(client, **lacking)
        answer = await client.post(f"/v1/campaigns/{made['id']}/test", json={"to": ["a@example.org"]})
        assert problem(answer, 422, "campaign_incomplete")["params"]["missing"] == missing
