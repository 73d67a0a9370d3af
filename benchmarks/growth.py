"""How a store bears a million exchanges: what a page of the list costs, what ingest still does, and what an exchange takes.

    python -m benchmarks.growth sqlite FILE [--exchanges 1000000]
    .ci/postgres python -m benchmarks.growth postgres [--exchanges 1000000]

The exchanges are made up: sessions of fifty turns, each with a request of its own words and an answer, headers and the times of
thirty events; every second answer calls a tool, and the turn after it has the result. They go in by the store's own `write`, as
ingest's do; only the taking apart of JSON is left out.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from ccproxy.protocol.parts import digest, node_digest
from ccproxy.records import Block, Body, Entry, HeaderList, Node, Part, State, Timeline
from ccproxy.stores.contract import Filter, Store
from ccproxy.stores.sqlite import SqliteStore

BATCH = 200
TURNS = 50
T0 = 1_760_000_000_000_000
MODELS = ("claude-opus-4-8", "claude-sonnet-4-5", "claude-haiku-4-5")
TOOLS = ("Bash", "Read", "Edit", "mcp__db__query")
WORDS = [f"word{number}" for number in range(20_000)]


def entries(count: int, first: int, seed: int) -> Iterator[Entry]:
    """Yield `count` exchanges from number `first` on."""
    dice = random.Random(seed)
    template = Part(digest(b"template"), b'[["content-type","application/json"],["request-id",null]]')
    tip: bytes | None = None
    for number in range(first, first + count):
        turn = number % TURNS
        tip = None if turn == 0 else tip
        parts, nodes = [template], []
        for role, block in zip(("user", "assistant"), _said(number, turn, dice), strict=True):
            raw = f'{{"role":"{role}","content":[{{"number":{number},"text":"{block.text}"}}]}}'.encode()
            part = Part(digest(raw), raw)
            node = Node(node_digest(tip, part.digest), tip, role, len(nodes) + 2 * turn, part.digest, (block,))
            parts.append(part)
            nodes.append(node)
            tip = node.digest
        yield _entry(number, parts, nodes, template, dice)


def _said(number: int, turn: int, dice: random.Random) -> tuple[Block, Block]:
    """Return what the person or a tool said in a turn, and what the model answered."""
    asked, answered = (" ".join(dice.choices(WORDS, k=40)) for _ in range(2))
    said, answer = Block(0, "text", asked, characters=len(asked)), Block(0, "text", answered, characters=len(answered))
    if turn % 2:
        said = Block(0, "tool_result", asked, None, f"toolu_{number - 1:020d}", number % 17 == 0, len(asked))
    elif turn < TURNS - 1:
        answer = Block(0, "tool_use", answered, TOOLS[number % 7 % 4], f"toolu_{number:020d}", None, len(answered))
    return said, answer


def _entry(number: int, parts: list[Part], nodes: list[Node], template: Part, dice: random.Random) -> Entry:
    started = T0 + number * 1_000_000
    value = (started // 1000) << 80 | 0x7 << 76 | 0b10 << 62 | number
    digits = f"{value:032x}"
    key = f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
    model = MODELS[number % 3]
    columns = {
        "id": key, "writer": "growth", "state": State.COMPLETE, "started_at": started, "ended_at": started + 900_000,
        "method": "POST", "path": "/v1/messages", "query": "beta=true", "provider": "anthropic", "kind": "main",
        "status": 529 if number % 211 == 0 else 200,
        "requested_model": model, "routed_model": model, "response_model": model, "stream": 1, "demoted": 0,
        "session_id": f"session-{number // TURNS}", "cwd": f"/home/me/project-{number // 5000}", "client": "claude-cli",
        "input_tokens": 10, "output_tokens": 200, "cache_read_tokens": 50_000, "cache_write_tokens": 900, "stop_reason": "end_turn",
        "duration_ms": 900.0, "first_byte_ms": 280.0, "first_token_ms": 300.0 + number % 97,
        "tokens_per_second": 70.0, "request_bytes": 200_000, "response_bytes": 9_000,
        "tip": nodes[0].digest, "reply": nodes[1].digest,
    }  # fmt: skip
    bodies = [
        Body("request", "zstd", dice.randbytes(700), 200_000),
        Body("response", "zstd", dice.randbytes(900), 9_000),
    ]
    headers = [HeaderList(side, template.digest, [f"req_{number:020d}"]) for side in ("request", "response")]
    line = Timeline([dice.randrange(30_000) for _ in range(30)], [["content_block_delta", 30]], [120] * 30)  # type: ignore[list-item]
    return Entry(key, dict(columns), parts, nodes, None, bodies, headers, line)


def write(store: Store, count: int, first: int, seed: int) -> float:
    """Write so many exchanges and return how many a second that was."""
    began = time.perf_counter()
    batch: list[Entry] = []
    for entry in entries(count, first, seed):
        batch.append(entry)
        if len(batch) == BATCH:
            store.write(batch, [])
            batch = []
    store.write(batch, [])
    return count / (time.perf_counter() - began)


def timed(task: Callable[[], object], rounds: int = 7) -> str:
    """Return the median and the longest time that a task takes, in ms."""
    took = []
    for _ in range(rounds):
        began = time.perf_counter()
        task()
        took.append((time.perf_counter() - began) * 1000)
    return f"{statistics.median(took):8.1f} ms (longest {max(took):.1f})"


def lists(store: Store, count: int) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield what is asked of a store, by name."""
    middle = f"session-{count // TURNS // 2}"
    day = 86_400_000_000
    yield "first page", lambda: store.listing(Filter(), limit=50)
    yield "page 1,000", lambda: store.listing(Filter(), limit=50, offset=50_000)
    yield "behind a cursor", lambda: store.listing(Filter(), limit=50, before="0199b5c8-0000-7000-8000-000000000000")
    yield "one session", lambda: store.listing(Filter(session=middle), limit=50)
    yield "one day", lambda: store.listing(Filter(since=T0 + day, until=T0 + 2 * day), limit=50)
    yield "one model", lambda: store.listing(Filter(model="opus"), limit=50)
    yield "two filters", lambda: store.listing(Filter(model="opus", project="project-7"), limit=50)
    yield "errors only", lambda: store.listing(Filter(statuses=(range(400, 600),)), limit=50)
    yield "words", lambda: store.listing(Filter(words="word17 word4711"), limit=50)
    yield "search", lambda: store.search("word17 word4711", limit=20)
    yield "sessions", lambda: store.sessions(Filter(), limit=50)


