"""The event map in docs/architecture.md is the one of the topics."""

from common.contracts.topics import TOPICS

from tools.docs import ARCHITECTURE, architecture, event_map


def test_the_map_on_the_page_is_the_topics() -> None:
    assert ARCHITECTURE.read_text(encoding="utf-8") == architecture(), "run `make docs`"


def test_every_topic_is_in_the_diagram_and_in_the_table() -> None:
    diagram, _, table = event_map().partition("| event |")
    for topic in TOPICS:
        assert topic.name in diagram
        assert f"| `{topic.name}` | `{topic.key}` |" in table
