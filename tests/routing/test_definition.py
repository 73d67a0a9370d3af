"""Agents' definition files, as people write them, and the system blocks that begin with their prompts."""

from __future__ import annotations

import pytest

from ccproxy.routing.definition import Definition, defined, read_definition

PROMPT = "You are a careful reviewer.\n\nLook at every line."
FRONT = "---\nname: code-reviewer\ndescription: Reviews code\ntools: Read, Bash\nmodel: sonnet\n---\n"

FILES = {
    "plain": FRONT + PROMPT + "\n",
    "a blank line first": FRONT + "\n\n" + PROMPT,
    "CRLF": (FRONT + PROMPT).replace("\n", "\r\n"),
    "byte order mark": "\ufeff" + FRONT + PROMPT,
    "quoted name": FRONT.replace("name: code-reviewer", 'name: "code-reviewer"') + PROMPT,
    "front matter that is no YAML": FRONT.replace("Reviews code", "Use it: <example>user: hi\\nassistant: [") + PROMPT,
    "notes behind": FRONT + PROMPT + "\n\nNotes:\n- something that comes later",
    "spaces behind the dashes": FRONT.replace("---\n", "---  \n") + PROMPT,
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_gives_its_name_and_prompt(name: str) -> None:
    """A definition is read whatever the editor that wrote it."""
    assert read_definition("file", FILES[name]) == Definition(("code-reviewer", "file"), PROMPT)


def test_lines_of_dashes_belong_to_the_prompt() -> None:
    """A rule in the prompt ends nothing."""
    found = read_definition("x", FRONT + "First.\n\n---\n\nSecond.\n---\nname: other\n")
    assert found == Definition(("code-reviewer", "x"), "First.\n\n---\n\nSecond.\n---\nname: other")


def test_a_file_without_front_matter_is_called_by_its_own_name() -> None:
    """All of such a file is the prompt."""
    assert read_definition("tester", "You test.\n") == Definition(("tester",), "You test.")


@pytest.mark.parametrize("text", ["", FRONT, FRONT + "\n \n", "\ufeff", "---\n---\n"])
def test_a_file_without_a_prompt_defines_nothing(text: str) -> None:
    """An empty prompt would be the beginning of everything."""
    assert read_definition("x", text) is None


def test_a_prompt_that_begins_with_notes_is_kept() -> None:
    """Only notes behind a prompt are cut off."""
    found = read_definition("x", "Notes:\nBe brief.")
    assert found is not None
    assert found.prompt == "Notes:\nBe brief."


REVIEWER = Definition(("code-reviewer",), PROMPT)
SHORT = Definition(("short",), "You are a careful")


def test_any_block_that_begins_with_the_prompt_is_the_agents() -> None:
    """The billing line, the identity and what the client adds behind the prompt do not matter."""
    blocks = ["x-anthropic-billing-header: cc_version=2;", "You are Claude Code.", f"\n{PROMPT}\r\n\r\nNotes:\n- more"]
    assert defined(blocks, [SHORT, REVIEWER]) == REVIEWER


def test_windows_line_ends_in_the_block_do_not_matter() -> None:
    """The client may send the file's line ends as they are."""
    assert defined([PROMPT.replace("\n", "\r\n")], [REVIEWER]) == REVIEWER


def test_a_prompt_ends_with_its_last_word() -> None:
    """The beginning of a longer word is not the agent's prompt."""
    assert defined(["You are a carefully chosen"], [SHORT]) is None
    assert defined(["You are a careful, slow"], [SHORT]) == SHORT


def test_of_equal_prompts_the_first_counts() -> None:
    """A project's own agent comes before the user's."""
    other = Definition(("other",), PROMPT)
    assert defined([PROMPT], [other, REVIEWER]) == other


def test_a_block_that_only_quotes_the_prompt_is_nobodys() -> None:
    """A main conversation about an agent is not that agent's."""
    assert defined([f"Here is a file:\n{PROMPT}"], [REVIEWER]) is None
