"""Content blocks of messages, read: said, thought, folded, a picture, a paper, a result, or something odd.

Whatever a block holds, something can be shown of it, and all of it can be had. Refuses to make markup, and to know tools.
"""

from __future__ import annotations

import json
from typing import Any

from dashboards import pictures
from dashboards.reminders import Reminder, parted
from dashboards.shown import FOLDED, SAID, Clip, Folded, Hit, Odd, Paper, Picture, Result, Said, Thought

Json = dict[str, Any]


def pretty(value: Any) -> str:
    """Return a value as readable JSON."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


def worded(value: Any) -> str:
    """Return a value as text: a text as it is, nothing as an empty one, all else as JSON."""
    return value if isinstance(value, str) else "" if value is None else pretty(value)


def folded(reminders: list[Reminder]) -> Folded | None:
    """Return reminders as one thing that is folded away."""
    if not reminders:
        return None
    names = dict.fromkeys(reminder.name for reminder in reminders)
    numbers = {name: sum(reminder.name == name for reminder in reminders) for name in names}
    title = ", ".join(f"{number} {name}{'' if number == 1 else 's'}" for name, number in numbers.items())
    return Folded(title, [Clip(reminder.text, limit=FOLDED, name="reminder.txt") for reminder in reminders])


def view(block: Json) -> Any:
    """Return a block that is neither a call nor a result, as it is shown; None where there is nothing of it."""
    kind = block.get("type")
    if kind == "text" and isinstance(block.get("text"), str):
        text = block["text"]
        return Said(Clip(text, "prose", SAID, name="message.md")) if text.strip() else None
    if kind == "thinking":
        text = worded(block.get("thinking"))
        return Thought(Clip(text, "prose", SAID, name="thinking.md"), "" if text else "the API did not show it")
    if kind == "redacted_thinking":
        return Thought(Clip(""), f"redacted by the API: {len(worded(block.get('data'))):,} characters, encrypted")
    if kind == "image":
        return _picture(block)
    if kind == "document":
        return _paper(block)
    if kind == "search_result":
        text = "\n".join(worded(part.get("text")) for part in _dicts(block.get("content")))
        title, where = worded(block.get("title")), worded(block.get("source"))
        return Paper(title, "search result", clip=Clip(text, "prose", name="result.md"), url=where)
    if kind == "tool_reference":
        return Said(Clip(f"tool loaded: {worded(block.get('tool_name'))}"))
    if kind == "web_search_result":
        return Hit(worded(block.get("title")), worded(block.get("url")), worded(block.get("page_age")))
    return odd(block)


def odd(block: Any) -> Odd:
    """Return anything as JSON."""
    name = worded(block.get("type")) if isinstance(block, dict) else type(block).__name__
    return Odd(name or "no type", Clip(pretty(block), name="block.json"))


def _dicts(value: Any) -> list[Json]:
    return [part for part in value if isinstance(part, dict)] if isinstance(value, list) else []


def _source(block: Json) -> Json:
    source = block.get("source")
    return source if isinstance(source, dict) else {}


def _picture(block: Json) -> Picture:
    source = _source(block)
    media, data = worded(source.get("media_type")), source.get("data")
    if source.get("type") == "base64":
        trouble = pictures.trouble(media, data)
        return Picture(media or "no media type", "" if trouble else worded(data), trouble)
    where = worded(source.get("url")) or worded(source.get("file_id"))
    return Picture(media or "image", url=where, trouble="" if where else "it has no source that is known")


def _paper(block: Json) -> Paper:
    source = _source(block)
    media, title = worded(source.get("media_type")), worded(block.get("title")) or "document"
    if source.get("type") == "text" or isinstance(source.get("content"), list | str):
        parts = source.get("data") if source.get("type") == "text" else source.get("content")
        text = (
            "\n".join(worded(part.get("text")) for part in _dicts(parts)) if isinstance(parts, list) else worded(parts)
        )
        return Paper(
            title, media or "text", len(text.encode("utf-8", "replace")), Clip(text, "prose", name="document.md")
        )
    if source.get("type") == "base64":
        return Paper(title, media, pictures.size(source.get("data")))
    return Paper(title, media, url=worded(source.get("url")) or worded(source.get("file_id")))


def without_reminders(block: Json) -> tuple[Any, list[Reminder]]:
    """Return a block as it is shown, None where nothing is left of it, and the reminders that stood in it."""
    if block.get("type") != "text" or not isinstance(block.get("text"), str):
        return view(block), []
    text, taken = parted(block["text"])
    return view({**block, "text": text}), taken


def result(block: Json) -> Result:
    """Return what a tool gave back: of the client's tools, the server's, or an MCP server's."""
    content, kind = block.get("content"), str(block.get("type"))
    found = Result(error=block.get("is_error") is True)
    if isinstance(content, dict):  # one block: of the server's tools
        inner = str(content.get("type"))
        if inner.endswith("_error"):
            found.error, found.text = True, worded(content.get("error_code")) or pretty(content)
            return found
        if "stdout" in content or "stderr" in content:
            found.text = "\n".join(filter(None, (worded(content.get("stdout")), worded(content.get("stderr")))))
            found.error = found.error or content.get("return_code") not in (0, None)
            found.views = [odd(part) for part in _dicts(content.get("content"))]
            return found
        if inner == "web_fetch_result" and isinstance(content.get("content"), dict):
            found.views = [_paper({"title": worded(content.get("url")), **content["content"]})]
            return found
        found.views = [odd(content)]
        return found
    taken = list[Reminder]()
    if isinstance(content, str):
        found.text, taken = parted(content)
    elif isinstance(content, list):
        texts = list[str]()
        for part in content:
            if isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str):
                text, beside = parted(part["text"])
                texts.append(text)
                taken += beside
            elif (one := view(part) if isinstance(part, dict) else odd(part)) is not None:
                found.views.append(one)
        found.text = "\n".join(texts)
    elif content is not None:
        found.views = [odd(block if kind else content)]
    found.folded = folded(taken)
    return found
