"""Search among many contacts through the whole application: words as typed, misspelt, half typed, common and rare.

Figures are 95th percentiles in ms; `search_index` says how many contacts a second get their words.
"""

import os
import time
from itertools import cycle
from random import Random

import httpx
from common.ids import new_id
from common.web.tokens import new_signing_key, sign
from contacts.db import search as db
from contacts.use_cases import searching

from tests.load.crowds import fill
from tests.load.figures import Figure
from tests.load.list_page import application, figure, vacuum
from tests.load.server import database

ROWS = int(os.environ.get("LOAD_SEARCH_ROWS", "200000"))
NAMES = 60_000
RUNS = 200
_SYLLABLES = [
    "ma",
    "ri",
    "ne",
    "lo",
    "far",
    "kar",
    "im",
    "so",
    "ra",
    "ha",
    "san",
    "ber",
    "نی",
    "لو",
    "فر",
    "کر",
    "یم",
    "حس",
]
_RENAME = """
update contacts c set first_name = n.first, last_name = n.last, city = n.city, company = n.company
  from (select id, ($2::text[])[1 + (n * 7919) % $3] as first, ($2::text[])[1 + (n * 104729) % $3] as last,
               (array['تهران', 'اصفهان', 'London', 'Berlin'])[1 + n % 4] as city, 'Company ' || n % 5000 as company
          from (select id, row_number() over (order by id) as n from contacts where workspace_id = $1) r) n
 where c.workspace_id = $1 and c.id = n.id
"""


async def run() -> list[Figure]:
    """The index made, then each kind of search."""
    chance = Random(1)
    names = sorted({"".join(chance.choices(_SYLLABLES, k=chance.randint(2, 5))) for _ in range(NAMES)})
    workspace_id = new_id()
    private, public = new_signing_key()
    token = sign(private, workspace_id=workspace_id, subject_id=new_id(), role="viewer", ttl_s=3600)
    async with database("contacts") as contacts:
        await fill(contacts.worker, workspace_id, ROWS)
        async with contacts.worker.transaction(workspace_id) as tx:
            await tx.execute("set local statement_timeout = 0")
            await tx.execute(_RENAME, workspace_id, names, len(names), timeout=1800)
            await tx.execute("delete from segment_touched")
            for row in await tx.fetch(
                "select array_agg(id) as ids from (select id, row_number() over (order by id) / 2000 as part"
                " from contacts where workspace_id = $1) p group by part",
                workspace_id,
            ):
                await db.touch(tx, workspace_id, row["ids"])
        started = time.perf_counter()
        while await searching.catch_up(contacts.worker):
            pass
        took = time.perf_counter() - started
        await vacuum(contacts.owner_url, "contacts, contact_words, search_words, search_near")
        asked = {
            "search": [f"{chance.choice(names)} {chance.choice(names)[:3]}" for _ in range(RUNS)],
            "search_misspelt": [_slip(chance, chance.choice(names)) for _ in range(RUNS)],
            "search_common": ["tehran", "تهران", "london company", "اصفهان com", "berlin"] * (RUNS // 5),
            "search_begun": [chance.choice(names)[:2] for _ in range(RUNS)],
        }
        async with application(contacts, public, token) as client:
            figures = [await measure(client, name, words) for name, words in asked.items()]
    return [Figure("search_index", ROWS / took, "contacts/s", ROWS, round(took, 3)), *figures]


def _slip(chance: Random, word: str) -> str:
    at = chance.randrange(len(word))
    return word[:at] + chance.choice("aeioکیم") + word[at + 1 :]


async def measure(client: httpx.AsyncClient, name: str, words: list[str]) -> Figure:
    """The first of each is not counted."""
    taken = []
    for _, word in zip(range(RUNS + 1), cycle(words), strict=False):
        started = time.perf_counter()
        answer = await client.get("/v1/contacts/search", params={"q": word, "limit": 50})
        taken.append(time.perf_counter() - started)
        answer.raise_for_status()
    return figure(name, taken[1:])
