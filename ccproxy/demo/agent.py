"""A subagent: a conversation of its own with a prompt of its own, whose last words go back to who started it.

Refuses to know sessions.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from ccproxy.demo import prompts
from ccproxy.demo.beats import Direction, Part, Turn
from ccproxy.demo.prompts import text_block
from ccproxy.demo.proxy import Ask
from ccproxy.demo.replies import Block
from ccproxy.demo.stage import Actor
from ccproxy.demo.versions import MODELS
from ccproxy.demo.week import utc
from ccproxy.demo.working import Working

START_MS = (20, 90)
Playing = Generator[Ask | list[Actor], Any, tuple[list[Block], int]]


class Agent(Working):
    """One run of an agent."""

    def __init__(self, part: Part, parent: Working, at: int) -> None:
        frame, files = parent.frame, parent.frame.workspace.files
        self.agent_id = f"a{frame.chance.hex(16)}"
        self.depth = parent.depth + 1
        self.agent_billing = frame.chance.hex(3)
        self.part = part
        hints = {
            "x-claude-code-agent-id": self.agent_id,
            "x-claude-code-agent-type": "custom" if prompts.is_custom(part.type, files) else part.type,
            "x-claude-code-request-class": "subagent",
            "x-claude-1p-request-class": "blocking-subagent",
            **({"x-claude-code-parent-agent-id": parent.agent_id} if parent.agent_id else {}),
        }
        model = MODELS.get(prompts.agent_model(part.type, files), parent.model)
        system = [prompts.SDK if frame.headless else prompts.TUI, prompts.agent_prompt(part.type, files)]
        super().__init__(frame, model, system, hints, at + round(frame.chance.between(*START_MS) * 1000), parent.parts)

    def tools(self) -> list[dict[str, Any]]:
        """Return the tools of this type of agent."""
        return prompts.agent_tools(self.part.type, self.frame.version, self.frame.servers)

    def play(self) -> Playing:
        """Play the part; return the report as its parent gets it, and when it was done."""
        began, frame, workspace = self.at, self.frame, self.frame.workspace
        about = prompts.reminders(
            workspace.root, frame.home, self.model, utc(self.at).date().isoformat(), workspace.files["CLAUDE.md"]
        )
        self.told.append(prompts.environment(workspace.root, self.model))
        self.say(*about, text_block(self.part.prompt))
        last = ""
        for beat in self.part.beats:
            if isinstance(beat, Turn):
                yield from self.turn(beat)
                last = workspace.located(beat.text)
            elif not isinstance(beat, Direction) or not self.trouble.note(beat.word, beat.rest):
                raise ValueError(f"an agent's part has turns and trouble, and not {beat}")
        milliseconds = (self.at - began) // 1000
        usage = f"<usage>total_tokens: {self.tokens}\ntool_uses: {self.uses}\nduration_ms: {milliseconds}</usage>"
        known = f"agentId: {self.agent_id} (internal ID, for going on with this agent)\n{usage}"
        return [text_block(last), text_block(known)], self.at

    def agent(self, part: Part, at: int) -> Actor:
        """Return an agent that this one starts."""
        return Agent(part, self, at).play()
