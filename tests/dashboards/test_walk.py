"""The walk along a thread's exchanges: each message once, in order, and what happened between them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from dashboards.data.walk import CONTINUED, Node, Step, Walk, blocks_of
from tests.support.talks import came, text, use

Json = dict[str, Any]


@dataclass
class Thread:
    """Exchanges as a test tells them; messages are named by all that stands above them, as in a store."""

    nodes: dict[str, Node] = field(default_factory=dict)
    exchanges: list[Json] = field(default_factory=list)

    def asks(self, *messages: tuple[str, Any], answer: Any = None, **more: Any) -> None:
        """Ask with these messages, and be answered."""
        path = ""
        for role, content in messages:
            path = self._add(path, role, content)
        reply = self._add(path, "assistant", answer) if answer is not None else None
        number = len(self.exchanges)
        row = {
            "exchange_id": f"e{number}", "tip": path or None, "reply": reply, "kind": "main", "state": "complete",
            "went_wrong": False, "retry_count": 0,
        }  # fmt: skip
        self.exchanges.append(row | more)

    def _add(self, parent: str, role: str, content: Any) -> str:
        node = f"{parent}/{role}:{content}"
        self.nodes.setdefault(node, Node(node, parent or None, role, blocks_of(content)))
        return node

    def steps(self) -> list[Step]:
        """Walk."""
        return Walk(self.nodes).take(self.exchanges).steps


def _shown(steps: list[Step]) -> list[str]:
    return [f"{step.number or ''}{step.kind}" for step in steps]


HI, HELLO, MORE = ("user", "hi"), ("assistant", "hello"), ("user", "more")


def test_each_message_is_shown_once() -> None:
    """A history that is sent again adds only what is new in it."""
    thread = Thread()
    thread.asks(HI, answer="hello")
    thread.asks(HI, HELLO, MORE, answer="yes")
    assert _shown(thread.steps()) == ["1user", "2assistant", "3user", "4assistant"]
    assert [step.exchange["exchange_id"] for step in thread.steps() if step.exchange] == ["e0", "e0", "e1", "e1"]


def test_results_go_to_their_calls() -> None:
    """A message of results is no step of its own; what else it says is, and reminders alone have no number."""
    call, result = [use(1, "Bash", {})], [came(1, "out")]
    thread = Thread()
    thread.asks(HI, answer=call)
    thread.asks(HI, ("assistant", call), ("user", result), answer=[use(2, "Bash", {})])
    told = [came(2, "out"), text("<system-reminder>be brief</system-reminder>")]
    thread.asks(
        HI, ("assistant", call), ("user", result), ("assistant", [use(2, "Bash", {})]), ("user", told), answer="done"
    )
    walk = Walk(thread.nodes).take(thread.exchanges)
    assert _shown(walk.steps) == ["1user", "2assistant", "3assistant", "user", "4assistant"]
    assert walk.steps[3].slim
    assert {use: exchange["exchange_id"] for use, (_, exchange) in walk.results.items()} == {
        "toolu_t1": "e1",
        "toolu_t2": "e2",
    }


def test_a_call_that_was_made_again_is_answered_once() -> None:
    """Where an answer broke off and came again, the result belongs to the call that came whole."""
    half, whole = [use(1, "Bash", {"_partial_json": "{"})], [use(1, "Bash", {"command": "a"})]
    thread = Thread()
    thread.asks(HI, answer=half, state="failed", went_wrong=True)
    thread.asks(HI, answer=whole)
    thread.asks(HI, ("assistant", whole), ("user", [came(1, "out")]), answer="done")
    walk = Walk(thread.nodes).take(thread.exchanges)
    assert _shown(walk.steps) == ["1user", "2assistant", "3assistant", "4assistant"]
    assert walk.calls["toolu_t1"] == walk.steps[2].node


def test_a_result_without_its_call_stays() -> None:
    """What answers a call that is not in the thread is shown where it stands."""
    thread = Thread()
    thread.asks(("user", [came(9, "out")]), answer="hm")
    assert _shown(thread.steps()) == ["1user", "2assistant"]


def test_a_rewind_is_marked() -> None:
    """Where a person goes back, the mark says to which message and how many were left behind."""
    thread = Thread()
    thread.asks(HI, answer="hello")
    thread.asks(HI, HELLO, MORE, answer="yes")
    thread.asks(HI, HELLO, ("user", "no, other"), answer="well")
    steps = thread.steps()
    assert _shown(steps) == ["1user", "2assistant", "3user", "4assistant", "rewind", "5user", "6assistant"]
    assert steps[4].about == {"to": 2, "dropped": 2}


def test_going_on_from_an_older_message_is_no_loss() -> None:
    """A path that was left and is taken up again is marked, and nothing is left behind by it."""
    thread = Thread()
    thread.asks(HI, answer="hello")
    thread.asks(HI, HELLO, MORE, answer="yes")
    thread.asks(HI, state="failed", went_wrong=True)
    thread.asks(HI, HELLO, MORE, ("assistant", "yes"), ("user", "on"), answer="ok")
    steps = thread.steps()
    assert _shown(steps)[4:] == ["rewind", "failed", "rewind", "5user", "6assistant"]
    assert steps[4].about == {"to": 1, "dropped": 3}
    assert steps[6].about == {"to": 4, "dropped": 0}


def test_a_compaction_begins_anew() -> None:
    """A summary is a step; what follows it has a new root, and only that is shown."""
    thread = Thread()
    thread.asks(HI, answer="hello")
    thread.asks(HI, HELLO, ("user", "summarise"), answer="short", kind="compaction")
    thread.asks(("user", f"{CONTINUED}: short"), answer="on")
    steps = thread.steps()
    assert _shown(steps) == ["1user", "2assistant", "compaction", "anew", "3user", "4assistant"]
    assert steps[2].about == {"asked": [text("summarise")], "summary": [text("short")]}
    assert steps[3].about == {"compacted": True, "dropped": 2}


def test_what_is_kept_over_a_compaction_is_not_shown_again() -> None:
    """Messages that are sent again behind the summary are those that were shown."""
    thread = Thread()
    thread.asks(HI, answer="hello")
    thread.asks(HI, HELLO, ("user", "summarise"), answer="short", kind="compaction")
    thread.asks(("user", f"{CONTINUED}: short"), HI, HELLO, MORE, answer="on")
    assert _shown(thread.steps()) == ["1user", "2assistant", "compaction", "anew", "3user", "4user", "5assistant"]


def test_what_is_sent_otherwise_to_be_summarised_is_not_repeated() -> None:
    """Where a request for a summary holds the conversation without its images, say, no message is shown a second time."""
    picture = ("user", [text("look"), {"type": "image"}])
    thread = Thread()
    thread.asks(picture, answer="hello")
    thread.asks(picture, HELLO, MORE, answer="yes")
    thread.asks(
        ("user", [text("look"), text("[image]")]),
        HELLO,
        MORE,
        ("assistant", "yes"),
        ("user", "sum up"),
        answer="s",
        kind="compaction",
    )
    thread.asks(("user", f"{CONTINUED}: s"), answer="on")
    shown = _shown(thread.steps())
    assert shown == ["1user", "2assistant", "3user", "4assistant", "compaction", "anew", "5user", "6assistant"]


def test_a_compaction_that_failed_changes_nothing() -> None:
    """Where no summary came the conversation goes on as before."""
    thread = Thread()
    thread.asks(HI, answer="hello")
    thread.asks(HI, HELLO, ("user", "summarise"), kind="compaction", state="failed", went_wrong=True)
    thread.asks(HI, HELLO, MORE, answer="yes")
    assert _shown(thread.steps()) == ["1user", "2assistant", "compaction", "3user", "4assistant"]


def test_what_the_client_changed_is_told_and_the_rest_not_repeated() -> None:
    """An old message that is another now is told as before and after; the same messages behind it are not shown again."""
    call = [use(1, "Bash", {})]
    result, cleared = [came(1, "long output")], [came(1, "[cleared]")]
    thread = Thread()
    thread.asks(HI, answer=call)
    thread.asks(HI, ("assistant", call), ("user", result), answer="fine")
    thread.asks(HI, ("assistant", call), ("user", cleared), ("assistant", "fine"), MORE, answer="yes")
    steps = thread.steps()
    assert _shown(steps) == ["1user", "2assistant", "3assistant", "changed", "4user", "5assistant"]
    [(number, was, now)] = steps[3].about["pairs"]
    assert (number, was.content, now.content) == (2, result, cleared)


def test_an_answer_that_comes_back_changed_is_not_shown_twice() -> None:
    """An answer in the history that is not what the model said is told as a change."""
    thread = Thread()
    thread.asks(HI, answer="hello ")
    thread.asks(HI, HELLO, MORE, answer="yes")
    assert _shown(thread.steps()) == ["1user", "2assistant", "changed", "3user", "4assistant"]


def test_a_message_that_goes_on_shows_what_was_added() -> None:
    """A prompt that is sent again with more, after an interruption, shows only the more; the dropped answer is no rewind."""
    thread = Thread()
    thread.asks(("user", [text("a")]), answer="half an ans", state="client_left")
    thread.asks(("user", [text("a"), text("[Request interrupted]"), text("b")]), answer="yes")
    steps = thread.steps()
    assert _shown(steps) == ["1user", "2assistant", "3user", "4assistant"]
    assert steps[2].blocks == [text("[Request interrupted]"), text("b")]


def test_a_retry_adds_no_messages() -> None:
    """The same request after an error shows the error, and then the answer."""
    thread = Thread()
    thread.asks(HI, went_wrong=True)
    thread.asks(HI, answer="hello", retry_count=1)
    assert _shown(thread.steps()) == ["1user", "failed", "2assistant"]


def test_the_same_answer_twice_is_told() -> None:
    """A request that was sent twice and answered the same shows that it was paid twice."""
    thread = Thread()
    thread.asks(HI, answer="hello")
    thread.asks(HI, answer="hello")
    steps = thread.steps()
    assert _shown(steps) == ["1user", "2assistant", "again"]
    assert steps[2].about == {"number": 2}


def test_a_history_from_before_the_capture_is_marked() -> None:
    """Where the first request already holds answers, they are shown without figures, behind a mark."""
    thread = Thread()
    thread.asks(HI, HELLO, MORE, answer="yes")
    steps = thread.steps()
    assert _shown(steps) == ["before", "1user", "2assistant", "3user", "4assistant"]
    assert steps[0].about == {"messages": 2}


def test_an_exchange_that_runs_is_shown_as_that() -> None:
    """A request without an answer so far is running; one that was answered with nothing says so."""
    thread = Thread()
    thread.asks(HI, state="open")
    thread.asks(HI)
    assert _shown(thread.steps()) == ["1user", "running", "empty"]


def test_messages_that_were_pruned_are_told() -> None:
    """An exchange whose messages are gone has a step that says so, and the rest goes on."""
    thread = Thread()
    thread.asks(HI, answer="hello")
    thread.asks(HI, HELLO, MORE, answer="yes")
    del thread.nodes[thread.exchanges[0]["tip"]], thread.nodes[thread.exchanges[0]["reply"]]
    steps = thread.steps()
    assert _shown(steps)[:2] == ["gone", "gone"]
    assert [step.kind for step in steps][-2:] == ["user", "assistant"]


def test_any_content_becomes_blocks() -> None:
    """A text, nothing, and what is no content at all are blocks, so that a walk takes whatever was sent."""
    assert blocks_of("a") == [text("a")]
    assert blocks_of(None) == []
    assert blocks_of(7) == [{"type": "no content block", "value": 7}]
    assert blocks_of([text("a"), 7]) == [text("a"), {"type": "no content block", "value": 7}]