def main() -> None:
    """Fill, measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dialect", choices=["sqlite", "postgres"])
    parser.add_argument("file", nargs="?", type=Path)
    parser.add_argument("--exchanges", type=int, default=1_000_000)
    wanted = parser.parse_args()
    store = _open(wanted.dialect, wanted.file)
    print(f"the first 10,000 at {write(store, 10_000, 0, 1):,.0f} exchanges/s", flush=True)
    for name, task in lists(store, 10_000):
        print(f"  {name:16} {timed(task)}", flush=True)
    rest = wanted.exchanges - 10_000
    print(f"filled at {write(store, rest, 10_000, 2):,.0f} exchanges/s", flush=True)
    print(f"10,000 more at {write(store, 10_000, wanted.exchanges, 3):,.0f} exchanges/s", flush=True)
    size = store.stats()["bytes"]
    print(f"{size / 1e9:.2f} GB, {size / (wanted.exchanges + 10_000):,.0f} bytes an exchange", flush=True)
    for name, task in lists(store, wanted.exchanges):
        print(f"  {name:16} {timed(task, 5)}", flush=True)
    store.close()


def _open(dialect: str, file: Path | None) -> Store:
    if dialect == "sqlite":
        if file is None:
            raise SystemExit("name the file that the store is to be made in")
        return SqliteStore(file, write=True)
    from ccproxy.stores.postgres import PostgresStore  # noqa: PLC0415

    return PostgresStore(os.environ["TEST_POSTGRES_DSN"], write=True, journal="growth")


if __name__ == "__main__":
    main()
