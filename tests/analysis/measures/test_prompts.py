"""The history of prompts: which sets were in use, what changed from one to the next, and how that reads."""

from __future__ import annotations

import json
import random
from typing import Any

import polars as pl
import pytest

from analysis.measures.prompts import difference, prompts
from tests.support.frames import at, frame

EMPTY_LISTS = ["added_tools", "removed_tools", "changed_tools", "changed_system"]


def preamble(name: str, *members: tuple[str | None, str]) -> list[dict[str, Any]]:
    """Return the parts of a set, in order: (name of a tool, or None for a system block; digest). 100 bytes each."""
    return [
        {
            "preamble": name,
            "position": place,
            "kind": "tool" if tool else "system",
            "name": tool,
            "part": part,
            "bytes": 100,
        }
        for place, (tool, part) in enumerate(members)
    ]


def used(name: str | None, second: float, **columns: Any) -> dict[str, Any]:
    """Return an exchange with that set."""
    known = {"session_id": "s", "client_version": "2.1.330", "kind": "main"}
    return {"exchange_id": f"e{second}", "preamble": name, "started_at": at(second), **known, **columns}


def history(exchanges: list[dict[str, Any]], *sets: list[dict[str, Any]]) -> pl.DataFrame:
    """Return the history of prompts, of rows in any order."""
    parts = [part for members in sets for part in members]
    rows = frame("exchanges", *random.sample(exchanges, len(exchanges)))
    return prompts(rows, frame("prompt_parts", *random.sample(parts, len(parts)))).collect()


def test_each_set_says_when_by_whom_and_what() -> None:
    """A set has one row, with its uses and its contents."""
    members = preamble(
        "p", ("Read", "r"), ("mcp__git__log", "l"), ("mcp__git__diff", "d"), ("mcp__a_b__x", "x"), (None, "i")
    )
    uses = [
        used("p", 20, session_id="s2", client_version="2.1.10"),
        used("p", 10, client_version="2.1.9"),
        used("p", 30, kind="compaction", client_version=None),
        used("p", 40, session_id=None),
        used(None, 1),
    ]

    assert history(uses, members).to_dicts() == [
        {
            "preamble": "p", "first_at": at(10), "last_at": at(40), "exchanges": 4, "sessions": 2,
            "client_versions": ["2.1.9", "2.1.10", "2.1.330"], "kinds": ["compaction", "main"],
            "system_blocks": 1, "tools": 4, "tool_names": ["Read", "mcp__git__log", "mcp__git__diff", "mcp__a_b__x"],
            "system_bytes": 100, "tools_bytes": 400, "mcp_servers": ["a_b", "git"], "previous": None,
            "added_tools": None, "removed_tools": None, "changed_tools": None, "changed_system": None,
        }
    ]  # fmt: skip


def test_what_changed_is_told_against_the_set_before() -> None:
    """Tools are compared by name, system blocks by their place among themselves, all by what they say."""
    first = preamble("p", ("Bash", "b1"), ("Edit", "e1"), ("Read", "r1"), (None, "i1"), (None, "s1"))
    second = preamble("q", ("Read", "r1"), ("Bash", "b2"), ("Agent", "a1"), (None, "i1"), (None, "s2"), (None, "t1"))

    found = history([used("q", 2), used("p", 1), used("p", 9)], first, second)

    assert found["preamble"].to_list() == ["p", "q"]
    row = found.row(1, named=True)
    assert row["previous"] == "p"
    assert [row[name] for name in EMPTY_LISTS] == [["Agent"], ["Edit"], ["Bash"], [1, 2]]


def test_a_new_order_changes_no_tool() -> None:
    """Sets whose tools only stand in another order differ in nothing that is listed, so the lists are empty, not null."""
    first, second = (
        preamble("p", ("A", "a"), ("B", "b"), (None, "i")),
        preamble("q", ("B", "b"), ("A", "a"), (None, "i")),
    )

    row = history([used("p", 1), used("q", 2)], first, second).row(1, named=True)

    assert [row[name] for name in ["previous", *EMPTY_LISTS]] == ["p", [], [], [], []]


def test_a_set_follows_one_of_its_own_line() -> None:
    """A set is compared with the one before it of the same kind, agent type and shape, not with a title's in between."""
    main = [preamble(name, ("Read", name), (None, "i")) for name in ("m1", "m2")]
    explore = [preamble(name, ("Read", name), (None, "x")) for name in ("x1", "x2")]
    plan = preamble("n1", ("Read", "r"), (None, "n"))
    title, bare = preamble("t1", (None, "t")), preamble("b1", (None, "i"))
    agent = {"kind": "subagent", "agent_type": "Explore"}
    uses = [
        used("m1", 1), used("x1", 2, **agent), used("t1", 3, kind="title"), used("n1", 4, kind="subagent", agent_type="Plan"),
        used("b1", 5), used("x2", 6, **agent), used("m2", 7), used("m1", 8, kind="compaction"),
    ]  # fmt: skip

    found = history(uses, *main, *explore, plan, title, bare)

    assert dict(found.select("preamble", "previous").rows()) == {
        "m1": None, "x1": None, "t1": None, "n1": None, "b1": None, "x2": "x1", "m2": "m1",
    }  # fmt: skip


