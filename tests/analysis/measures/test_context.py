"""What filled the window, what tool results went on costing, and compactions, against a conversation told by hand."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from analysis.measures.context import CATEGORIES, IMAGE_WEIGHT, Tree, compactions, context, tool_results
from analysis.measures.cost import cost
from tests.support.frames import at, frame

FILES = (
    "# claudeMd\nCodebase and user instructions are shown below.\n"
    "Contents of /me/CLAUDE.md (project instructions):\n\n# Rules\nBe kind."
)
ALONE = "Contents of /me/src/CLAUDE.md:\n\nHere be dragons."
RESULTS = [
    "tool_use_id",
    "tool_name",
    "session_id",
    "node",
    "characters",
    "tokens",
    "requests",
    "token_turns",
    "cost_usd",
]


def block(
    node: str, position: int, kind: str, characters: int | None, role: str | None = "user", **columns: Any
) -> dict[str, Any]:
    """Return a content block."""
    return {"node": node, "position": position, "role": role, "type": kind, "characters": characters, **columns}


# u0 asks, a1 calls Bash and Read, u2 has their results, a3 answers, u4 asks again; x2 has another result after a1.
BLOCKS = [
    block("u0", 0, "text", 100),
    block("a1", 0, "thinking", 40, "assistant"), block("a1", 1, "text", 60, "assistant"),
    block("a1", 2, "tool_use", 20, "assistant", tool_name="Bash", tool_use_id="t1"),
    block("a1", 3, "tool_use", 30, "assistant", tool_name="Read", tool_use_id="t2"),
    block("u2", 0, "tool_result", 400, tool_use_id="t1"), block("u2", 1, "tool_result", 150, tool_use_id="t2"),
    block("a3", 0, "text", 90, "assistant"),
    block("u4", 0, "text", 10),
    block("x2", 0, "tool_result", 250, tool_use_id="t1"),
]  # fmt: skip
PATHS = {"u0": None, "a1": "u0", "u2": "a1", "a3": "u2", "u4": "a3", "x2": "a1"}
PARTS = [
    {"preamble": "p", "position": 0, "kind": "tool", "name": "Bash", "part": "t0", "bytes": 50},
    {"preamble": "p", "position": 1, "kind": "tool", "name": "mcp__git__log", "part": "t1", "bytes": 20},
    {"preamble": "p", "position": 2, "kind": "tool", "name": "mcp__git__show_all", "part": "t2", "bytes": 10},
    {"preamble": "p", "position": 3, "kind": "system", "name": None, "part": "s0", "bytes": 120},
    {"preamble": "unused", "position": 0, "kind": "system", "name": None, "part": "s0", "bytes": 999},
]


def mixed(grain: str, rows: list[dict[str, Any]], *, bodies: bool = False) -> pl.LazyFrame:
    """Return a frame of rows in any order."""
    return frame(grain, *random.sample(rows, len(rows)), bodies=bodies)


def tree(paths: dict[str, str | None], **sessions: str) -> pl.LazyFrame:
    """Return messages, of session s but for the nodes that `sessions` names."""
    depth: dict[str | None, int] = {None: -1}
    for node, parent in paths.items():
        depth[node] = depth[parent] + 1
    return mixed(
        "messages",
        [
            {"node": node, "parent": parent, "depth": depth[node], "session_id": sessions.get(node, "s")}
            for node, parent in paths.items()
        ],
    )


def request(
    name: str, tokens: int | None, tip: str | None, preamble: str | None = "p", **columns: Any
) -> dict[str, Any]:
    """Return an exchange that took so many tokens of plain input; it begins as many seconds after noon as its name says."""
    return {
        "exchange_id": name, "session_id": "s", "thread_id": "s/main", "kind": "main", "started_at": at(int(name)), "provider": "anthropic",
        "model": "m", "input_tokens": tokens, "context_tokens": tokens, "tip": tip, "preamble": preamble, **columns,
    }  # fmt: skip


def held(*requests: dict[str, Any], **more: Any) -> dict[str, dict[tuple[Any, ...], tuple[int, float]]]:
    """Return by exchange, then by category and name, the characters and tokens."""
    frames = (
        more.get("messages", tree(PATHS)),
        more.get("blocks", mixed("blocks", BLOCKS)),
        mixed("prompt_parts", PARTS),
    )
    found: dict[str, dict[tuple[Any, ...], tuple[int, float]]] = {}
    for row in context(mixed("exchanges", list(requests)), *frames).collect().to_dicts():
        found.setdefault(row["exchange_id"], {})[row["category"], row["name"]] = (row["characters"], row["tokens"])
    return found


def told(text: str, tokens: int) -> dict[tuple[Any, ...], tuple[int, float]]:
    """Return what a request comes to whose only content is a text of the user's."""
    blocks = frame("blocks", block("u0", 0, "text", len(text), text=text), bodies=True)
    return held(request("1", tokens, "u0", None), blocks=blocks)["1"]


