"""The board: what runs and what has ended, from the events of the live view."""

from __future__ import annotations

from typing import Any

import pytest

from dashboards.board import KEPT_CHARACTERS, MOST_ENDED, Board, Running, Said

T0 = 1_760_000_000.0
BEGUN = {
    "id": "a", "started_at": int(T0 * 1e6), "method": "POST", "path": "/v1/messages", "model": "claude-opus-5-5", "session_id": "s",
    "agent_id": None, "agent_type": None, "kind": "main", "complete": True,
}  # fmt: skip


def _board(*events: tuple[str, dict[str, Any], float]) -> Board:
    board = Board()
    board.take("exchange", BEGUN, T0)
    for name, data, after in events:
        board.take(name, {"exchange": "a", **data}, T0 + after)
    return board


def _text(text: str, after: float, index: int = 0) -> tuple[str, dict[str, Any], float]:
    return "text", {"index": index, "text": text}, after


def test_a_stream_grows_as_it_comes() -> None:
    """Blocks join their pieces in order, by kind; the first piece's time and the number of characters are kept."""
    board = _board(
        ("head", {"status": 200}, 0.5),
        ("block", {"index": 0, "phase": "start", "type": "thinking"}, 0.9),
        ("thinking", {"index": 0, "text": "Let me "}, 1.0),
        ("thinking", {"index": 0, "text": "see."}, 1.5),
        ("block", {"index": 0, "phase": "stop", "type": "thinking"}, 1.6),
        ("block", {"index": 1, "phase": "start", "type": "tool_use", "tool_name": "Bash"}, 1.7),
        ("tool_input", {"index": 1, "text": '{"command":'}, 2.0),
        ("tool_input", {"index": 1, "text": '"ls"}'}, 3.0),
    )
    one = board.running["a"]
    assert list(one.blocks.values()) == [
        Said("thinking", "Let me see.", None, True), Said("tool_use", '{"command":"ls"}', "Bash"),
    ]  # fmt: skip
    assert (one.status, one.characters, one.first_token_ms) == (200, 27, 1000.0)
    assert one.tokens_per_second == 20 / 2 / 4  # 20 characters after the first piece, in two seconds, four to a token


def test_a_speed_needs_time() -> None:
    """There is no speed after one piece, nor after pieces of the same moment."""
    assert _board(_text("x", 1)).running["a"].tokens_per_second is None
    assert _board(_text("x", 1), _text("y", 1.1)).running["a"].tokens_per_second is None
    assert _board().running["a"].first_token_ms is None


def test_facts_are_taken_as_they_come() -> None:
    """Retries, usage, the model that answers, what it stopped for and the provider's error stand on the exchange."""
    board = _board(
        ("retry", {"kind": "status", "error": None, "status": 529, "wait_ms": 1.0}, 0.1),
        ("head", {"status": 200}, 1),
        ("message", {"message_id": "m", "model": "claude-opus-5-5-1"}, 1),
        ("usage", {"input_tokens": 10, "output_tokens": 1, "cache_read_tokens": 5}, 1),
        ("usage", {"output_tokens": 7}, 2),
        ("stop_reason", {"stop_reason": "end_turn", "stop_sequence": None}, 2),
        ("api_error", {"type": "overloaded_error", "message": "Overloaded"}, 2),
    )
    one = board.running["a"]
    assert (one.attempts, one.retry, one.model) == (2, "529", "claude-opus-5-5-1")
    assert one.usage == {"input_tokens": 10, "output_tokens": 7, "cache_read_tokens": 5}
    assert (one.stop_reason, one.error) == ("end_turn", "Overloaded")


def test_an_end_moves_it() -> None:
    """What ended is first among the ended, with what the event says of it, and runs no more; an end that nobody saw has no state."""
    board = _board(_text("x", 1))
    board.take("exchange", {**BEGUN, "id": "b"}, T0)
    told = {"state": "complete", "status": 200, "duration_ms": 1500.0, "output_tokens": 9, "error": None}
    board.take("ended", {"exchange": "a", **told}, T0 + 2)
    board.take("ended", {"exchange": "b", "state": None}, T0 + 3)
    assert (board.running, [one.id for one in board.ended]) == ({}, ["b", "a"])
    one = board.ended[1]
    assert (one.state, one.duration_ms, one.usage, one.over) == ("complete", 1500.0, {"output_tokens": 9}, True)
    assert (board.ended[0].state, board.ended[0].over) == (None, True)


