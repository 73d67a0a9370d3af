"""The shape of the code, held by tests: layers, doors, no cycles, docstrings.

Reads the source as text and syntax trees; imports nothing of it. Imports inside functions count like any other.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# A module may import from a lower layer, or from its own package.
LAYERS = {
    "ccproxy.protocol": 0,
    "ccproxy.settings": 1,
    "ccproxy.errors": 1,
    "ccproxy.wire": 1,
    "ccproxy.records": 1,
    "ccproxy.redaction": 1,
    "ccproxy.auth": 2,
    "ccproxy.recorder": 2,
    "ccproxy.routing": 2,
    "ccproxy.agents": 3,
    "ccproxy.upstream": 3,
    "ccproxy.journal": 3,
    "ccproxy.ingest": 3,
    "ccproxy.stores": 3,
    "ccproxy.lifecycle": 3,
    "ccproxy.live": 3,
    "ccproxy.transcripts": 3,
    "ccproxy.web": 4,
    "ccproxy.demo": 5,
    "ccproxy.cli": 6,
    "ccproxy.__main__": 7,
}
# Inside layer 3: who may use whom (a lower number never imports a higher one).
ORDER_IN_EDGE = {
    "ccproxy.agents": 0,
    "ccproxy.lifecycle": 0,
    "ccproxy.journal": 0,
    "ccproxy.upstream": 0,
    "ccproxy.stores": 0,
    "ccproxy.transcripts": 0,
    "ccproxy.ingest": 1,
    "ccproxy.live": 2,
}

# One library, one door: the only places in which it may be imported.
DOORS = {
    "quart": ["ccproxy.web"],
    "quart_cors": ["ccproxy.web.api"],
    "quart_schema": ["ccproxy.web.api"],
    "hypercorn": ["ccproxy.web.server", "ccproxy.web.worker", "ccproxy.web.api.process"],
    "httpx": ["ccproxy.upstream"],
    "httpx_aiohttp": ["ccproxy.upstream"],
    "aiohttp": ["ccproxy.upstream"],
    "yarl": ["ccproxy.upstream"],
    "sqlite3": ["ccproxy.stores.sqlite"],
    "psycopg": ["ccproxy.stores.postgres"],
    "duckdb": ["analysis.engine"],
    "genai_prices": ["analysis.measures.cost"],
    "panel": ["dashboards"],
    "bokeh": ["dashboards"],
    "tornado": ["dashboards"],
    "jinja2": ["dashboards.rendering"],
    "click": ["ccproxy.cli"],
    "yaml": ["ccproxy.settings"],
    "dotenv": ["ccproxy.settings"],
    "platformdirs": ["ccproxy.settings"],
    "uvloop": ["ccproxy.web.worker"],
    "zstandard": ["ccproxy.stores.compression"],
    "brotli": ["ccproxy.ingest.encodings"],
}
PURE = {
    "__future__", "base64", "bisect", "collections", "dataclasses", "enum", "functools", "hashlib", "itertools", "json",
    "math", "re", "types", "typing", "urllib", "urllib.parse", "msgspec",
}  # fmt: skip
# What the toolkit takes from the proxy's package: values, pure functions, and how bytes are packed; no store, no driver of SQLite.
FOR_ANALYSIS = (
    "ccproxy.settings", "ccproxy.auth", "ccproxy.errors", "ccproxy.records", "ccproxy.protocol", "ccproxy.stores.compression",
    "ccproxy.stores.rebuild", "ccproxy.stores.postgres.address",
)  # fmt: skip
BANNED_NAMES = {"utils", "helpers", "common", "misc"}


def _modules(*packages: str) -> dict[str, Path]:
    found = {}
    for package in packages:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = list(path.relative_to(ROOT).with_suffix("").parts)
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = _modules("ccproxy", "analysis", "dashboards")
OURS = ("ccproxy", "analysis", "dashboards")


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def _absolute(module: str, path: Path, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    base = package[: len(package) - node.level + 1]
    return ".".join([*base, *([node.module] if node.module else [])])


def _imports(module: str) -> set[str]:
    """Return every module that `module` imports, at the top, inside functions or for types."""
    path, found = MODULES[module], set()
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(module, path, node)
            for alias in node.names:
                found.add(f"{base}.{alias.name}" if f"{base}.{alias.name}" in MODULES else base)
    return found


def _place(module: str, table: dict[str, int]) -> tuple[str, int] | None:
    matches = [name for name in table if module == name or module.startswith(name + ".")]
    best = max(matches, key=len, default=None)
    return (best, table[best]) if best else None


@pytest.mark.parametrize("module", [name for name in MODULES if name.startswith("ccproxy.")])
def test_a_module_imports_only_from_lower_layers(module: str) -> None:
    """A module imports only from lower layers or from its own package."""
    own = _place(module, LAYERS)
    assert own, f"{module} has no layer: give it one in LAYERS, or a better place"
    for target in _imports(module):
        other = _place(target, LAYERS)
        if other is None or other[0] == own[0]:
            continue
        if other[1] == own[1] == 3:
            assert ORDER_IN_EDGE[other[0]] < ORDER_IN_EDGE[own[0]], f"{module} imports {target} of its own layer"
        elif other[1] == own[1] == 1:
            assert other[0] in {"ccproxy.errors", "ccproxy.wire"}, f"{module} imports {target} of its own layer"
        else:
            assert other[1] < own[1], f"{module} (layer {own[1]}) imports {target} (layer {other[1]})"


@pytest.mark.parametrize("module", sorted(MODULES))
def test_the_packages_keep_their_direction(module: str) -> None:
    """The proxy never imports the dashboard, and the toolkit takes only values, pure functions and packing from the proxy."""
    allowed = {"ccproxy": ("ccproxy",), "analysis": ("analysis", "ccproxy"), "dashboards": ("dashboards", "analysis")}
    top = module.split(".")[0]
    for target in _imports(module):
        if target.split(".")[0] not in OURS:
            continue
        if module.startswith("ccproxy.cli") and target.startswith("analysis"):
            continue
        assert target.split(".")[0] in allowed[top], f"{module} imports {target}"
        if top == "analysis" and target.startswith("ccproxy"):
            assert target.startswith(FOR_ANALYSIS), f"{module} imports {target}"


@pytest.mark.parametrize("module", sorted(MODULES))
def test_each_library_comes_in_by_one_door(module: str) -> None:
    """A library that touches the world is imported only in the modules named for it."""
    for target in _imports(module):
        library = target.split(".")[0]
        if library in DOORS:
            doors = DOORS[library]
            assert any(module == d or module.startswith(d + ".") for d in doors), (
                f"{library} in {module}; door: {doors}"
            )


@pytest.mark.parametrize("module", [name for name in MODULES if name.startswith("ccproxy.protocol")])
def test_the_protocol_is_pure(module: str) -> None:
    """The protocol imports value modules only: no clock, no id, no socket, no file."""
    foreign = {t for t in _imports(module) if not t.startswith("ccproxy.protocol") and t not in PURE}
    assert not {t for t in foreign if t.split(".")[0] not in PURE}, foreign


def test_there_are_no_import_cycles() -> None:
    """No module reaches itself through what it imports, not even by an import inside a function."""
    graph = {m: {t for t in _imports(m) if t in MODULES and t != m} for m in MODULES}
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join([*path, module])
        if module in done:
            return
        for target in graph[module]:
            visit(target, (*path, module))
        done.add(module)

    for module in graph:
        visit(module, ())


@pytest.mark.parametrize("module", sorted(MODULES))
def test_each_module_says_what_it_knows(module: str) -> None:
    """Every module opens with a docstring, and none is a drawer for odds and ends."""
    assert ast.get_docstring(_tree(MODULES[module])), f"{module} has no docstring"
    assert module.rsplit(".", 1)[-1] not in BANNED_NAMES


@pytest.mark.parametrize("module", sorted(m for m in MODULES if m.startswith("ccproxy")))
def test_the_environment_is_read_in_one_place(module: str) -> None:
    """Only the settings read the environment."""
    if module == "ccproxy.settings.variables":
        return
    for node in ast.walk(_tree(MODULES[module])):
        assert not (isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv"}), f"{module}:{node.lineno}"


TESTS = sorted((ROOT / "tests").rglob("test_*.py"))


@pytest.mark.parametrize("path", TESTS, ids=lambda p: str(p.relative_to(ROOT)))
def test_each_test_states_a_promise(path: Path) -> None:
    """Every test says in a sentence what it promises, and none sleeps for luck."""
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            assert ast.get_docstring(node), f"{path.name}::{node.name} has no docstring"
