"""What stands before a conversation: system blocks, tools, and the first things that the client says in the person's name.

The texts are the demo's own; where one begins with the words of the real client, that is a sign by which a request is told apart. Each
version has its own. Refuses to know what is asked.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from ccproxy.demo import boxes
from ccproxy.demo.replies import Block
from ccproxy.demo.versions import READING, Model, Version

TUI = "You are Claude Code, Anthropic's official CLI for Claude."
SDK = "You are a Claude agent, built on Anthropic's Claude Agent SDK."
CUSTOM = ".claude/agents/{}.md"


def text(name: str) -> str:
    """Return a text of the client, without a line feed at its end."""
    return boxes.box("texts", "prompts.txt")[name].rstrip("\n")


def of_version(name: str, version: Version) -> str:
    """Return a text of which each version has its own."""
    return text(f"{name} {version.name}")


def text_block(words: str) -> Block:
    """Return a text block."""
    return {"type": "text", "text": words}


def main_tools(version: Version, servers: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return the tools of the main conversation, and those of the MCP servers that are connected."""
    connected = [tool for server in servers for tool in _server(server)]
    return [*(_tool(name, version.name) for name in version.tools), *connected]


def agent_tools(agent_type: str, version: Version, servers: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return the tools of a subagent."""
    if agent_type == "general-purpose":
        return [tool for tool in main_tools(version, servers) if tool["name"] != "AskUserQuestion"]
    return [_tool(name, version.name) for name in READING]


def agent_prompt(agent_type: str, files: dict[str, str]) -> str:
    """Return the prompt of a subagent; that of a custom one is the body of its definition among the project's files."""
    definition = files.get(CUSTOM.format(agent_type))
    if definition is None:
        return text(agent_type)
    return definition.split("---\n", 2)[2].strip() + "\n\n" + text("notes")


def agent_model(agent_type: str, files: dict[str, str]) -> str:
    """Return the model that a custom agent's definition asks for; empty where it inherits one."""
    return _declared_in(files.get(CUSTOM.format(agent_type), ""), "model")


def is_custom(agent_type: str, files: dict[str, str]) -> bool:
    """Tell whether an agent is one of the project's own."""
    return CUSTOM.format(agent_type) in files


def environment(cwd: str, model: Model) -> str:
    """Return what the model is told about where it is."""
    return text("environment").format(cwd=cwd, name=model.name, model=model.id, cutoff=model.cutoff)


def listing(version: Version, files: dict[str, str]) -> str:
    """Return what the model is told about agents and skills."""
    own = [path.rsplit("/", 1)[1].removesuffix(".md") for path in sorted(files) if path.startswith(".claude/agents/")]
    told = {name: _declared_in(files[CUSTOM.format(name)], "description") for name in own}
    lines = [f"- {name}: {said} (Tools: {', '.join(READING)})" for name, said in told.items()]
    return "\n".join([of_version("agents", version), *lines]) + "\n\n" + text("skills")


def reminders(cwd: str, home: str, model: Model, today: str, project: str) -> list[Block]:
    """Return what stands before the person's first words: attribution, and what the project's and the user's notes say."""
    memory = text("memory").format(cwd=cwd, home=home, mine=text("mine"), project=project.strip(), today=today)
    return [text_block(text("attribution").format(name=model.name)), text_block(memory)]


def _declared_in(definition: str, word: str) -> str:
    """Return what the head of an agent's definition says under a word."""
    lines = (line.partition(": ") for line in definition.splitlines())
    return next((said for name, _, said in lines if name == word), "")


@cache
def _tool(name: str, version: str) -> dict[str, Any]:
    pieces = boxes.box("texts", "tools.txt")
    description, _, schema = pieces.get(f"{name} {version}", pieces[name]).partition("--\n")
    if schema.startswith("{"):
        found: dict[str, Any] = json.loads(schema)
        return _declared(name, description.strip(), found["properties"], found["required"])
    lines = [line.partition(": ") for line in schema.strip().splitlines()]
    return _declared_by(name, description.strip(), [(declared, said) for declared, _, said in lines])


@cache
def _server(server: str) -> tuple[dict[str, Any], ...]:
    """Return the tools of an MCP server, of which one stands in each line: name, what it does, its parameters."""
    known = dict(line.split(" ", 1) for line in boxes.box("texts", "servers.txt")["parameters"].splitlines())
    found = []
    for line in boxes.box("texts", "servers.txt")[server].splitlines():
        name, _, told = line.partition(": ")
        description, _, names = told.partition(" | ")
        parameters = []
        for parameter in names.split():
            kind, _, said = known[parameter.removesuffix("*")].partition(": ")
            parameters.append((f"{parameter} {kind}", said))
        found.append(_declared_by(f"mcp__{server}__{name}", description, parameters))
    return tuple(found)


def _declared_by(name: str, description: str, parameters: list[tuple[str, str]]) -> dict[str, Any]:
    """Return a tool with these parameters, each `name type` or `name* type` and what it is."""
    properties, required = {}, []
    for declared, said in parameters:
        parameter, kind = declared.split()
        if parameter.endswith("*"):
            parameter = parameter.removesuffix("*")
            required.append(parameter)
        items = {"items": {"type": "string"}} if kind == "array" else {}
        properties[parameter] = {"type": kind, **items, "description": said}
    return _declared(name, description, properties, required)


def _declared(name: str, description: str, properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }
    return {"name": name, "description": description, "input_schema": schema}