SNAPSHOT = {
    "exchange": {**BEGUN, "id": "n"}, "attempts": 2, "status": 200, "usage": {"exchange": "n", "input_tokens": 3}, "stop_reason": None,
    "message": {"exchange": "n", "message_id": "m", "model": "other"}, "api_error": None,
    "blocks": [
        {"index": 0, "type": "text", "text": "said", "cut": 10, "stopped": True},
        {"index": 1, "type": "tool_use", "text": "", "tool_name": "Bash"},
    ],
}  # fmt: skip


def test_a_snapshot_shows_what_was_said_before() -> None:
    """Who comes late sees the text so far; when its first token came is unknown then, and the speed is that since."""
    board = Board()
    board.take("snapshot", {"exchanges": [SNAPSHOT]}, T0 + 10)
    one = board.running["n"]
    assert one.blocks == {0: Said("text", "said", None, True, 10), 1: Said("tool_use", "", "Bash")}
    assert (one.attempts, one.status, one.model, one.characters, one.first_token_ms) == (2, 200, "other", 14, None)
    board.take("tool_input", {"exchange": "n", "index": 1, "text": "x" * 80}, T0 + 12)
    assert (one.tokens_per_second, one.first_token_ms) == (10.0, None)


def test_after_a_gap_the_snapshot_counts() -> None:
    """What ran before a gap goes on with its first token's time; what is not there any more ended unseen, and nothing comes twice."""
    board = _board(_text("one", 1))
    board.take("exchange", {**BEGUN, "id": "gone"}, T0)
    board.take("lagging", {}, T0 + 2)
    again = {**SNAPSHOT, "exchange": BEGUN, "blocks": [{"index": 0, "type": "text", "text": "one two"}]}
    board.take("snapshot", {"exchanges": [again]}, T0 + 3)
    one = board.running["a"]
    assert (one.blocks[0].text, one.characters, one.first_token_ms) == ("one two", 7, 1000.0)
    assert [(ended.id, ended.state, ended.over) for ended in board.ended] == [("gone", None, True)]


def test_what_is_kept_is_bounded() -> None:
    """Of a long text the end is kept, and how much stood before it is counted; of what ended, the newest."""
    board = _board(_text("a" * KEPT_CHARACTERS, 1), _text("end", 2))
    block = board.running["a"].blocks[0]
    assert (len(block.text), block.text[-4:], block.cut) == (KEPT_CHARACTERS, "aend", 3)
    for number in range(MOST_ENDED + 5):
        board.take("exchange", {**BEGUN, "id": str(number)}, T0)
        board.take("ended", {"exchange": str(number), "state": "complete"}, T0)
    assert (len(board.ended), board.ended[0].id) == (MOST_ENDED, str(MOST_ENDED + 4))


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("text", {}),
        ("text", {"exchange": "a"}),
        ("text", {"exchange": "a", "index": None, "text": 1}),
        ("text", {"exchange": "nobody", "index": 0, "text": "x"}),
        ("block", {"exchange": "a", "phase": "start"}),
        ("exchange", {}),
        ("snapshot", {}),
        ("usage", {"exchange": "a"}),
        ("other", {"exchange": "a", "kind": "brand_new", "data": {}}),
        ("brand_new", {"exchange": "a"}),
        ("ended", {"exchange": "nobody", "state": "complete"}),
    ],
)
def test_what_makes_no_sense_changes_nothing(name: str, data: dict[str, Any]) -> None:
    """Events that are unknown, incomplete, or of exchanges that are not there leave the board as it was."""
    board, before = _board(_text("x", 1)), _board(_text("x", 1))
    board.take(name, data, T0 + 2)
    assert (board.running, board.ended) == (before.running, before.ended)


def test_a_second_message_takes_the_firsts_place() -> None:
    """Where an answer begins again, what the first one said is gone."""
    board = _board(_text("x", 1), ("message", {"model": "m2"}, 2), _text("y", 3))
    assert [block.text for block in board.running["a"].blocks.values()] == ["y"]


def test_a_board_tells_its_state() -> None:
    """Its repr is one line with what is on it."""
    assert repr(_board()) == "<Board running=1 ended=0>"
    assert Running("a", T0).over is False