def test_a_request_is_split_by_what_it_holds() -> None:
    """Its preamble and all messages up to its tip, in characters, and in tokens that come to what the API counted."""
    found = held(request("1", 600, "u0"), request("2", 2000, "u4"))
    # 200 characters of preamble, 100 of u0: 2 tokens a character
    assert found["1"] == {
        ("system", None): (120, 240.0), ("tools", None): (50, 100.0), ("mcp_tools", "git"): (30, 60.0), ("user", None): (100, 200.0),
    }  # fmt: skip
    # 200, 100, 150, 550, 90 and 10 characters: 1100, in 2000 tokens
    characters = {
        ("system", None): 120, ("tools", None): 50, ("mcp_tools", "git"): 30, ("user", None): 110, ("assistant", None): 150,
        ("thinking", None): 40, ("tool_call", "Bash"): 20, ("tool_call", "Read"): 30, ("tool_result", "Bash"): 400,
        ("tool_result", "Read"): 150,
    }  # fmt: skip
    assert found["2"] == {key: (count, pytest.approx(count * 2000 / 1100)) for key, count in characters.items()}


def test_rows_come_in_order() -> None:
    """By time, then by category and name; with the ids that join."""
    exchanges = mixed("exchanges", [request("2", 900, "u2"), request("1", 600, "u0")])
    rows = context(exchanges, tree(PATHS), mixed("blocks", BLOCKS), mixed("prompt_parts", PARTS)).collect()
    assert rows.columns == [
        "exchange_id",
        "session_id",
        "thread_id",
        "started_at",
        "category",
        "name",
        "characters",
        "tokens",
    ]
    assert rows.row(0)[:6] == ("1", "s", "s/main", at(1), "system", None)
    keys = [(row["exchange_id"], CATEGORIES.index(row["category"]), row["name"] or "") for row in rows.to_dicts()]
    assert keys == sorted(keys)


def test_branches_hold_only_their_own() -> None:
    """Paths that part share what is above, and nothing of each other."""
    found = held(request("1", 650, "u2", None), request("2", 500, "x2", None), request("3", 250, "a1", None))
    assert [found[name].get(("tool_result", "Bash"), (0, 0))[0] for name in "123"] == [400, 250, 0]
    assert {found[name]["user", None][0] for name in "123"} == {100}


def test_tokens_sum_to_what_was_counted() -> None:
    """Whatever a request holds, its tokens come to its context_tokens, also where these are only known by their parts."""
    parts = request("1", 7, "u4", context_tokens=None, cache_read_tokens=1000, cache_write_tokens=300)
    for tokens, row in ((1307, parts), (12_345, request("1", 12_345, "x2")), (5, request("1", 5, None))):
        assert sum(count for _, count in held(row)["1"].values()) == pytest.approx(tokens)


def test_unknown_content_is_other() -> None:
    """A request of which nothing is known is other, without a character; one that was not answered has no rows."""
    found = held(request("1", 70, "gone", None), request("2", None, "u0"), request("3", 0, "u0", None))
    assert found == {"1": {("other", None): (0, 70.0)}, "3": {("user", None): (100, 0.0)}}


