"""The address of a message's own: who can make one, and who reads it."""

import pytest
from common.errors import Misconfigured
from delivery.domain.return_path import ReturnPaths
from hypothesis import given
from hypothesis import strategies as st

OLD, NEW = {"k1": b"a" * 32}, {"k2": b"b" * 32, "k1": b"a" * 32}
PATHS = ReturnPaths(OLD, "bounces@mail.example.com", "r@mail.example.com")


@given(st.uuids(), st.uuids(), st.sampled_from([str.lower, str.upper, str.swapcase]))
def test_an_address_says_its_message_in_whatever_case_it_comes_back(workspace_id, message_id, case):
    paths, replies = PATHS.bounces_to(workspace_id, message_id), PATHS.replies_to(workspace_id, message_id)
    for address, proof in ((paths, "path"), (replies, "reply")):
        claim = PATHS.claim(case(address))
        assert (claim.message_id, claim.tail, claim.proof) == (message_id, workspace_id.bytes[-6:], proof)
        assert len(address.partition("@")[0]) <= 64
        assert PATHS.claim(address.replace("mail.example.com", "other.example")) == claim


@given(st.uuids(), st.uuids(), st.integers(0, 52), st.sampled_from("abcdefghijklmnopqrstuvwxyz234567"))
def test_no_letter_of_it_can_be_another(workspace_id, message_id, place, letter):
    local, at, domain = PATHS.bounces_to(workspace_id, message_id).partition("@")
    start = len("bounces+") + place
    changed = local[:start] + letter + local[start + 1 :]
    claim = PATHS.claim(changed + at + domain)
    # The last letter has one bit more than the token.
    assert claim is None or changed == local or (place == 52 and claim.message_id == message_id)


@given(st.text(max_size=80))
def test_any_other_text_is_no_address_of_ours(text):
    assert PATHS.claim(text) is None


@given(st.uuids(), st.uuids())
def test_after_a_new_key_the_old_addresses_still_count_and_not_the_other_way_round(workspace_id, message_id):
    rotated = ReturnPaths(NEW, "bounces@mail.example.com")
    assert rotated.claim(PATHS.bounces_to(workspace_id, message_id)).message_id == message_id
    assert PATHS.claim(rotated.bounces_to(workspace_id, message_id)) is None


def test_without_a_local_part_it_is_the_token_alone():
    from uuid import uuid4

    workspace_id, message_id = uuid4(), uuid4()
    paths = ReturnPaths(OLD, "@mail.example.com")
    address = paths.bounces_to(workspace_id, message_id)
    assert address == f"{paths.token(workspace_id, message_id)}@mail.example.com"
    assert ReturnPaths(OLD).bounces_to(workspace_id, message_id) is None


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("bounces", "is no address"),
        ("b@", "is no address"),
        ("b c@d e", "is no address"),
        ("b\r\nRCPT TO:<x>@example.com", "is no address"),
        ("a-long-name@example.com", "more than 10 ASCII characters"),
        ("ب@example.com", "is no address"),
    ],
)
def test_a_wrong_setting_is_told_by_its_name(address, said):
    with pytest.raises(Misconfigured) as wrong:
        ReturnPaths(OLD, address)
    assert wrong.value.message.startswith("BARID_BOUNCE_ADDRESS")
    assert said in wrong.value.message
    with pytest.raises(Misconfigured, match="BARID_REPLY_ADDRESS"):
        ReturnPaths(OLD, None, address)
