"""/v1/domains: what is to be published is what is then found, and mail is signed by it."""

import pytest
from common.contracts.campaigns import Sender
from common.ids import new_id
from common.testing.deliver import outbox_events
from delivery.domain.return_path import ReturnPaths
from delivery.use_cases.signing import Signer

from tests.fixtures.sending import Campaign
from tests.integration.delivery.domain_scene import api, by_check, own_keys, publish, send, signatures, verifies

SETTINGS = {
    "BARID_SPF": "include:spf.relay.test",
    "BARID_BOUNCE_ADDRESS": "b@returns.relay.test",
    "BARID_SENDING_IPS": "192.0.2.7, 2001:db8::7",
}


@pytest.fixture
async def client(service_env, http_client, delivery_db, dns_server, keys, workspace_id):
    dns_server.set("spf.relay.test", "TXT", "v=spf1 ip4:192.0.2.0/28 ip6:2001:db8::/64 -all")
    async with api(service_env, http_client, delivery_db, dns_server, keys.token(workspace_id), **SETTINGS) as made:
        yield made


def campaign(workspace_id, sender="news@shop.test"):
    made = Campaign(workspace_id, sender=Sender(name="Shop", email=sender))
    made.recipients = [made.person("ann@example.com")]
    return made


async def create(client, domain="shop.test", **more):
    answer = await client.post("/v1/domains", json={"domain": domain, **more})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def check(client, domain):
    answer = await client.post(f"/v1/domains/{domain['id']}/check")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def verified(client, dns, domain="shop.test", **more):
    made = await create(client, domain, **more)
    publish(dns, made)
    dns.set(domain, "MX", f"10 mx.{domain}.")
    return await check(client, made)


async def test_a_new_domain_says_exactly_what_to_publish(client):
    made = await create(client, "Shop.TEST.", ed25519=True)
    assert (made["domain"], made["verified"], made["checked_at"]) == ("shop.test", False, None)
    assert {key["algorithm"]: key["state"] for key in made["keys"]} == {
        "rsa-sha256": "published", "ed25519-sha256": "published",
    }  # fmt: skip
    assert set(by_check(made).values()) == {"unchecked"}
    records = {one["name"]: (one["type"], one["value"]) for check in made["checks"] for one in check["publish"]}
    assert records["shop.test"] == ("TXT", "v=spf1 include:spf.relay.test ~all")
    assert records["_dmarc.shop.test"] == ("TXT", "v=DMARC1; p=none")
    assert records["bounces.shop.test"] == ("CNAME", "returns.relay.test")
    for key in made["keys"]:
        kind, value = records[f"{key['selector']}._domainkey.shop.test"]
        assert kind == "TXT"
        assert value.startswith(f"v=DKIM1; k={key['algorithm'].removesuffix('-sha256')}; p=")
    assert (await client.get(f"/v1/domains/{made['id']}")).json() == made
    assert (await client.get("/v1/domains")).json() == {"items": [made], "next_cursor": None}


async def test_what_is_not_there_is_missing_and_what_was_published_is_found(client, dns_server, delivery_db):
    made = await create(client)
    before = await check(client, made)
    assert set(by_check(before).values()) == {"missing"}
    assert (before["verified"], before["failing"]) == (False, ["dkim", "dmarc", "mx", "ptr", "return_path", "spf"])
    publish(dns_server, before)
    dns_server.set("shop.test", "MX", "10 mx.shop.test.")
    for address, name in (("7.2.0.192.in-addr.arpa", "out.relay.test"),
                          ("7.0.0.0" + ".0" * 20 + ".8.b.d.0.1.0.0.2.ip6.arpa", "out6.relay.test")):  # fmt: skip
        dns_server.set(address, "PTR", f"{name}.")
    dns_server.set("out.relay.test", "A", "192.0.2.7")
    dns_server.set("out6.relay.test", "AAAA", "2001:db8::7")
    after = await check(client, made)
    assert set(by_check(after).values()) == {"ok"}, after["checks"]
    assert (after["verified"], after["failing"], after["subdomains"]) == (True, [], True)
    assert [key["state"] for key in after["keys"]] == ["active"]
    assert not any(one["publish"] for one in after["checks"])
    told = [event.data for event in await outbox_events(delivery_db.worker, "domain.changed")]
    assert [(one.revision, one.verified, one.failing) for one in told] == [
        (1, False, []), (2, False, before["failing"]), (3, True, []),
    ]  # fmt: skip
    await check(client, made)
    assert len(await outbox_events(delivery_db.worker, "domain.changed")) == 3


async def test_mail_is_signed_by_the_domains_own_keys_once_receivers_find_them(
    client, dns_server, delivery_db, workspace_id, smtp_server
):
    signer = Signer({}, own_keys(delivery_db))
    made = await create(client, ed25519=True)
    assert signatures(await send(delivery_db, smtp_server, campaign(workspace_id), signer)) == []
    publish(dns_server, made)
    await check(client, made)
    mail = await send(delivery_db, smtp_server, campaign(workspace_id), signer)
    assert signatures(mail) == [
        f"{key['selector']}._domainkey.shop.test"
        for key in sorted(made["keys"], key=lambda one: one["algorithm"])[::-1]
    ]
    assert verifies(dns_server, mail) == [True, True]


