"""What contacts refuses: what is wrong, where, how to mend it; and that nothing changed."""

import csv
import io
import json

import pytest
from common.ids import new_id
from common.testing.deliver import outbox_events

from tests.fixtures.refusals import refused, refused_tokens
from tests.integration.contacts import service
from tests.integration.contacts.service import csv_of, import_file

GOOD = {"field": "first_name", "op": "eq", "value": "Sara"}


def upload(content, **options):
    wanted = {"mapping": service.MAPPING, "create_attributes": True, "consent": service.CONSENT, **options}
    return {"files": {"file": ("people.csv", content, "text/csv")}, "data": {"options": json.dumps(wanted)}}


@pytest.mark.parametrize(
    ("content", "expected", "where"),
    [
        (b"PK\x03\x04\x14\x00\x06\x00 a workbook", (400, "not_xlsx"), {"row": 1}),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", (400, "not_csv"), {"row": 1}),
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", (400, "not_csv"), {"row": 1}),
        (csv_of() + b"a@x.example,\xd8,,,,\n", (400, "wrong_encoding"), {"row": 2}),
        (csv_of("a@x.example,A", header="Email,First Name"), (422, "missing_column"), {"column": "Last Name"}),
    ],
    ids=["workbook", "picture", "pdf", "no encoding", "missing column"],
)
async def test_a_file_that_is_no_csv_or_lacks_a_column(client, contacts_db, content, expected, where):
    problem = await refused(client, contacts_db, expected, "POST", "/v1/imports", **upload(content))
    assert where.items() <= problem["params"].items()


@pytest.mark.parametrize("options", ["{", "[]", '{"mapping":{"Email":"email"},"list_ids":["x"]}', "[" * 10_000])
async def test_options_that_are_no_options(client, contacts_db, options):
    files = {"file": ("people.csv", csv_of("a@x.example,,,,,"), "text/csv")}
    answer = await client.post("/v1/imports", files=files, data={"options": options})
    await refused(
        client, contacts_db, (answer.status_code, answer.json()["code"]), "POST", "/v1/imports", files=files,
        data={"options": options},
    )  # fmt: skip
    assert answer.status_code in (400, 422)


async def test_rows_with_broken_addresses_are_left_out_one_by_one(client, contacts_db):
    broken = {
        "no at sign": "nobody.example",
        "two": "a@b@x.example",
        "line break": '"b@x.example\r\nBcc: c@x.example"',
        "spaces inside": "a b@x.example",
        "no domain": "a@",
    }
    done = await import_file(
        client, contacts_db, csv_of("fine@x.example,F,,,,", *(f"{one},X,,,," for one in broken.values()))
    )
    assert (done["rows"]["created"], done["rows"]["rejected"]) == (1, len(broken))
    rejects = list(
        csv.DictReader(io.StringIO((await client.get(f"/v1/imports/{done['id']}/rejects")).text, newline=""))
    )
    assert {row["code"] for row in rejects} == {"invalid_email"}
    assert sorted(int(row["row"]) for row in rejects) == [3, 4, 5, 6, 7]
    assert all(row["message"] for row in rejects)
    assert [one["email"] for one in (await client.get("/v1/contacts")).json()["items"]] == ["fine@x.example"]
    assert len(await outbox_events(contacts_db.worker)) == 1


@pytest.mark.parametrize(
    ("rule", "where"),
    [
        ({"field": "shoe_size", "op": "eq", "value": 1}, "/rule/field"),
        ({"field": "attributes.shoe_size", "op": "eq", "value": 1}, "/rule/field"),
        ({"all": [GOOD, {"field": "first_name", "op": "resembles", "value": "x"}]}, "/rule/all/1/op"),
        ({"event": "email.eaten", "op": "at_least", "value": 1, "within": "30d"}, "/rule/event"),
        ({"not": {"all": [GOOD, {"list": "x"}]}}, "/rule/not/all/1/list"),
    ],
)
async def test_a_rule_with_an_unknown_field_or_operator(client, contacts_db, rule, where):
    stored = (await client.post("/v1/segments", json={"name": "good", "rule": GOOD})).json()
    for method, path, body in (
        ("POST", "/v1/segments", {"name": "x", "rule": rule}),
        ("POST", "/v1/segments/preview", {"rule": rule}),
        ("PATCH", f"/v1/segments/{stored['id']}", {"rule": rule}),
    ):
        problem = await refused(client, contacts_db, (422, "invalid_rule"), method, path, json=body)
        assert problem["errors"][0]["where"] == where


