"""Who started whom, where the signs are few or contradict each other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from analysis import Capture
from ccproxy.records import Captured
from tests.support.captures import copied, filled, frame, opened
from tests.support.handmade import SESSION, agent_hint, answer, asked, call, main_hint, text, user

Thread = tuple[str | None, str | None, int, str]


def main(number: int, *calls: tuple[int, str]) -> Captured:
    """Return an exchange of the main conversation in which these calls of agents are made, with these prompts."""
    made = [call("Agent", identity, subagent_type=f"type{identity}", prompt=prompt) for identity, prompt in calls]
    return asked(number, [user(text("go"))], answer(number, *made, text(str(number))), *main_hint())


def agent(number: int, identity: str, prompt: str, parent: str | None = None, **more: str) -> Captured:
    """Return an exchange of an agent."""
    hints = agent_hint(identity, "said", parent)
    return asked(number, [user(text(prompt))], answer(number, text(f"report {number}")), *hints, **more)


@pytest.fixture(params=["attached", "copied"])
def way(request: pytest.FixtureRequest) -> str:
    """Give a way to a store in a file."""
    return str(request.param)


def threads(folder: Path, way: str, exchanges: Sequence[Captured]) -> dict[str, Thread]:
    """Return parent, call, depth and name of each agent's thread, the session left out of the names."""
    path = filled(folder / "captures.db", exchanges)
    capture: Capture = opened(path) if way == "attached" else copied(path)
    with capture:
        rows = frame(capture, "threads").rows(named=True)
    return {
        row["thread_id"].removeprefix(f"{SESSION}/"): (
            row["parent_thread_id"] and row["parent_thread_id"].removeprefix(f"{SESSION}/"),
            row["spawn_tool_use_id"],
            row["depth"],
            row["agent"],
        )
        for row in rows
        if row["agent"] != "main"
    }


def test_of_agents_with_one_prompt_the_first_belongs_to_the_first_call(tmp_path: Path, way: str) -> None:
    """Calls and agents that cannot be told apart are paired in the order in which they came."""
    exchanges = [
        main(1, (1, "Same."), (2, "Same.")),
        agent(3, "b", "Same."),
        agent(4, "a", "Same."),
        agent(5, "c", "Same."),
    ]
    assert threads(tmp_path, way, exchanges) == {
        "b": ("main", "toolu_1", 1, "type1"),
        "a": ("main", "toolu_2", 1, "type2"),
        "c": ("main", None, 1, "said"),
    }


def test_an_agent_of_which_no_call_was_seen_belongs_to_the_main_conversation(tmp_path: Path, way: str) -> None:
    """As when the proxy began in the middle of a session; its name is what the client says."""
    exchanges = [agent(1, "a", "Begun before."), asked(2, [user(text("go"))], answer(2, text("gone")), *main_hint())]
    assert threads(tmp_path, way, exchanges) == {"a": ("main", None, 1, "said")}


def test_a_call_in_another_session_starts_nobody_here(tmp_path: Path, way: str) -> None:
    """The same prompt in two sessions is two agents, each started in its own."""
    exchanges = [main(1, (1, "Same.")), agent(2, "a", "Same."), agent(3, "a", "Same.", session="other")]
    found = threads(tmp_path, way, exchanges)
    assert found == {"a": ("main", "toolu_1", 1, "type1"), "other/a": ("other/main", None, 1, "said")}


def test_parents_that_make_no_tree_come_to_an_end(tmp_path: Path, way: str) -> None:
    """What the client says of parents is believed, also of one that was not captured; a circle does no harm."""
    exchanges = [
        main(1, (1, "One.")), agent(2, "a", "One.", "b"), agent(3, "b", "Two.", "a"), agent(4, "c", "Three.", "gone"),
        agent(5, "d", "Four.", "d"),
    ]  # fmt: skip
    assert threads(tmp_path, way, exchanges) == {
        "a": ("b", "toolu_1", 1, "type1"),
        "b": ("a", None, 1, "said"),
        "c": ("gone", None, 1, "said"),
        "d": ("d", None, 1, "said"),
    }


def test_depth_counts_from_the_main_conversation(tmp_path: Path, way: str) -> None:
    """An agent of an agent of an agent stands at three."""
    exchanges = [main(1, (1, "One.")), agent(2, "a", "One."), agent(3, "b", "Two.", "a"), agent(4, "c", "Three.", "b")]
    assert {name: depth for name, (_, _, depth, _) in threads(tmp_path, way, exchanges).items()} == {
        "a": 1,
        "b": 2,
        "c": 3,
    }