def test_images_weigh_what_the_largest_does() -> None:
    """An image has no characters and weighs 6400 of them; a document weighs nothing, for nobody knows."""
    blocks = frame("blocks", block("u0", 0, "text", 600), block("u0", 1, "image", 0), block("u0", 2, "document", None))
    assert held(request("1", 3500, "u0", None), blocks=blocks)["1"] == {
        ("user", None): (600, 300.0),
        ("image", None): (0, 3200.0),
    }
    assert IMAGE_WEIGHT == 6400


def test_kinds_of_blocks_have_their_categories() -> None:
    """Calls and results of any tool are told by its name, also of servers and of the provider; a new kind is other."""
    kinds: list[tuple[str, str | None, dict[str, str]]] = [
        ("text", "system", {}), ("thinking", "assistant", {}), ("redacted_thinking", "assistant", {}),
        ("server_tool_use", "assistant", {"tool_name": "web_search", "tool_use_id": "w1"}),
        ("web_search_tool_result", "assistant", {"tool_use_id": "w1"}), ("tool_reference", "user", {}), ("text", None, {}),
        ("tool_result", "user", {"tool_use_id": "nobody's"}), ("text", "assistant", {}),
    ]  # fmt: skip
    rows = [block("u0", position, kind, 10, role, **more) for position, (kind, role, more) in enumerate(kinds)]
    found = held(request("1", 90, "u0", None), blocks=mixed("blocks", rows))["1"]
    assert {key: count for key, (count, _) in found.items()} == {
        ("reminder", None): 10, ("thinking", None): 20, ("tool_call", "web_search"): 10, ("tool_result", "web_search"): 10,
        ("other", None): 10, ("user", None): 10, ("tool_result", None): 10, ("assistant", None): 10,
    }  # fmt: skip


def test_a_result_is_named_by_the_call_before_it() -> None:
    """Where an id was used twice, the call just before the result has it; else any call with that id."""
    rows = [
        block("u0", 0, "tool_use", 5, "assistant", tool_name="First", tool_use_id="t"),
        block("a1", 0, "tool_use", 5, "assistant", tool_name="Second", tool_use_id="t"),
        block("u2", 0, "tool_result", 7, tool_use_id="t"),
        block("a3", 0, "tool_use", 5, "assistant", tool_name="Third", tool_use_id="u"), block("x2", 0, "tool_result", 8, tool_use_id="u"),
    ]  # fmt: skip
    found = held(request("1", 17, "u2", None), request("2", 18, "x2", None), blocks=mixed("blocks", rows))
    assert found["1"]["tool_result", "Second"] == (7, 7.0)
    assert found["2"]["tool_result", "Third"] == (8, 8.0)


@pytest.mark.parametrize(
    ("text", "memory", "reminder", "user"),
    [
        ("Do it.", 0, 0, 6),
        ("<system-reminder>mind</system-reminder>Do it.", 0, 39, 6),
        (f"<system-reminder>\n{ALONE}\n</system-reminder>", len(ALONE) + 1, 36, 0),
        (f"<system-reminder>Know:\n{FILES}\n# currentDate\nToday.</system-reminder>Dö.", len(FILES), 62, 3),
        (
            f"<system-reminder>{FILES}\n\n      IMPORTANT: this context may or may not be so.</system-reminder>",
            len(FILES),
            88,
            0,
        ),
        ("a<system-reminder>b</system-reminder>c<system-reminder>cut", 0, 36 + 20, 2),
        ("<system-reminder>Contents of the day: none</system-reminder>", 0, 60, 0),
    ],
)
def test_texts_of_the_user_are_split(text: str, memory: int, reminder: int, user: int) -> None:
    """Reminders are told from what the user said, and inside them the files of memory, to the character."""
    found = told(text, 1000)
    sizes = {"memory": memory, "reminder": reminder, "user": user}
    assert {name: found.get((name, None), (0, 0.0))[0] for name in sizes} == sizes
    assert sum(sizes.values()) == len(text)


