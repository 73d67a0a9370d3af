"""Screenplays are read as they are written."""

from __future__ import annotations

import pytest

from ccproxy.demo import casting, screenplay
from ccproxy.demo.beats import Call, Direction, Prompt, Turn

PLAY = """\
title: Find it
when: 1 09:10, 3 09:30

> Where is ⟦it|she⟧?
> ![a.png]
>
> Thanks.

~ First thought.
~ Second one.
Two [[places]].
.
- here
* Read a.py 1 20
* Bash[2.5!] make test ;; Run ⟦it|her⟧
| F
|
| 1 failed
* Edit a.py
- old
+ new
+

@ compact manual
What was said.
What is open.

* Agent look

== look Explore: Look for it
> Look.
> Everywhere.

@ overloaded 2

* Grep it in src

There.
"""


def test_a_session_is_read_beat_by_beat() -> None:
    """Prompts, turns, calls, directions and parts come out in their order, with all that stands below them."""
    story, other = screenplay.read("find", PLAY)
    assert (story.name, story.says("title"), story.says("when")) == ("find-1", "Find it", "1 09:10")
    assert (other.name, other.says("when")) == ("find-2", "3 09:30")
    prompt, turn, compact, agent = story.beats
    assert prompt == Prompt("Where is it?\n\nThanks.", ("a.png",))
    assert isinstance(turn, Turn)
    assert (turn.thinking, turn.text) == ("First thought. Second one.", "Two [[places]].\n\n- here")
    read, run, edit = turn.calls
    assert read == Call("Read", "a.py 1 20")
    assert run == Call("Bash", "make test", "Run it", 2.5, failed=True, output=("F", "", "1 failed"))
    assert edit == Call("Edit", "a.py", removed=("old",), added=("new", ""))
    assert compact == Direction("compact", "manual", "What was said.\nWhat is open.")
    assert agent == Turn(calls=(Call("Agent", "look"),))
    part = story.parts["look"]
    assert (part.type, part.about, part.prompt) == ("Explore", "Look for it", "Look.\nEverywhere.")
    assert part.beats == (
        Direction("overloaded", "2"),
        Turn(calls=(Call("Grep", "it in src"),)),
        Turn(text="There."),
    )


def test_another_session_takes_the_other_choice() -> None:
    """Of several sessions of one screenplay each has its own words."""
    _, other = screenplay.read("find", PLAY)
    assert other.beats[0] == Prompt("Where is she?\n\nThanks.", ("a.png",))


def test_what_makes_no_sense_is_refused() -> None:
    """A call without a tool and a part without a task are mistakes, not something to be played."""
    with pytest.raises(ValueError, match="not a call"):
        list(screenplay.read("x", "when: 1 09:00\n\nWords.\n* \n"))
    with pytest.raises(ValueError, match="not a part with a task"):
        list(screenplay.read("x", "when: 1 09:00\n\n== look Explore: Look\n\nThere.\n"))


def test_every_part_is_played() -> None:
    """In the package's own screenplays each agent that is called has a part, and each part is called."""
    for story in casting.stories():
        beats = [*story.beats, *(beat for part in story.parts.values() for beat in part.beats)]
        turns = [beat for beat in beats if isinstance(beat, Turn)]
        called = [call.given for turn in turns for call in turn.calls if call.tool == "Agent"]
        assert sorted(called) == sorted(story.parts)
