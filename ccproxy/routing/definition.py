"""An agent's definition file, and whose prompt a system block begins with.

Knows the form of Claude Code's `.claude/agents/*.md`: front matter between two lines of dashes, then the prompt. Of the front matter
only `name` counts, and it is read by its line: in descriptions of real files stand colons and tags that are no YAML. Refuses to
know where files lie.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_FRONT = re.compile(r"---[ \t]*\n(?P<front>.*?)^---[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)
_NAME = re.compile(r"^name[ \t]*:[ \t]*(?P<name>[^\n]*?)[ \t]*$", re.MULTILINE)
_NOTES = "\nNotes:"  # what Claude Code adds behind a prompt begins with it, and so does the end of some files


@dataclass(frozen=True, slots=True)
class Definition:
    """An agent: the names that it may be called by, the one in its file first, and the beginning of its system prompt."""

    names: tuple[str, ...]
    prompt: str


def read_definition(stem: str, text: str) -> Definition | None:
    """Return what a file says; None where there is no prompt in it. `stem` is the file's name without its suffix."""
    text = _lines(text).removeprefix("\ufeff")
    found = _FRONT.match(text)
    front, body = (found["front"], text[found.end() :]) if found else ("", text)
    prompt = _static(body)
    if not prompt:
        return None
    named = _NAME.search(front)
    name = named["name"].strip("\"'") if named else ""
    return Definition(tuple(dict.fromkeys(filter(None, (name, stem)))), prompt)


def defined(blocks: Iterable[str], definitions: Sequence[Definition]) -> Definition | None:
    """Return the agent with whose prompt one of the system blocks begins; of several the one with the longest prompt.

    Of equal ones the first counts.
    """
    texts = [_lines(block).lstrip() for block in blocks]
    fitting = [one for one in definitions if any(_begins(text, one.prompt) for text in texts)]
    return max(fitting, key=lambda one: len(one.prompt), default=None)


def _begins(text: str, prompt: str) -> bool:
    """A prompt ends with its last word: "You review" is no beginning of "You reviewed"."""
    return text.startswith(prompt) and not text[len(prompt) : len(prompt) + 1].isalnum()


def _static(body: str) -> str:
    return (body.partition(_NOTES)[0] if not body.startswith(_NOTES[1:]) else body).strip()


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n")
