"""`/api/conversations`: Claude Code's own transcripts, listed and read. Nothing here writes.

All work on files happens in a thread. Refuses to know what stands in a transcript.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType
from quart import Blueprint, Response, request
from quart_schema import document_querystring, document_response, tag

from ccproxy.transcripts import BadNameError, Conversation, Library, Transcript, UnknownError
from ccproxy.web.api import asking
from ccproxy.web.api.answering import NotFoundError, answer
from ccproxy.web.api.asking import BadQuestionError
from ccproxy.web.api.shapes import Failure

T = TypeVar("T")

_Whole = Annotated[int, Meta(ge=0)] | str
_PROJECT = "The project's folder, by its name: `project` of a conversation."
_Project = Annotated[str, Meta(description=_PROJECT, extra_json_schema={"required": True})]


class PageQuery(msgspec.Struct):
    """Which page of a list."""

    page: Annotated[_Whole, Meta(description="Anything that is no page number reads as 1.")] = 1
    limit: Annotated[
        _Whole,
        Meta(
            description=f"Rows on a page, at most {asking.MAX_LIMIT}; what is no such number reads as {asking.DEFAULT_LIMIT}."
        ),
    ] = asking.DEFAULT_LIMIT


class ConversationsQuery(PageQuery):
    """Which conversations, and which page of them."""

    project: Annotated[str, Meta(description=_PROJECT)] | UnsetType = UNSET
    q: Annotated[str, Meta(description="A piece of the title, in any case.")] | UnsetType = UNSET


class ProjectQuery(PageQuery, kw_only=True):
    """Which project's conversations, and which page of them."""

    project: _Project
    q: Annotated[str, Meta(description="A piece of the title, in any case.")] | UnsetType = UNSET


class TranscriptQuery(msgspec.Struct, kw_only=True):
    """Which transcript, and which of its lines."""

    project: _Project
    agent: (
        Annotated[str, Meta(description="A subagent's id: its lines, not those of the conversation.")] | UnsetType
    ) = UNSET
    offset: Annotated[_Whole, Meta(description="How many lines to pass over.")] = 0
    limit: Annotated[_Whole, Meta(description="Lines on a page; there may be fewer where they are long.")] = (
        asking.MAX_LIMIT
    )


class Conversations(msgspec.Struct):
    """A page of conversations, newest activity first."""

    conversations: list[Conversation]
    total: Annotated[int, Meta(description="How many conversations the filter lets through, on all pages.")]
    page: int
    limit: int


def blueprint(config_dir: Path) -> Blueprint:
    """Return the routes; `config_dir` is Claude Code's own folder, whether it is there or not."""
    routes = Blueprint("conversations", __name__)
    library = Library(config_dir / "projects")

    @routes.get("/api/conversations")
    @document_querystring(ConversationsQuery)
    @document_response(Conversations)
    @tag(["conversations"])
    async def list_conversations() -> Response:
        """List Claude Code's conversations on this machine, newest activity first."""
        project, q = request.args.get("project") or None, request.args.get("q")
        try:
            found = await _in_thread(lambda: library.conversations(project, q))
        except (BadQuestionError, NotFoundError):  # a filter that nothing fits
            found = []
        return _page(found)

    @routes.get("/api/conversations/project")
    @document_querystring(ProjectQuery)
    @document_response(Conversations)
    @document_response(Failure, 404)
    @tag(["conversations"])
    async def list_project() -> Response:
        """List the conversations of one project, newest activity first."""
        project, q = _project(), request.args.get("q")
        return _page(await _in_thread(lambda: library.conversations(project, q)))

    @routes.get("/api/conversations/<conversation>")
    @document_querystring(TranscriptQuery)
    @document_response(Transcript)
    @tag(["conversations"])
    async def show_conversation(conversation: str) -> Response:
        """Give a conversation line by line, as Claude Code wrote it.

        Its subagents are listed beside it; `agent` gives the lines of one of them. Each line names the line that it follows.
        """
        project, agent = _project(), request.args.get("agent") or None
        offset, limit = _number("offset", 0), _number("limit", asking.MAX_LIMIT) or asking.MAX_LIMIT
        limit = min(limit, asking.MAX_LIMIT)
        read = partial(library.transcript, project, conversation, agent=agent, offset=offset, limit=limit)
        return answer(await _in_thread(read))

    return routes


async def _in_thread(task: Callable[[], T]) -> T:
    try:
        return await asyncio.to_thread(task)
    except BadNameError as error:
        raise BadQuestionError(str(error)) from error
    except UnknownError as error:
        raise NotFoundError(str(error)) from error


def _page(found: list[Conversation]) -> Response:
    place = asking.place({name: value for name, value in request.args.items() if name in ("page", "limit")})
    rows = found[place.offset : place.offset + place.limit]
    return answer(Conversations(rows, len(found), place.page, place.limit))


def _project() -> str:
    project = request.args.get("project")
    if not project:
        raise BadQuestionError(
            '"project" is missing: it takes the name of a project\'s folder, "project" of a conversation'
        )
    return project


def _number(name: str, default: int) -> int:
    text = request.args.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 15 else default