def test_texts_are_not_split_without_bodies() -> None:
    """Without the texts all of it is the user's; and an assistant that writes of reminders wrote it itself."""
    text = "<system-reminder>mind</system-reminder>"
    assert held(request("1", 100, "u0", None))["1"] == {("user", None): (100, 100.0)}
    said = frame("blocks", block("u0", 0, "text", len(text), "assistant", text=text), bodies=True)
    assert held(request("1", 10, "u0", None), blocks=said)["1"] == {("assistant", None): (39, 10.0)}


def test_any_tree_comes_to_the_sums_of_its_paths() -> None:
    """In a tree that grew at random each request holds just the messages from its tip up to the root."""
    paths: dict[str, str | None] = {"n0": None}
    for number in range(1, 60):
        paths[f"n{number}"] = random.choice([None, *paths]) if number % 5 == 0 else random.choice(list(paths)[-3:])
    sizes = {node: random.randint(1, 99) for node in paths}
    tips = random.choices(list(paths), k=30)
    blocks = mixed("blocks", [block(node, 0, "text", size) for node, size in sizes.items()])
    rows = [request(str(number), 1000, tip, None) for number, tip in enumerate(tips)]
    found = held(*rows, messages=tree(paths), blocks=blocks)
    for number, tip in enumerate(tips):
        node: str | None = tip
        expected = 0
        while node:
            expected, node = expected + sizes[node], paths[node]
        assert found[str(number)] == {("user", None): (expected, 1000.0)}


def test_messages_are_found_across_sessions() -> None:
    """A session that was continued from others holds their messages; those of other sessions are not looked at."""
    messages = tree(PATHS, u0="older", a1="old", u2="old")
    assert held(request("1", 1000, "u4", None), messages=messages)["1"]["user", None][0] == 110
    sessions, tips = pl.Series(["s"], dtype=pl.String), pl.Series(["u4"], dtype=pl.String)
    assert len(Tree.of(tree({**PATHS, "z": None}, z="foreign"), sessions, tips).nodes) == 6


def test_a_tree_whose_root_is_gone_stands() -> None:
    """Messages below one that is no longer known are a tree of their own."""
    rows = [
        {"node": "b", "parent": "gone", "depth": 7, "session_id": "s"},
        {"node": "c", "parent": "b", "depth": 8, "session_id": "s"},
    ]
    found = Tree.of(mixed("messages", rows), pl.Series(["s"]), pl.Series(["c", None]))
    assert (found.nodes["node"].to_list(), found.parents, found.depths) == (["b", "c"], [-1, 0], [0, 1])
    assert found.places(pl.Series(["c", "gone", None, "b"])) == [1, -1, -1, 0]
    assert [found.fork(*pair) for pair in ((1, 0), (1, 1), (1, -1), (-1, -1))] == [0, 1, -1, -1]


def prices(folder: Path) -> Path:
    """Return a file with prices: of m, 10 USD a million tokens."""
    path = folder / "prices.json"
    path.write_text(json.dumps([{"model": "m", "input": 10, "output": 50, "cache_read": 1, "cache_write_5m": 12}]))
    return path


def lives(*requests: dict[str, Any], path: Path | None = None, **more: Any) -> list[dict[str, Any]]:
    """Return what became of tool results."""
    frames = (
        more.get("messages", tree(PATHS)),
        more.get("blocks", mixed("blocks", BLOCKS)),
        mixed("prompt_parts", PARTS),
    )
    return tool_results(mixed("exchanges", list(requests)), *frames, prices=path).collect().to_dicts()


def test_a_result_costs_as_long_as_it_is_carried(tmp_path: Path) -> None:
    """Each request that holds a result pays for it by its share: here 400 and 150 of 1000 and of 1100 characters."""
    rows = [
        request("1", 500, "u0"),
        request("2", 2000, "u2"),
        request("3", 3300, "u4"),
        request("4", 0, "u4", cache_read_tokens=1100, context_tokens=1100),
    ]
    bash, read = lives(*rows, path=prices(tmp_path))
    assert list(bash) == RESULTS
    assert [bash[name] for name in RESULTS[:5]] == ["t1", "Bash", "s", "u2", 400]
    # 2, 3 and 1 tokens a character; 20, 30 and 1 USD a million characters
    assert (bash["tokens"], bash["requests"], bash["token_turns"]) == (800.0, 3, pytest.approx(400 * 6))
    assert bash["cost_usd"] == pytest.approx(400 * 51e-6)
    assert [read[name] for name in RESULTS[:7]] == ["t2", "Read", "s", "u2", 150, 300.0, 3]
    assert read["cost_usd"] == pytest.approx(150 * 51e-6)


