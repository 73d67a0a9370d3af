"""Where a prompt differs from the one before it: in which tool, system block or message, and how that is shown."""

from __future__ import annotations

import json
import random
from typing import Any

from analysis.measures.prefix import SHOWN_BEFORE, SHOWN_CHARACTERS
from tests.support.frames import frame
from tests.support.turns import parts, said, second, turn


def test_tools_change() -> None:
    """A tool that was added, removed or told in other words is told with its position, by its name."""
    was = turn("a", 0, 0, 5000)
    changed = [
        second({**was, "preamble": old}, turn("b", 9, 0, 5300, "m2", preamble=new))
        for old, new in (("p", "more"), ("more", "p"), ("p", "other"), ("p", "both"))
    ]
    assert [said(row) for row in changed] == [
        ("tools_changed", "tools", 1, None, "Read"),
        ("tools_changed", "tools", 1, "Read", None),
        ("tools_changed", "tools", 0, "Bash", "Bash"),
        ("tools_changed", "tools", 0, "Bash", "Read"),
    ]


def test_tools_show_what_changed_in_them() -> None:
    """With bodies, a tool of the same name shows what differs in its JSON."""
    bodies = parts(bash='{"name":"Bash","description":"Run"}', bash2='{"name":"Bash","description":"Do"}')
    only = second(turn("a", 0, 0, 5000), turn("b", 9, 0, 5300, "m2", preamble="other"), parts=bodies)
    assert (only["was"], only["now"]) == ('{"name":"Bash","description":"Run"}', '{"name":"Bash","description":"Do"}')


def test_the_system_prompt_changes() -> None:
    """A system block that differs is told with its position after the tools, by its digest or its text."""
    rows = [turn("a", 0, 0, 5000), turn("b", 9, 2000, 3300, "m2", preamble="told")]
    assert said(second(*rows)) == ("system_changed", "system", 1, "system", "system2")
    long = "x" * 500
    bodies = parts(
        system=json.dumps({"type": "text", "text": f"{long} on Monday"}),
        system2=json.dumps(f"{long} on Tuesday {long}"),
    )
    only = second(*rows, parts=bodies)
    assert only["was"] == "…" + "x" * (SHOWN_BEFORE - 4) + " on Monday"
    assert only["now"].startswith("…" + "x" * (SHOWN_BEFORE - 4) + " on Tuesday xx")
    assert len(only["now"]) == 1 + SHOWN_CHARACTERS
    assert second(*rows, parts=parts(system='{"text":', system2='{"text":"b"}'))["was"] == '{"text":'


def test_an_earlier_message_changes() -> None:
    """Where the conversation goes on but a message in it is another one, its depth and both messages are told."""
    rows = [turn("a", 0, 0, 5000, "m2"), turn("b", 9, 2000, 3300, "x3")]
    assert said(second(*rows)) == ("message_changed", "message", 0, "m0", "x0")


def test_messages_show_what_changed_in_them() -> None:
    """With bodies of blocks, the first block that differs is shown; of images the kind; what cannot be seen, by its digest."""

    def shown(*rows: tuple[str, int, str, str | None]) -> tuple[Any, Any]:
        bodies = [dict(zip(("node", "position", "type", "text"), row, strict=True)) for row in rows]
        blocks = frame("blocks", *random.sample(bodies, len(bodies)), bodies=True)
        only = second(turn("a", 0, 0, 5000, "m4"), turn("b", 9, 2000, 300, "r2"), blocks=blocks)
        return only["was"], only["now"]

    same = [("m2", 0, "text", "same"), ("r2", 0, "text", "same")]
    assert shown(*same, ("m2", 1, "text", "the old end"), ("r2", 1, "text", "the new end")) == (
        "the old end",
        "the new end",
    )
    assert shown(*same, ("r2", 1, "image", None)) == (None, "[image]")
    assert shown(*same) == ("m2", "r2")


def test_bodies_are_not_needed() -> None:
    """Blocks without bodies are as good as none."""
    blocks = frame("blocks", {"node": "m2", "position": 0, "type": "text"})
    only = second(turn("a", 0, 0, 5000, "m4"), turn("b", 9, 2000, 300, "r2"), blocks=blocks)
    assert (only["was"], only["now"]) == ("m2", "r2")


def test_messages_may_stand_in_another_session() -> None:
    """A session that was continued from another one has its first messages there; they are found."""
    elsewhere = frame(
        "messages",
        {"node": "m0", "parent": None, "depth": 0, "session_id": None}, {"node": "m1", "parent": "m0", "depth": 1, "session_id": "older"},
        {"node": "m2", "parent": "m1", "depth": 2, "session_id": "old"}, {"node": "r2", "parent": "m1", "depth": 2, "session_id": "s"},
    )  # fmt: skip
    rows = [turn("a", 0, 0, 5000, "m2"), turn("b", 9, 2000, 300, "r2")]
    assert said(second(*rows, messages=elsewhere)) == ("rewind", "message", 2, "m2", "r2")


def test_what_is_not_known_is_taken_as_intact() -> None:
    """What is no longer in the store is not said to have changed."""
    lost = turn("a", 0, 0, 5000, "gone")
    assert second(lost, turn("b", 9, 2000, 300, "m2", preamble="gone"))["cause"] == "unknown"
    assert second(lost, turn("b", 9, 2000, 300, None))["cause"] == "unknown"


def test_a_request_may_have_no_preamble() -> None:
    """Where one of the two has neither system blocks nor tools, these have changed."""
    only = second(turn("a", 0, 0, 5000), turn("b", 9, 2000, 300, "m2", preamble=None))
    assert said(only) == ("tools_changed", "tools", 0, "Bash", None)
