"""Limits as a person writes them."""

import asyncio

import pytest
from common.errors import Misconfigured
from delivery import mailer
from delivery.domain import limits
from delivery.domain.limits import BEGIN, REST, Limit
from delivery.settings import Settings


def test_what_is_stored_is_what_was_said():
    assert limits.from_json(limits.to_json(BEGIN)) == BEGIN


def test_a_provider_counts_against_its_own_limit_or_the_rests():
    found = limits.from_text('{"gmail": {"per_second": 5}, "*": {"connections": 3}}')
    assert limits.bucket_of(found, "gmail") == "gmail"
    assert limits.bucket_of(found, "yahoo") == REST
    assert limits.limit_of(found, "gmail") == Limit(per_second=5)
    assert limits.limit_of(limits.from_text(""), REST).is_shared is False


@pytest.mark.parametrize(
    "text",
    [
        "nonsense", "[]", "7", '{"gmail": 5}', '{"gmail": {"per_hour": 5}}', '{"hotmail": {"per_second": 5}}',
        '{"gmail": {"per_second": 0}}', '{"gmail": {"per_second": "5"}}', '{"gmail": {"per_second": true}}',
        '{"gmail": {"connections": 1.5}}', '{"gmail": {"per_second": 1e400}}', '{"gmail": {"per_second": NaN}}',
    ],
)  # fmt: skip
def test_what_is_no_limit_is_refused(text):
    with pytest.raises(ValueError, match=r"."):
        limits.from_text(text)


@pytest.mark.parametrize(
    ("setting", "value"), [("smtp_limits", '{"gmail": 5}'), ("smtp_limits", "nonsense"), ("smtp_url", "http://x")]
)
async def test_a_mailer_with_a_wrong_setting_does_not_start(setting, value):
    with pytest.raises(Misconfigured, match="BARID_" + setting.upper()):
        await mailer.run(Settings(**{setting: value}), asyncio.Event())