async def test_keys_change_without_a_gap(client, dns_server, delivery_db, workspace_id, smtp_server):
    signer = Signer({}, own_keys(delivery_db))
    first = await verified(client, dns_server)
    old = first["keys"][0]["selector"]
    mails = [await send(delivery_db, smtp_server, campaign(workspace_id), signer)]
    rotated = (await client.post(f"/v1/domains/{first['id']}/rotate")).json()
    assert {key["selector"]: key["state"] for key in rotated["keys"]}[old] == "active"
    [new] = [key["selector"] for key in rotated["keys"] if key["state"] == "published"]
    assert rotated["verified"]
    assert by_check(rotated)[new] == "unchecked"
    refused = await client.post(f"/v1/domains/{first['id']}/rotate")
    assert (refused.status_code, refused.json()["code"], refused.json()["params"]) == (
        409, "rotation_under_way", {"selectors": [new]},
    )  # fmt: skip
    assert (await check(client, first))["verified"]
    mails.append(await send(delivery_db, smtp_server, campaign(workspace_id), signer))
    publish(dns_server, rotated, "dkim")
    after = await check(client, first)
    assert {key["selector"]: key["state"] for key in after["keys"]} == {old: "retired", new: "active"}
    assert after["verified"]
    assert "dkim" not in after["failing"]
    mails.append(await send(delivery_db, smtp_server, campaign(workspace_id), signer))
    assert [signatures(mail) for mail in mails] == [
        [f"{selector}._domainkey.shop.test"] for selector in (old, old, new)
    ]
    assert all(verifies(dns_server, mail) == [True] for mail in mails)
    dns_server.set(f"{old}._domainkey.shop.test", "TXT")
    gone = await check(client, first)
    assert by_check(gone)[old] == "missing"
    assert gone["verified"]
    assert "dkim" not in gone["failing"]
    async with delivery_db.worker.connection() as connection:
        left = await connection.fetch("select selector, private_key is null as gone from dkim_keys")
    assert {row["selector"]: row["gone"] for row in left} == {old: True, new: False}


async def test_senders_at_subdomains_are_signed_for_by_the_nearest_domain_above(
    client, dns_server, delivery_db, workspace_id, smtp_server
):
    signer = Signer({}, own_keys(delivery_db))
    above = await verified(client, dns_server, "shop.test")
    below = await verified(client, dns_server, "news.shop.test")
    found = [
        signatures(await send(delivery_db, smtp_server, campaign(workspace_id, sender), signer))
        for sender in ("a@shop.test", "a@news.shop.test", "a@x.news.shop.test", "a@other.shop.test", "a@shop2.test")
    ]
    one, two = ([f"{made['keys'][0]['selector']}._domainkey.{made['domain']}"] for made in (above, below))
    assert found == [one, two, two, one, []]


async def test_a_key_never_signs_for_another_workspace(
    client, dns_server, delivery_db, smtp_server, keys, service_env, http_client
):
    await verified(client, dns_server)
    other = new_id()
    signer = Signer({}, own_keys(delivery_db))
    assert signatures(await send(delivery_db, smtp_server, campaign(other), signer)) == []
    async with api(service_env, http_client, delivery_db, dns_server, keys.token(other), **SETTINGS) as theirs:
        assert (await theirs.get("/v1/domains")).json()["items"] == []
        made = await create(theirs)  # nobody is told that somebody else has it
        assert not (await check(theirs, made))["verified"]
        publish(dns_server, made, "dkim")
        assert (await check(theirs, made))["verified"]
    assert verifies(dns_server, await send(delivery_db, smtp_server, campaign(other), signer)) == [True]


async def test_a_dns_that_does_not_answer_changes_nothing(client, dns_server, delivery_db):
    before = await verified(client, dns_server)
    selector = before["keys"][0]["selector"]
    everything = {name for name, _ in dns_server.zone} | {"_dmarc.test", "test"}
    for fault in (dns_server.broken, dns_server.silent):
        fault.update(everything)
        during = await check(client, before)
        fault.clear()
        assert {by_check(during)[one] for one in (selector, "spf", "dmarc", "mx", "return_path")} == {"unknown"}
        assert (during["verified"], during["failing"], during["revision"]) == (
            True, before["failing"], before["revision"],
        )  # fmt: skip


async def test_a_key_that_vanishes_takes_the_verification_with_it(client, dns_server, delivery_db):
    made = await verified(client, dns_server)
    name = f"{made['keys'][0]['selector']}._domainkey.shop.test"
    text = made["checks"][0]["found"][0]
    for wrong in ((), ("v=DKIM1; p=",), ("v=spf1 -all",), (text.replace("p=MII", "p=MIJ"),), (text, text + ";t=s")):
        dns_server.set(name, "TXT", *wrong)
        after = await check(client, made)
        assert not after["verified"], wrong
        assert "dkim" in after["failing"]
        assert after["checks"][0]["publish"][0]["value"] == text
        dns_server.set(name, "TXT", text)
        assert (await check(client, made))["verified"]


