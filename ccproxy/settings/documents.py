"""What stands in a configuration file: YAML, with the line of everything in it.

Nothing else in ccproxy reads YAML. A value stays the text that it is in the file: its setting, not YAML, says what it means.
Refuses to guess: a key that there is not, or that stands twice, is refused. Refuses to know where the file comes from.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import yaml

from ccproxy.errors import ConfigError
from ccproxy.settings.declaring import Setting
from ccproxy.settings.found import Found
from ccproxy.settings.kinds import Kind
from ccproxy.settings.names import is_key, is_section, unknown
from ccproxy.settings.tree import row_of


def from_file(path: Path, name: str) -> dict[str, Found]:
    """Return what the file says, by key; `name` is what sentences call it.

    `server.port: 1` and `port: 1` under `server:` mean the same. An empty value counts as not set, an empty list does not.
    """
    found = {}
    for key, node in _entries(_compose(path, name), "", name, {}):
        value = _value(key, node, name, path.parent)
        if value.text or value.items is not None:
            found[key] = value
    return found


def _compose(path: Path, name: str) -> yaml.Node | None:
    text = _text(path, name)
    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        problem = ", ".join(filter(None, (error.context, error.problem)))
        raise ConfigError(f"{name} line {line}: this is not YAML: {problem}") from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ConfigError(f"{name} line {line}: this is not YAML: there is a character that is not text") from error
    except RecursionError:
        raise ConfigError(f"{name}: this is nested too deeply to be a configuration") from None


def _text(path: Path, name: str) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{name} cannot be read: {error.strerror}") from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{name} line {line}: this is not UTF-8 text") from None


def _entries(node: yaml.Node | None, prefix: str, name: str, places: dict[str, int]) -> Iterator[tuple[str, yaml.Node]]:
    """Yield the settings below a node; `places` collects the line of every key, to tell the second from the first."""
    if node is None or _is_null(node):
        return
    if not isinstance(node, yaml.MappingNode):
        what = prefix.removesuffix(".") or "the file"
        raise ConfigError(f"{name} line {_line(node)}: {what} must hold keys with values, as in config.yaml.example")
    for key_node, value in node.value:
        key = prefix + _key(key_node, name)
        line = _line(key_node)
        if not is_key(key) and not is_section(key):
            raise ConfigError(f"{name} line {line}: {unknown(key)}")
        if key in places:
            raise ConfigError(f"{name} line {line}: {key} stands here for the second time, first on line {places[key]}")
        places[key] = line
        if is_key(key):
            yield key, value
        else:
            yield from _entries(value, f"{key}.", name, places)


def _key(node: yaml.Node, name: str) -> str:
    if not isinstance(node, yaml.ScalarNode):
        raise ConfigError(f"{name} line {_line(node)}: a key must be a name, not a list or a mapping")
    return str(node.value)


def _value(key: str, node: yaml.Node, name: str, base: Path) -> Found:
    row = row_of(key)
    if row is None:  # an inherited key
        return Found(_plain(node), name, base, _line(node))
    if isinstance(node, yaml.MappingNode) and row.kind.names:
        members = [
            Found(_scalar(row, value, name), name, base, _line(at), name=_key(at, name).strip())
            for at, value in node.value
        ]
        return Found("", name, base, _line(node), tuple(members))
    if not isinstance(node, yaml.SequenceNode) or not row.kind.item:
        return Found(_scalar(row, node, name), name, base, _line(node))
    items = [Found(_scalar(row, item, name), name, base, _line(item)) for item in node.value]
    return Found("", name, base, _line(node), tuple(item for item in items if item.text))


def _scalar(row: Setting, node: yaml.Node, name: str) -> str:
    if not isinstance(node, yaml.ScalarNode) or not node.tag.startswith("tag:yaml.org,2002:"):
        raise ConfigError(f"{name} line {_line(node)}: {row.key} must be {row.kind.what}, {_form(row.kind)}")
    return _plain(node)


def _form(kind: Kind) -> str:
    """Tell how a value of this kind is written in YAML."""
    if kind.names:
        return "a single plain value for each name"
    return "a single plain value" + (", or a list of them" if kind.item else "")


def _plain(node: yaml.Node) -> str:
    """Return a value's text as it stands in the file; nothing and what is no text have none."""
    return "" if _is_null(node) or not isinstance(node, yaml.ScalarNode) else str(node.value).strip()


def _is_null(node: yaml.Node) -> bool:
    return str(node.tag) == "tag:yaml.org,2002:null"


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
