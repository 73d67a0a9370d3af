"""What each kind of content weighs, and in which category it is."""

from __future__ import annotations

from typing import Any

import pytest

from analysis.measures.weighing import IMAGE_WEIGHT
from tests.support.frames import frame
from tests.support.weights import block, held, mixed, request

FILES = (
    "# claudeMd\nCodebase and user instructions are shown below.\n"
    "Contents of /me/CLAUDE.md (project instructions):\n\n# Rules\nBe kind."
)
ALONE = "Contents of /me/src/CLAUDE.md:\n\nHere be dragons."


def told(text: str, tokens: int) -> dict[tuple[Any, ...], tuple[int, float]]:
    """Return what a request comes to whose only content is a text of the user's."""
    blocks = frame("blocks", block("u0", 0, "text", len(text), text=text), bodies=True)
    return held(request("1", tokens, "u0", None), blocks=blocks)["1"]


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
