"""A script that keeps the real Claude Code busy: so many turns, with a subagent where one is wanted.

Knows what kinds of requests Claude Code makes and how far a conversation has come, both from the request alone: several
sessions may run at once, and a request that is sent twice is answered twice in the same way. Refuses to count for the
test: what came is in the stand-in's `requests`, what each answer cost is `script.spent`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.support.anthropic_messages import NO_TOKENS, Block, Usage, text, tool_use
from tests.support.standin_answers import Answer, Request, error_answer, json_answer, message_answer

FINAL_TEXT = "All steps are done."
SUBAGENT_TEXT = "The subagent is done."
SUBAGENT_PROMPT = "Run the one step you are given and report."
TITLE_TEXT = '{"title": "Made-up session"}'
FIRST_SUBAGENT_NUMBER = 500  # figures of the main conversation count from 1, those of a subagent from here
AUXILIARY_NUMBER = 900
COUNTED_TOKENS = 4321


@dataclass(slots=True)
class ClaudeScript:
    """The script for a session of `turns` message requests in the main conversation.

    Each turn but the last asks for one `echo step N` by Bash; with a `subagent`, the first turn asks for an agent of
    that type instead, and the agent takes two requests: one `echo`, then its text. The last turn is `FINAL_TEXT`.
    `spent` has one (kind, usage) per message answered.
    """

    turns: int = 1
    subagent: str | None = None
    spent: list[tuple[str, Usage]] = field(default_factory=list)
    counts: Callable[[Request], Usage] | None = (
        None  # what a request costs; None: figures that tell which answer it was
    )

    def __call__(self, request: Request) -> Answer:
        """Answer one request."""
        match kind_of(request):
            case "probe":
                return Answer(200)
            case "count_tokens":
                return json_answer({"input_tokens": COUNTED_TOKENS})
            case "other":
                return error_answer(404, "not_found_error", f"the stand-in has no {request.path}")
            case "auxiliary":
                return self._said(request, "auxiliary", AUXILIARY_NUMBER, text(TITLE_TEXT))
            case "subagent":
                return self._subagent_turn(request)
            case _:
                return self._main_turn(request)

    def total(self, *kinds: str) -> Usage:
        """Return the sum of what was spent on these kinds, or on all where none is named."""
        return sum((usage for kind, usage in self.spent if not kinds or kind in kinds), NO_TOKENS)

    def _main_turn(self, request: Request) -> Answer:
        turn = tool_results(request) + 1
        if turn >= self.turns:
            return self._said(request, "main", turn, text(FINAL_TEXT))
        if turn == 1 and self.subagent is not None:
            return self._said(request, "main", turn, _agent(request, self.subagent))
        return self._said(request, "main", turn, text(f"Step {turn}."), _echo(request, f"step {turn}"))

    def _subagent_turn(self, request: Request) -> Answer:
        done = tool_results(request)
        block = _echo(request, "subagent step") if done == 0 else text(SUBAGENT_TEXT)
        return self._said(request, "subagent", FIRST_SUBAGENT_NUMBER + done, block)

    def _said(self, request: Request, kind: str, number: int, *blocks: Block) -> Answer:
        usage = self.counts(request) if self.counts else Usage.numbered(number)
        self.spent.append((kind, usage))
        return message_answer(request, blocks, usage=usage, id=_id("msg_", request, number))


def claude_script(turns: int = 1, subagent: str | None = None) -> ClaudeScript:
    """Return a script for the real Claude Code; see `ClaudeScript`."""
    return ClaudeScript(turns, subagent)


def kind_of(request: Request) -> str:
    """Return what a request of Claude Code is: probe, count_tokens, main, subagent, auxiliary or other."""
    if request.method in {"HEAD", "GET"} and request.path in {"/", "/api/hello"}:
        return "probe"
    if request.path == "/v1/messages/count_tokens":
        return "count_tokens"
    if not request.is_message:
        return "other"
    if request.header("x-claude-code-agent-id"):
        return "subagent"
    return "main" if request.json().get("tools") else "auxiliary"


def of_kind(requests: Sequence[Request], kind: str) -> list[Request]:
    """Return the requests of one kind, in the order in which they came."""
    return [request for request in requests if kind_of(request) == kind]


def tool_results(request: Request) -> int:
    """Return how many tools the conversation has been given results of, which is how many turns lie behind it."""
    contents = [message["content"] for message in request.json()["messages"] if message["role"] == "user"]
    blocks: list[Any] = [block for content in contents if isinstance(content, list) for block in content]
    return sum(block.get("type") == "tool_result" for block in blocks)


def _agent(request: Request, agent_type: str) -> Block:
    """Return the call of an agent that the parent waits for: in the background, the order would be a matter of luck."""
    given = {"description": "One step", "prompt": SUBAGENT_PROMPT, "subagent_type": agent_type}
    return tool_use("Agent", {**given, "run_in_background": False}, _id("toolu_", request, "agent"))


def _echo(request: Request, words: str) -> Block:
    given = {"command": f"echo {words}", "description": f"Say {words}"}
    return tool_use("Bash", given, _id("toolu_", request, words))


def _id(prefix: str, request: Request, what: object) -> str:
    """Return an id that is the same for the same turn of the same conversation, and for no other."""
    conversation = (request.header("x-claude-code-session-id"), request.header("x-claude-code-agent-id"))
    return f"{prefix}01{hashlib.sha256(repr((conversation, kind_of(request), what)).encode()).hexdigest()[:22]}"
