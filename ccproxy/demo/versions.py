"""The versions of Claude Code that play in the demo: how each names itself, what it announces, and which tools it brings.

Refuses to know conversations.
"""

from __future__ import annotations

from dataclasses import dataclass

READING = ("Bash", "Glob", "Grep", "Read", "Skill", "WebFetch", "WebSearch")


@dataclass(frozen=True, slots=True)
class Version:
    """One version. `stainless` and `node` are those of its HTTP library, `hints` the newer hint headers that it knows."""

    name: str
    stainless: str
    node: str
    betas: tuple[str, ...]
    tools: tuple[str, ...]
    hints: frozenset[str]


OLDER = Version(
    "2.1.280",
    "0.112.1",
    "v26.3.0",
    (
        "claude-code-20250219",
        "interleaved-thinking-2025-05-14",
        "thinking-token-count-2026-05-13",
        "context-management-2025-06-27",
        "mid-conversation-system-2026-04-07",
        "per-turn-control-2026-07-01",
        "effort-2025-11-24",
    ),
    (
        *(
            "Agent",
            "Bash",
            "Edit",
            "Glob",
            "Grep",
            "NotebookEdit",
            "Read",
            "Skill",
            "TaskStop",
            "TodoWrite",
            "WebFetch",
        ),
        *("WebSearch", "Write"),
    ),
    frozenset(),
)
NEWER = Version(
    "2.1.330",
    "0.128.0",
    "v26.12.1",
    (
        "claude-code-20250219",
        "interleaved-thinking-2025-05-14",
        "context-management-2025-06-27",
        "per-turn-control-2026-07-01",
        "mid-conversation-tool-changes-2026-07-01",
        "thinking-token-count-2026-05-13",
        "effort-2025-11-24",
    ),
    (
        *("Agent", "AskUserQuestion", "Bash", "Edit", "Glob", "Grep", "ListAgents", "Monitor", "Read", "Skill"),
        *("TaskStop", "TodoWrite", "WebFetch", "WebSearch", "Write"),
    ),
    frozenset({"x-claude-code-prompt-id", "x-claude-1p-request-class"}),
)


@dataclass(frozen=True, slots=True)
class Model:
    """A model as the client knows it."""

    id: str
    name: str
    cutoff: str
    max_tokens: int
    adaptive: bool = True


MODELS = {
    "opus": Model("claude-opus-5-5", "Opus 5.5", " Assistant knowledge cutoff is June 2026.", 128_000),
    "sonnet": Model("claude-sonnet-5-5", "Sonnet 5.5", " Assistant knowledge cutoff is June 2026.", 64_000),
    "haiku": Model("claude-haiku-4-5", "Haiku 4.5", "", 32_000, adaptive=False),
}