def test_shares_come_to_the_cost_of_input(tmp_path: Path) -> None:
    """If all content were tool results, what they cost would be what all input cost."""
    rows = [
        request("1", 100, "u0", None, cache_write_tokens=50, cache_write_5m_tokens=50, context_tokens=150),
        request("2", 70, "u2", None), request("3", 31, "x2", None), request("4", 33, "a3", None, cache_read_tokens=9, context_tokens=42),
    ]  # fmt: skip
    blocks = [block(node, 0, "tool_result", 7 + number, tool_use_id=node) for number, node in enumerate(PATHS)]
    found = lives(*rows, path=prices(tmp_path), blocks=mixed("blocks", blocks))
    paid = cost(mixed("exchanges", rows), prices(tmp_path)).select("cost_usd").collect().to_series().sum()
    assert sum(row["cost_usd"] for row in found) == pytest.approx(paid)
    assert sum(row["token_turns"] for row in found) == pytest.approx(150 + 70 + 31 + 42)


def test_a_result_that_moved_is_one(tmp_path: Path) -> None:
    """A result that stands in two places, since a message before it changed, has both lives; its size is the first's."""
    [bash, _] = lives(request("1", 650, "x2"), request("2", 1000, "u2"), path=prices(tmp_path))
    # x2: 200 + 250 + 250 = 700 characters in 650 tokens; u2: 1000 in 1000
    assert (bash["node"], bash["characters"], bash["requests"]) == ("x2", 250, 2)
    assert bash["tokens"] == pytest.approx(250 * 650 / 700)
    assert bash["token_turns"] == pytest.approx(250 * 650 / 700 + 400)


def test_sessions_may_use_the_same_ids(tmp_path: Path) -> None:
    """Results of two sessions are two, whatever their ids; one without any id is one by itself."""
    blocks = [
        block("u0", 0, "tool_result", 10, tool_use_id="t"), block("a1", 0, "tool_result", 20, tool_use_id="t"),
        block("a1", 1, "tool_result", 30), block("a1", 2, "tool_result", 40),
    ]  # fmt: skip
    messages = tree({"u0": None, "a1": None}, a1="s2")
    rows = [request("1", 10, "u0", None), request("2", 90, "a1", None, session_id="s2")]
    found = lives(*rows, path=prices(tmp_path), messages=messages, blocks=mixed("blocks", blocks))
    assert [(row["session_id"], row["tool_use_id"], row["tokens"]) for row in found] == [
        ("s", "t", 10.0), ("s2", "t", 20.0), ("s2", None, 30.0), ("s2", None, 40.0),
    ]  # fmt: skip


def test_a_cost_is_not_guessed(tmp_path: Path) -> None:
    """Where one of the requests has no price, neither has the result; its tokens are known."""
    rows = [request("1", 2000, "u2"), request("2", 1100, "u4", model="nobody's")]
    bash = lives(*rows, path=prices(tmp_path))[0]
    assert (bash["requests"], bash["token_turns"], bash["cost_usd"]) == (2, pytest.approx(1200), None)
    assert lives(rows[0], path=prices(tmp_path))[0]["cost_usd"] is not None


def test_results_that_nobody_carried_are_not_told() -> None:
    """A result is told from the first request that held it; a request that holds nothing known adds nothing."""
    assert lives(request("1", 600, "u0"), request("2", 600, "gone"), request("3", None, "u2")) == []


