"""Dead letters on the command line."""

import asyncio
import dataclasses
import json

import pytest
from barid import letters
from barid.provision import VARIABLES
from barid.settings import stack_settings
from common.bus.port import Polled
from common.consumer import dead_letters
from common.consumer.decode import Dead
from common.contracts.leads import SegmentChangedV1
from common.errors import NotFound
from common.ids import new_id
from common.outbox.writer import Outgoing
from common.testing.deliver import as_record


@pytest.mark.parametrize(("payload", "shown"), [("hello", "hello"), ('{"a": 1}', {"a": 1}), ("", "")])
async def test_a_letter_is_shown_whatever_is_in_it(payload, shown, contacts_db, monkeypatch, capsys):
    record = as_record(Outgoing(new_id(), SegmentChangedV1(segment_id=new_id(), name="s", revision=1)))
    dead = Dead(Polled(dataclasses.replace(record, payload=payload), "segment.changed:1", 7), "undecodable: $: json")
    async with contacts_db.worker.transaction() as tx:
        await dead_letters.bury(tx, "contacts.main", [dead])
    for name in VARIABLES.values():
        monkeypatch.setenv(name, contacts_db.worker_url)
    await asyncio.to_thread(letters.show_one, stack_settings(), "contacts", 1)
    told = json.loads(capsys.readouterr().out)
    assert (told["payload"], told["source"], told["source_offset"]) == (shown, "segment.changed:1", 7)
    with pytest.raises(NotFound):
        await asyncio.to_thread(letters.show_one, stack_settings(), "contacts", 2)