async def test_private_keys_are_sealed_and_never_shown(client, delivery_db):
    made = await create(client)
    async with delivery_db.worker.connection() as connection:
        sealed, public = await connection.fetchrow("select private_key, public_key from dkim_keys")
    assert public[-128:] not in sealed
    assert b"\x02\x03\x01\x00\x01" not in sealed  # the exponent, as every DER of such a key has it
    assert "private" not in str(made)


async def test_a_deleted_domain_signs_no_more(client, dns_server, delivery_db, workspace_id, smtp_server):
    signer = Signer({}, own_keys(delivery_db))
    made = await verified(client, dns_server)
    assert (await client.delete(f"/v1/domains/{made['id']}")).status_code == 204
    assert (await client.get(f"/v1/domains/{made['id']}")).status_code == 404
    assert signatures(await send(delivery_db, smtp_server, campaign(workspace_id), signer)) == []
    last = (await outbox_events(delivery_db.worker, "domain.changed"))[-1].data
    assert (last.deleted, last.verified, last.revision) == (True, False, made["revision"] + 1)
    again = await create(client)
    assert again["keys"][0]["selector"] != made["keys"][0]["selector"]


@pytest.mark.parametrize(
    ("domain", "why"),
    [
        ("example", "malformed"),
        ("https://shop.test", "malformed"),
        ("news@shop.test", "malformed"),
        ("shop..test", "malformed"),
        ("-shop.test", "malformed"),
        ("shop_1.test", "malformed"),
        ("shop.test\r\nBcc: x@y.z", "malformed"),
        ("a" * 64 + ".test", "malformed"),
        (".".join(["long"] * 50) + ".test", "malformed"),
        ("xn--zz.test", "malformed"),
        ("192.0.2.1", "malformed"),
        ("\u202eshop.test", "malformed"),
        ("co.uk", "public_suffix"),
        ("ایران.ir", "public_suffix"),
        ("github.io", "public_suffix"),
        ("gmail.com", "provider"),
        ("mx.gmail.com", "provider"),
    ],
    ids=str,
)
async def test_what_cannot_be_a_sending_domain_is_refused(client, delivery_db, domain, why):
    answer = await client.post("/v1/domains", json={"domain": domain})
    assert answer.status_code == 422, answer.text
    assert (answer.json()["code"], answer.json()["params"]) == ("domain_unfit", {"why": why})
    assert answer.json()["mend"]
    assert (await client.get("/v1/domains")).json()["items"] == []
    assert await outbox_events(delivery_db.worker) == []


async def test_idn_domains_are_kept_as_a_labels(client):
    assert (await create(client, "موقع.ایران"))["domain"] == "xn--4gbrim.xn--mgba3a4f16a"
    again = await client.post("/v1/domains", json={"domain": "xn--4gbrim.xn--mgba3a4f16a"})
    assert (again.status_code, again.json()["code"]) == (409, "domain_exists")


async def test_the_same_domain_twice_is_a_conflict_that_names_it(client):
    made = await create(client)
    again = await client.post("/v1/domains", json={"domain": "SHOP.test"})
    assert (again.status_code, again.json()["code"], again.json()["params"]) == (
        409, "domain_exists", {"domain_id": made["id"]},
    )  # fmt: skip
    assert len((await client.get("/v1/domains")).json()["items"]) == 1


async def test_bounces_go_to_the_domains_own_name_once_it_leads_back_here(
    client, dns_server, delivery_db, workspace_id, smtp_server
):
    signer = Signer({}, own_keys(delivery_db))
    paths = ReturnPaths({"k1": b"k" * 32}, "b@returns.relay.test")

    async def sender_of(one):
        await send(delivery_db, smtp_server, one, signer, return_paths=paths)
        return smtp_server.taken[-1].sender

    made = await create(client)
    publish(dns_server, made, "return_path")
    await check(client, made)
    assert (await sender_of(campaign(workspace_id))).endswith("@returns.relay.test"), "it is not known to be theirs yet"
    publish(dns_server, made)
    await check(client, made)
    for sender in ("news@shop.test", "news@letters.shop.test"):
        found = await sender_of(campaign(workspace_id, sender))
        assert found.endswith("@bounces.shop.test")
        assert paths.claim(found).proof == "path"
    assert (await sender_of(campaign(workspace_id, "news@other.test"))).endswith("@returns.relay.test")
    assert (await sender_of(campaign(new_id()))).endswith("@returns.relay.test")
    dns_server.silent.add("bounces.shop.test")
    await check(client, made)
    assert (await sender_of(campaign(workspace_id))).endswith("@bounces.shop.test"), "no answer is no change"
    dns_server.silent.clear()
    dns_server.set("bounces.shop.test", "CNAME", "elsewhere.test.")
    await check(client, made)
    assert (await sender_of(campaign(workspace_id))).endswith("@returns.relay.test")
