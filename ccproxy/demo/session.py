"""A session: one person, one client, one conversation from the first prompt to the last, as the screenplay has it.

Plays prompts, turns and directions in their order; between them the person reads, thinks and types. Refuses to know other sessions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ccproxy.demo import pictures, prompts
from ccproxy.demo.agent import Agent
from ccproxy.demo.beats import Direction, Part, Prompt, Story, Turn
from ccproxy.demo.errands import Errands, Playing
from ccproxy.demo.frame import Frame, Message
from ccproxy.demo.prompts import text_block
from ccproxy.demo.replies import Block, Fate, Spoken
from ccproxy.demo.stage import Actor
from ccproxy.demo.trouble import unanswered
from ccproxy.demo.versions import MODELS
from ccproxy.demo.week import SECOND, utc

READS_PER_S = 7.0  # characters of an answer: it is read, and looked up in the code
TYPES_PER_S = 3.0
BEFORE_S = 15.0
AWAY_SHARE, AWAY_S = 0.35, (40, 150)  # something else comes in between
LONGEST_S = 255.0  # without a direction nobody waits until the cache is cold
COMPACTS_S = (20, 70)
UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}
CLEARED = "[Old tool result content cleared]"
MAIN = {"x-claude-code-request-class": "main", "x-claude-1p-request-class": "main"}


class Session(Errands):
    """A session from its first request on."""

    def __init__(self, story: Story, frame: Frame, at: int) -> None:
        identity = prompts.SDK if frame.headless else prompts.TUI
        system = [identity, "\n" + prompts.of_version("main", frame.version)]
        super().__init__(frame, frame.model, system, MAIN, at, story.parts)
        self._story = story
        self._starts: list[tuple[list[Message], str]] = []  # the messages before each prompt
        self._rest: float | None = None  # what the person waits before the next prompt, where that is said
        self._compacted = ""
        self._summary = ""
        self._answer = ""
        self._done: dict[str, Callable[[Direction], Playing]] = {
            "compact": self._compact,
            "context": lambda _: self.context(),
            "rename": lambda direction: self.rename([said for _, said in self._starts if said], direction.rest),
            "quota": lambda _: self.quota(),
            "models": lambda _: self.models(),
            "refused": self._refused,
        }

    def tools(self) -> list[dict[str, Any]]:
        """Return the tools of the main conversation."""
        return prompts.main_tools(self.frame.version, self.frame.servers)

    def agent(self, part: Part, at: int) -> Actor:
        """Return a subagent."""
        return Agent(part, self, at).play()

    def play(self) -> Playing:
        """Play the session."""
        for beat in self._story.beats:
            match beat:
                case Prompt():
                    yield from self._prompt(beat)
                case Turn():
                    yield from self._turn(beat)
                case Direction() if not self.trouble.note(beat.word, beat.rest):
                    yield from self._done.get(beat.word, self._set)(beat)

    # What the person does ---------------------------------------------------------------------------------------------------

    def _prompt(self, prompt: Prompt) -> Playing:
        chance, first = self.frame.chance, not self._starts
        if not first and not self.frame.headless:
            self.at += round((self._rest or self._pause(prompt)) * SECOND)
        self._rest = None
        self.frame.prompt = chance.uuid()
        said = [*map(pictures.block, prompt.pictures), text_block(prompt.text)]
        if not self.messages:
            said = [*self._reminders(), *self._taken_summary(), *said]
            self.told.insert(0, prompts.environment(self.frame.workspace.root, self.model) + self._listing())
        self._starts.append(([*self.messages], prompt.text))
        notes, self.notes = self.notes, []
        self.say(*notes, *said)
        if first and not self.frame.headless:
            yield from self.title(prompt.text, self._story.says("title"))

    def _pause(self, prompt: Prompt) -> float:
        """Return how many seconds the person takes before they have said something."""
        chance = self.frame.chance
        away = chance.between(*AWAY_S) if chance.whether(AWAY_SHARE) else 0.0
        needed = BEFORE_S + len(self._answer) / READS_PER_S + len(prompt.text) / TYPES_PER_S
        return min(LONGEST_S, away + chance.about(needed, 0.3))

    def _turn(self, turn: Turn) -> Playing:
        self.hints = {**MAIN, "x-claude-code-context-compacted": self._compacted} if self._compacted else MAIN
        self._compacted, left = "", self.trouble.fate is Fate.LEFT
        yield from self.turn(turn)
        self._answer = turn.text
        if left:
            self.notes.append(text_block(prompts.text("interrupted")))

    def _set(self, direction: Direction) -> Playing:
        """Change something that shows in the next request."""
        yield from ()
        words = direction.text or direction.rest
        match direction.word, direction.rest.split():
            case "wait", [amount]:
                self._rest = self.frame.chance.about(float(amount[:-1]) * UNITS[amount[-1]], 0.02)
            case "model", [short]:
                self.model = self.frame.model = MODELS[short]
                told = prompts.text("model command").format(short=short, name=self.model.name, model=self.model.id)
                self.notes.append(text_block(told))
            case "effort", [effort]:
                self.frame.effort = effort
            case "connect", [*servers]:
                self.frame.servers = (*self.frame.servers, *servers)
            case "style", [style]:
                identity, prompt = self.system
                self.system = [identity, f"{prompt}\n\n# Output style: {style}\n{words}"]
            case "clear", [count]:
                self._clear(int(count))
            case "rewind", [count]:
                self.messages, _ = self._starts[-int(count)]
                del self._starts[-int(count) :]
            case "note", _:
                self.notes.append(text_block(f"<system-reminder>\n{words}\n</system-reminder>"))
            case "system", _:
                self.told.append(words)
            case _:
                raise ValueError(f"no such direction: {direction.word} {direction.rest}")

    def _clear(self, count: int) -> None:
        """Drop what the oldest results of tools said, as the client does to win room."""
        results = [at for at, message in enumerate(self.messages) if message["content"][0]["type"] == "tool_result"]
        for at in results[:count]:
            content = self.messages[at]["content"]
            kept = [{**block, "content": CLEARED} if block["type"] == "tool_result" else block for block in content]
            self.messages[at] = {**self.messages[at], "content": kept}

    # When a conversation ends and goes on ---------------------------------------------------------------------------------------

    def _compact(self, direction: Direction) -> Playing:
        """Have the conversation summed up, and begin a new one with that."""
        kind = direction.rest or "manual"
        if not self.frame.headless and kind == "manual":
            self.at += round(self.frame.chance.between(*COMPACTS_S) * SECOND)
        self.say(text_block(prompts.text("compaction")))
        self.hints = {"x-claude-code-request-class": "compaction", "x-claude-code-compaction": kind}
        said = f"{prompts.text('analysis')}\n\n<summary>\n{direction.text}\n</summary>"
        yield from self.exchange(self.body(), Spoken((text_block(said),)))
        self.messages, self._starts = [], [([], "")]
        self._compacted, self._summary = kind, direction.text
        if kind == "auto":
            self.told.insert(0, prompts.environment(self.frame.workspace.root, self.model) + self._listing())
            self.say(*self._reminders(), *self._taken_summary(), text_block(prompts.text("continued alone")))

    def _refused(self, _: Direction) -> Playing:
        """Send a request that forgets the result of a call, as after an interruption at the wrong moment."""
        *before, results = self.messages
        calls = [block["id"] for block in before[-1]["content"] if block["type"] == "tool_use"]
        self.messages = before
        self.say(text_block(prompts.text("interrupted tool")))
        heard = yield self.ask(self.body(), unanswered(len(before) - 1, calls[0]), {**self.said(), **MAIN})
        self.at = heard.ended_at
        self.messages = [*before, results]

    def _taken_summary(self) -> list[Block]:
        summary, self._summary = self._summary, ""
        return [text_block(prompts.text("continued").format(summary=summary))] if summary else []

    def _reminders(self) -> list[Block]:
        workspace = self.frame.workspace
        today = utc(self.at).date().isoformat()
        return prompts.reminders(workspace.root, self.frame.home, self.model, today, workspace.files["CLAUDE.md"])

    def _listing(self) -> str:
        return "\n\n" + prompts.listing(self.frame.version, self.frame.workspace.files)