async def test_a_stale_if_match(client, contacts_db):
    attribute = await client.post("/v1/attributes", json={"name": "city", "type": "text"})
    assert attribute.status_code == 201
    contact = (await client.post("/v1/contacts", json={"email": "a@x.example"})).json()
    a_list = (await client.post("/v1/lists", json={"name": "expo"})).json()
    segment = (await client.post("/v1/segments", json={"name": "good", "rule": GOOD})).json()
    for path, change in (
        (f"/v1/contacts/{contact['id']}", {"first_name": "X"}),
        (f"/v1/lists/{a_list['id']}", {"name": "X"}),
        (f"/v1/segments/{segment['id']}", {"name": "X"}),
        ("/v1/attributes/city", {"label": "X"}),
    ):
        stale = '"r1"'
        changed = await client.patch(path, json=change, headers={"If-Match": stale})
        assert changed.status_code == 200, changed.text
        for method in ("PATCH", "DELETE") if "lists" in path or "segments" in path else ("PATCH",):
            problem = await refused(
                client, contacts_db, (412, "stale"), method, path, headers={"If-Match": stale},
                **({"json": dict.fromkeys(change, "Y")} if method == "PATCH" else {}),
            )  # fmt: skip
            assert problem["params"]["revision"] == 2


async def test_tokens_that_are_not_good(client, contacts_db, keys, workspace_id):
    requests = [
        ("GET", "/v1/contacts", None),
        ("POST", "/v1/contacts", {"email": "a@x.example"}),
        ("DELETE", f"/v1/lists/{new_id()}", None),
    ]
    await refused_tokens(client, contacts_db, keys, workspace_id, requests)


async def test_ids_of_another_workspace(client, contacts_db, http_client, keys):
    async with http_client(service.app(), keys.token(new_id())) as stranger:
        contact = (await stranger.post("/v1/contacts", json={"email": "theirs@x.example"})).json()["id"]
        a_list = (await stranger.post("/v1/lists", json={"name": "theirs"})).json()["id"]
        segment = (await stranger.post("/v1/segments", json={"name": "theirs", "rule": GOOD})).json()["id"]
        suppression = (await stranger.post("/v1/suppressions", json={"email": "no@x.example"})).json()["id"]
    own = (await client.post("/v1/lists", json={"name": "mine"})).json()["id"]
    for code, method, path, body in (
        ("contact_not_found", "GET", f"/v1/contacts/{contact}", None),
        ("contact_not_found", "PATCH", f"/v1/contacts/{contact}", {"first_name": "X"}),
        ("contact_not_found", "GET", f"/v1/consents?contact_id={contact}", None),
        ("contact_not_found", "POST", "/v1/consents",
         {"contact_id": contact, "status": "subscribed", "source": "x"}),
        ("contact_not_found", "POST", "/v1/privacy-requests", {"kind": "erase", "contact_id": contact}),
        ("contact_not_found", "POST", f"/v1/lists/{own}/members", {"contact_ids": [contact]}),
        ("list_not_found", "GET", f"/v1/contacts?list_id={a_list}", None),
        ("list_not_found", "GET", f"/v1/lists/{a_list}", None),
        ("list_not_found", "DELETE", f"/v1/lists/{a_list}", None),
        ("list_not_found", "POST", "/v1/segments/preview", {"rule": {"list": a_list}}),
        ("segment_not_found", "PATCH", f"/v1/segments/{segment}", {"name": "X"}),
        ("suppression_not_found", "DELETE", f"/v1/suppressions/{suppression}", None),
        ("audience_not_found", "GET", f"/v1/audiences/{new_id()}", None),
    ):  # fmt: skip
        await refused(client, contacts_db, (404, code), method, path, json=body)
    content = csv_of("a@x.example,,,,,")
    await refused(
        client, contacts_db, (404, "list_not_found"), "POST", "/v1/imports", **upload(content, list_ids=[a_list])
    )


async def test_options_with_text_that_no_database_keeps(client, contacts_db):
    told = upload(csv_of("a@x.example,,,,,"), consent={**service.CONSENT, "source": "expo\0"})
    problem = await refused(client, contacts_db, (422, "invalid"), "POST", "/v1/imports", **told)
    assert problem["errors"][0]["where"] == "/options/consent/source"


async def test_text_that_no_database_keeps(client, contacts_db):
    for raw, where in (
        (b'{"email":"a@x.example","first_name":"a\\u0000b"}', "/first_name"),
        (b'{"email":"a@x.example","tags":["fine","\\ud800"]}', "/tags/1"),
        (b'{"email":"a@x.example","attributes":{"ci\\u0000ty":"x"}}', "/attributes/ci\N{REPLACEMENT CHARACTER}ty"),
    ):
        problem = await refused(
            client, contacts_db, (422, "invalid"), "POST", "/v1/contacts", content=raw,
            headers={"Content-Type": "application/json"},
        )  # fmt: skip
        assert problem["errors"][0]["where"] == where
    kept = await client.post(
        "/v1/contacts", content=b'{"email":"a@x.example","first_name":"\\\\u0000 \\ud83d\\ude00"}',
        headers={"Content-Type": "application/json"},
    )  # fmt: skip
    assert kept.json()["first_name"] == "\\u0000 😀", "what only looks like it is taken"
