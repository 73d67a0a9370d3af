"""The stand-in's prompt cache keeps the published rules."""

from __future__ import annotations

from typing import Any

from ccproxy.demo.caching import FRAMING, Counted, PromptCache
from ccproxy.demo.week import SECOND

LONG = "word " * 1500  # about 2,080 tokens
MARK = {"type": "ephemeral"}
HOUR = {"type": "ephemeral", "ttl": "1h"}


def request(*texts: str, mark: Any = MARK, tools: tuple[str, ...] = (), **fields: Any) -> dict[str, Any]:
    """Return a request whose system prompt and last message are marked."""
    return {
        "model": "claude-opus-5-5",
        "tools": [{"name": name, "description": LONG} for name in tools],
        "system": [
            {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.330.abc;"},
            {"type": "text", "text": LONG, "cache_control": mark},
        ],
        "messages": [
            *({"role": "user", "content": text} for text in texts[:-1]),
            {"role": "user", "content": [{"type": "text", "text": texts[-1], "cache_control": mark}]},
        ],
        **fields,
    }


def ask(cache: PromptCache, asked: dict[str, Any], second: float) -> Counted:
    """Ask at a second, and be answered one later."""
    taken = cache.take(asked, round(second * SECOND))
    cache.keep(taken, round((second + 1) * SECOND))
    return taken.counted


def test_a_longer_conversation_reads_what_the_shorter_one_wrote() -> None:
    """The second turn reads the first one whole and writes what is new, whichever way a message is spelled."""
    cache = PromptCache()
    first = ask(cache, request("one"), 0)
    assert (first.read, first.input) == (0, FRAMING)
    second = ask(cache, request("one", LONG), 10)
    assert second.read == first.written
    assert second.total == second.read + second.written + FRAMING
    assert ask(cache, request("one", LONG), 20).written == 0


def test_an_entry_lives_from_its_last_use() -> None:
    """Five minutes without a reader are too long; each reader begins them anew."""
    cache = PromptCache()
    written = ask(cache, request("one"), 0).written
    assert ask(cache, request("one"), 299).read == written
    assert ask(cache, request("one"), 598).read == written
    assert ask(cache, request("one"), 598 + 301).read == 0


def test_an_hour_is_an_hour() -> None:
    """What was written for an hour is there after fifty minutes, counts apart, and is gone after seventy."""
    cache = PromptCache()
    first = ask(cache, request("one", mark=HOUR), 0)
    assert (first.written_5m, first.written_1h) == (0, first.written)
    assert ask(cache, request("one", mark=HOUR), 3000).read == first.written
    assert ask(cache, request("one", mark=HOUR), 3000 + 4200).read == 0


def test_an_entry_is_there_when_its_answer_begins() -> None:
    """A request that is made before that finds nothing."""
    cache = PromptCache()
    ask(cache, request("one"), 0)
    assert cache.take(request("one"), SECOND // 2).counted.read == 0
    assert cache.take(request("one"), 2 * SECOND).counted.read > 0


def test_what_changes_breaks_what_stands_behind_it() -> None:
    """Other tools or another model break everything, an earlier message the rest, effort and thinking the messages only."""
    cache = PromptCache()
    ask(cache, request("one", LONG), 0)
    assert ask(cache, request("one", LONG, tools=("Bash",)), 10).read == 0
    assert ask(cache, {**request("one", LONG), "model": "claude-sonnet-5-5"}, 20).read == 0
    system = ask(cache, request("two", LONG), 30).read
    assert 2000 < system < 2200
    assert ask(cache, request("one", LONG, output_config={"effort": "high"}), 40).read == system
    assert ask(cache, request("one", LONG, thinking={"type": "disabled"}), 50).read == system


def test_the_billing_line_is_no_part_of_the_prompt() -> None:
    """It changes from conversation to conversation, and nothing is missed for it."""
    cache = PromptCache()
    written = ask(cache, request("one"), 0).written
    other = request("one")
    other["system"][0]["text"] = "x-anthropic-billing-header: cc_version=2.1.330.fff;"
    assert ask(cache, other, 10).read == written


def test_a_short_prompt_is_not_cached() -> None:
    """Below the minimum nothing is written, and all of it is input."""
    asked = {"model": "claude-opus-5-5", "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]}
    asked["messages"][0]["content"][0]["cache_control"] = MARK  # type: ignore[index]
    counted = ask(PromptCache(), asked, 0)
    assert (counted.read, counted.written) == (0, 0)
    assert counted.input > FRAMING


def test_a_mark_looks_back_only_so_far() -> None:
    """An entry more than twenty blocks before the mark is not found; the system's own is."""
    cache = PromptCache()
    ask(cache, request("one", LONG), 0)
    near = cache.take(request("one", LONG, *("more",) * 10), 10 * SECOND).counted.read
    far = cache.take(request("one", LONG, *("more",) * 30), 10 * SECOND).counted.read
    assert near > 4000
    assert 2000 < far < 2200
