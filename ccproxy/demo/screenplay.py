"""Reads a screenplay: a session of Claude Code as plain text, in paragraphs.

    title: Find the flaky test          the head: words and what they say
    when: 1 09:10, 3 09:30              a session for each moment

    > The test fails one time in five.  the person
    > ![screen.png]                     with a picture

    ~ Timing, or order.                 the model: thoughts, then words, then calls
    I'll look at the test first.
    * Read tests/test_importer.py
    * Bash[2.4] pytest -q ;; Run it     seconds that it takes (`!`: it fails), what it is for
    | F...                              its output; `-` and `+` are lines of an edit, `=` an answer about the output

    @ wait 7m                           a direction, perhaps with lines below it

    == look Explore: Find the callers   a subagent's part, up to the next one; its first paragraph is what it is told

`⟦a|b⟧` is `a` in the first session of several and `b` in the second; `path:«words»` becomes the line of a file in which they stand.
Refuses to know what a direction does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby

from ccproxy.demo.beats import Beat, Call, Direction, Part, Prompt, Story, Turn

_CHOICE = re.compile(r"⟦([^⟦⟧]*)⟧")
_CALL = re.compile(r"\* (?P<tool>\w+)(?:\[(?P<seconds>[\d.]*)(?P<failed>!?)\])? ?(?P<given>.*)")
_PART = re.compile(r"== (?P<name>\S+) (?P<type>\S+): (?P<about>.*)")
_PICTURE = re.compile(r"!\[(\S+)\]")


def read(name: str, text: str) -> Iterator[Story]:
    """Yield the sessions of a screenplay."""
    times = next(line for line in text.splitlines() if line.startswith("when:")).removeprefix("when:").split(",")
    for number, when in enumerate(times):
        story = _story(name if len(times) == 1 else f"{name}-{number + 1}", _chosen(text, number))
        story.head["when"] = when.strip()
        yield story


def _chosen(text: str, number: int) -> str:
    def choose(found: re.Match[str]) -> str:
        choices = found[1].split("|")
        return choices[number % len(choices)]

    return _CHOICE.sub(choose, text)


def _story(name: str, text: str) -> Story:
    head, *paragraphs = _paragraphs(text)
    scenes: list[list[list[str]]] = [[]]
    for lines in paragraphs:
        if _PART.match(lines[0]):
            scenes.append([])
        scenes[-1].append(lines)
    main, *others = scenes
    parts = {part.name: part for part in map(_part, others)}
    return Story(name, dict(line.split(": ", 1) for line in head), tuple(map(_beat, main)), parts)


def _part(scene: list[list[str]]) -> Part:
    (title, *told), *paragraphs = scene
    found = _PART.match(title)
    if not found or not told:
        raise ValueError(f"not a part with a task: {title}")
    return Part(found["name"], found["type"], found["about"], _words(_said(told)), tuple(map(_beat, paragraphs)))


def _paragraphs(text: str) -> Iterator[list[str]]:
    for filled, lines in groupby(text.splitlines(), key=lambda line: bool(line.strip())):
        if filled:
            yield list(lines)


def _beat(lines: list[str]) -> Beat:
    first = lines[0]
    if first.startswith(">"):
        said = _said(lines)
        pictures = tuple(_PICTURE.findall("\n".join(said)))
        return Prompt(_words([line for line in said if not _PICTURE.match(line)]), pictures)
    if first.startswith("@ "):
        word, _, rest = first[2:].partition(" ")
        return Direction(word, rest.strip(), _words(lines[1:]))
    return _turn(lines)


def _said(lines: list[str]) -> list[str]:
    return [line.removeprefix(">").removeprefix(" ") for line in lines]


def _turn(lines: list[str]) -> Turn:
    thinking = " ".join(line[2:] for line in lines if line.startswith("~ "))
    start = next((index for index, line in enumerate(lines) if line.startswith("* ")), len(lines))
    spoken = [line for line in lines[:start] if not line.startswith("~ ")]
    calls: list[list[str]] = []
    for line in lines[start:]:
        if line.startswith("* "):
            calls.append([])
        calls[-1].append(line)
    return Turn(thinking, _words(spoken), tuple(map(_call, calls)))


def _call(lines: list[str]) -> Call:
    found = _CALL.match(lines[0])
    if not found:
        raise ValueError(f"not a call: {lines[0]}")
    given, _, about = found["given"].partition(" ;; ")
    below = {sign: tuple(line[1:].removeprefix(" ") for line in lines[1:] if line[:1] == sign) for sign in "-+|="}
    return Call(
        found["tool"],
        given.strip(),
        about.strip(),
        float(found["seconds"]) if found["seconds"] else None,
        bool(found["failed"]),
        below["-"],
        below["+"],
        below["|"],
        below["="],
    )


def _words(lines: list[str]) -> str:
    """Return lines as a text; a dot alone stands for an empty line."""
    return "\n".join("" if line == "." else line for line in lines)