def test_a_set_that_comes_back_stays_where_it_began() -> None:
    """The order is that of first use: a set that is used again later is no new one."""
    sets = [preamble(name, ("Read", name)) for name in ("p", "q", "r")]

    found = history([used("p", 1), used("q", 2), used("p", 3), used("r", 4)], *sets)

    assert found.select("preamble", "previous").rows() == [("p", None), ("q", "p"), ("r", "q")]


def test_tools_without_a_name_are_told_apart_by_their_place() -> None:
    """Two parts that are called the same, or not at all, are compared each with its own."""
    parts = [
        {"preamble": name, "position": place, "kind": "tool", "name": None, "part": part, "bytes": 1}
        for name, digests in (("p", "ab"), ("q", "ac"))
        for place, part in enumerate(digests)
    ]

    row = history([used("p", 1), used("q", 2)], parts).row(1, named=True)

    assert row["tool_names"] == ["(no name)", "(no name)"]
    assert [row[name] for name in EMPTY_LISTS] == [[], [], ["(no name)"], []]


def test_a_set_whose_parts_are_gone_keeps_its_row() -> None:
    """Exchanges name a set that the store no longer has: its uses are told, its contents are none."""
    row = history([used("p", 1, client_version=None)]).row(0, named=True)

    assert (row["exchanges"], row["client_versions"], row["system_blocks"], row["tools"]) == (1, [], 0, 0)
    assert (row["tool_names"], row["mcp_servers"], row["system_bytes"], row["tools_bytes"]) == ([], [], 0, 0)


def test_of_nothing_there_are_all_columns() -> None:
    """Empty frames give an empty frame, lazily, with the same columns and types as any other."""
    found = prompts(frame("exchanges").collect(), frame("prompt_parts").collect())
    some = history([used("p", 1)], preamble("p", ("Read", "r")))

    assert isinstance(found, pl.LazyFrame)
    assert found.collect().is_empty()
    assert found.collect().schema == some.schema


def bodies(name: str, *members: tuple[str | None, Any]) -> list[dict[str, Any]]:
    """Return the parts of a set with what they say."""
    return [
        {
            "preamble": name,
            "position": place,
            "kind": "tool" if tool else "system",
            "name": tool,
            "json": json.dumps(said),
        }
        for place, (tool, said) in enumerate(members)
    ]


def tool(description: str, **properties: str) -> dict[str, Any]:
    """Return a tool that takes those texts."""
    schema = {"type": "object", "properties": {name: {"type": kind} for name, kind in properties.items()}}
    return {"name": "Read", "description": description, "input_schema": schema, "cache_control": {"type": "ephemeral"}}


def test_a_difference_reads_as_text() -> None:
    """The diff shows lines of prompts and descriptions as they read, and schemas line by line."""
    was = bodies(
        "p", ("Read", tool("Reads a file.\nNo folders.", path="string")), (None, {"type": "text", "text": "Be\nbrief"})
    )
    now = bodies(
        "q", ("Read", tool("Reads a file.\nOr two.", path="array")), (None, {"type": "text", "text": "Be\nlong"})
    )

    found = difference(frame("prompt_parts", *was, *now, bodies=True), "p", "q")

    assert found.splitlines() == [
        "--- p", "+++ q", "@@ -1,18 +1,18 @@",
        " ## system 0", " ", " Be", "-brief", "+long", " ",
        " ## tool Read", " ", " Reads a file.", "-No folders.", "+Or two.", " ",
        " {", '   "input_schema": {', '     "properties": {', '       "path": {', '-        "type": "string"',
        '+        "type": "array"', "       }", "     },", '     "type": "object"',
    ]  # fmt: skip


def test_sets_that_say_the_same_have_no_difference() -> None:
    """Neither the order of keys nor `cache_control` nor the spelling of a text makes a difference."""
    was = bodies("p", ("Read", tool("Reads.")), (None, "Be brief"))
    now = bodies("q", ("Read", dict(reversed(tool("Reads.").items()))), (None, {"text": "Be brief", "type": "text"}))
    now[0]["json"] = now[0]["json"].replace("ephemeral", "other")

    assert difference(frame("prompt_parts", *was, *now, bodies=True), "p", "q") == ""


def test_what_is_no_text_and_no_json_is_shown_as_it_stands() -> None:
    """Parts of any form are shown: lists, tools without a description, and what is not JSON."""
    was = bodies("p", (None, ["a"]), ("web_search", {"type": "web_search_20250305", "name": "web_search"}))
    now = bodies(
        "q", (None, ["b"]), ("web_search", {"type": "web_search_20250305", "name": "web_search", "max_uses": 5})
    )
    now.append({"preamble": "q", "position": 2, "kind": "tool", "json": "{broken"})

    changed = difference(frame("prompt_parts", *was, *now, bodies=True).collect(), "p", "q").splitlines()

    assert [line for line in changed[3:] if line[0] in "+-"] == [
        '-  "a"', '+  "b"', '+  "max_uses": 5,', "+## tool (no name)", "+", "+{broken", "+",
    ]  # fmt: skip


def test_the_difference_to_a_set_that_is_not_there_is_an_error() -> None:
    """Whoever asks for a set that has no parts is told its name."""
    with pytest.raises(ValueError, match='there is no prompt "q"'):
        difference(frame("prompt_parts", *bodies("p", (None, "x")), bodies=True), "p", "q")