def test_an_empty_result_costs_nothing(tmp_path: Path) -> None:
    """A result without characters is told, with nothing."""
    blocks = [block("u0", 0, "text", 10), block("u0", 1, "tool_result", 0, tool_use_id="t")]
    [only] = lives(request("1", 10, "u0", None), path=prices(tmp_path), blocks=mixed("blocks", blocks))
    assert [only[name] for name in RESULTS[4:]] == [0, 0.0, 1, 0.0, 0.0]


def summary(name: str, tokens: int | None, tip: str, **columns: Any) -> dict[str, Any]:
    """Return a request for a summary."""
    return request(name, tokens, tip, kind="compaction", **{"compaction": "auto", **columns})


def dropped(*requests: dict[str, Any], paths: dict[str, str | None]) -> list[dict[str, Any]]:
    """Return compactions."""
    return compactions(mixed("exchanges", list(requests)), tree(paths)).collect().to_dicts()


COMPACTED: dict[str, str | None] = {**PATHS, "ask": "u4", "y0": None, "y1": "y0", "y2": "y1"}


def test_a_compaction_drops_messages() -> None:
    """It is told with the input before and after, and how many messages are no longer there."""
    rows = [
        request("1", 90_000, "u2"),
        request("2", 100_000, "u4"),
        summary("3", 101_000, "ask"),
        request("4", 20_000, "y0"),
        request("5", 21_000, "y2"),
    ]
    assert dropped(*rows, paths=COMPACTED) == [
        {
            "session_id": "s", "thread_id": "s/main", "exchange_id": "3", "started_at": at(3), "trigger": "auto",
            "before_tokens": 100_000, "after_tokens": 20_000, "dropped_tokens": 80_000, "dropped_messages": 5,
        }
    ]  # fmt: skip


def test_a_summary_asked_for_again_counts_once() -> None:
    """Of several requests in a row the last that was answered is told; one that was never answered is none."""
    before, after = request("1", 100, "u4"), request("9", 20, "y0")
    twice = [summary("2", 101, "ask"), summary("3", 102, "ask", compaction=None), summary("4", None, "ask")]
    [only] = dropped(before, *twice, after, paths=COMPACTED)
    assert (only["exchange_id"], only["trigger"], only["before_tokens"], only["after_tokens"]) == ("3", None, 100, 20)
    assert dropped(before, twice[2], after, paths=COMPACTED) == []


def test_a_conversation_that_went_on_dropped_nothing() -> None:
    """A summary that was not used drops no message; what of a thread was not seen is null."""
    [only] = dropped(request("1", 100, "u2"), summary("2", 101, "x2"), request("3", 120, "u4"), paths=COMPACTED)
    assert (only["dropped_tokens"], only["dropped_messages"]) == (-20, 0)
    [last] = dropped(summary("2", 101, "ask"), paths=COMPACTED)
    assert [last[name] for name in ("before_tokens", "after_tokens", "dropped_tokens", "dropped_messages")] == [
        None
    ] * 4


def test_each_thread_is_compacted_by_itself() -> None:
    """What another thread asks in between is not before and not after."""
    agent = {"thread_id": "s/agent"}
    rows = [
        request("1", 100, "u4"), request("2", 7, "x2", **agent), summary("3", 101, "ask"), request("4", 8, "x2", **agent),
        request("5", 20, "y0"), summary("6", 9, "x2", **agent), request("7", 3, "y2", **agent),
    ]  # fmt: skip
    found = dropped(*rows, paths=COMPACTED)
    assert [(row["thread_id"], row["before_tokens"], row["after_tokens"], row["dropped_messages"]) for row in found] == [
        ("s/main", 100, 20, 5), ("s/agent", 8, 3, 3),
    ]  # fmt: skip


def test_empty_frames_have_the_columns(tmp_path: Path) -> None:
    """Without exchanges there are no rows, and all columns."""
    empty = frame("exchanges"), frame("messages"), frame("blocks"), frame("prompt_parts")
    for found in (context(*empty), tool_results(*empty, prices=prices(tmp_path)), compactions(*empty[:2])):
        assert found.collect().height == 0
    assert tool_results(*empty).collect().columns == RESULTS
    assert context(*empty).collect().schema["tokens"] == pl.Float64
