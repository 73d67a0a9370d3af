"""The page Live in a browser, over a real proxy whose provider holds back what a test wants held back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.dashboard import free_port, running
from tests.support.proxy import Proxy, request
from tests.support.standin import (
    Answer,
    Delay,
    Gate,
    Request,
    StandInThread,
    message,
    stream_answer,
    stream_of,
    text,
    thinking,
    tool_use,
)

Open = Callable[..., Any]
RUN, ENDED = "article.run", "tr[data-href]"
HOSTILE = "<img src=x onerror='window.xss=1'></pre><script>window.xss=1</script>"


@dataclass(slots=True)
class Stage:
    """A provider, a proxy and a dashboard in front of them."""

    proxy: Proxy
    url: str
    script: list[Answer] = field(default_factory=list)
    pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(8))
    gates: list[Gate] = field(default_factory=list)
    asked: list[Future[httpx.Response]] = field(default_factory=list)

    def clear(self) -> None:
        """Let everything that is held back go on, and wait until nothing runs."""
        for gate in self.gates:
            gate.open()
        for asking in self.asked:
            asking.result()
        self.gates.clear()
        self.asked.clear()

    def ask(self, *steps: Any, **fields: Any) -> Future[httpx.Response]:
        """Have a client ask for something, to which the provider answers in these steps."""
        self.gates += [step for step in steps if isinstance(step, Gate)]
        self.script.append(stream_answer(list(steps)))
        headers = {"x-claude-code-session-id": "5e551011-0000", "x-claude-code-request-class": "main"}
        url = f"{self.proxy.url}/v1/messages"
        asking = self.pool.submit(httpx.post, url, json=request(**fields), headers=headers, timeout=60, trust_env=False)
        self.asked.append(asking)
        return asking


@pytest.fixture
def stage(theatre: Stage) -> Iterator[Stage]:
    """Give a stage on which nothing runs."""
    yield theatre
    theatre.clear()


@pytest.fixture(scope="module")
def theatre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Give a stage, the same for all tests here."""
    home, script = tmp_path_factory.mktemp("live"), list[Answer]()

    def answer(asked: Request) -> Answer:
        """Give the next answer."""
        return script.pop(0) if asked.is_message else stream_answer([])

    with StandInThread(answer) as up, ThreadPoolExecutor(1) as pool:
        proxy = Proxy(up.url, home, port=free_port())
        pool.submit(asyncio.run, proxy.start()).result()
        try:
            with running(proxy.db, home / "dashboard", {"PORT": str(proxy.port)}) as url:
                yield Stage(proxy, url, script)
        finally:
            pool.submit(asyncio.run, proxy.kill()).result()


def _watched(stage: Stage, tab: Open, more: str = "", **options: Any) -> Any:
    page = tab(f"{stage.url}?page=live{more}", **options)
    page.wait_for_selector("text=connected to the proxy at" if not more else "text=paused at")
    return page


def _parts(events: list[bytes], *deltas: int) -> list[list[bytes]]:
    """Return the events cut after these of those that say something."""
    places = [at + 1 for at, event in enumerate(events) if b"_delta" in event and b"message_delta" not in event]
    edges = [0, *(places[number] for number in deltas), len(events)]
    return [events[start:end] for start, end in pairwise(edges)]


def _said(*blocks: dict[str, Any], pieces: int = 4) -> list[bytes]:
    return stream_of(message(list(blocks)), pieces=pieces)


def test_a_stream_is_seen_before_it_ends(stage: Stage, tab: Open) -> None:
    """The first words show while the provider holds back the rest, without reload; the end moves it below, with how it ended."""
    page, gate, events = _watched(stage, tab), Gate(), _said(text("only the first words, and then the rest"))
    first, rest = _parts(events, 0)
    asking = stage.ask(*first, gate, *rest)
    gate.wait_reached()
    began = time.monotonic()
    shown = page.wait_for_selector(f"{RUN} pre")
    assert time.monotonic() - began < 3
    assert "only the first words, and then the rest".startswith(shown.inner_text())
    assert page.locator(RUN).count() == 1
    page.wait_for_selector(f"{RUN} >> text=first token")
    gate.open()
    asking.result()
    row = page.wait_for_selector(f"{ENDED} >> nth=0")
    assert "complete" in row.inner_text()
    page.wait_for_selector(RUN, state="detached")
    assert row.get_attribute("data-href").startswith("?page=exchanges&item=")


def test_thinking_and_tool_input_show_as_they_come(stage: Stage, tab: Open) -> None:
    """Each kind of block has its own words, in order, and a tool its name."""
    page, gate = _watched(stage, tab), Gate()
    events = _said(thinking("Let me see."), text("I look."), tool_use("Bash", {"command": "ls -la"}))
    most, rest = _parts(events, -1)
    asking = stage.ask(*most, gate, *rest)
    page.wait_for_selector(f"{RUN} >> text=Bash")
    pieces = page.locator(f"{RUN} .piece")
    page.wait_for_selector(f'{RUN} pre:has-text("ls -la")')
    assert [pieces.nth(at).locator("pre").inner_text() for at in range(2)] == ["Let me see.", "I look."]
    assert pieces.nth(2).locator(".what").inner_text() == "tool input · Bash"
    gate.open()
    asking.result()


def test_ages_tick_and_nothing_is_rebuilt(stage: Stage, tab: Open) -> None:
    """While nothing comes, the age goes on; what is there stays the same node, and where it was scrolled to."""
    page, gate, more = _watched(stage, tab), Gate(), Gate()
    events = _said(text("a line\n" * 120), pieces=2)
    first, second, rest = _parts(events, 0, 1)
    asking = stage.ask(*first, gate, *second, more, *rest)
    box = page.wait_for_selector(f"{RUN} pre")
    handle = page.evaluate_handle("node => { node.mark = 'mine'; node.scrollTop = 7; return node; }", box)
    age = page.locator(f"{RUN} dd").first
    first = age.inner_text()
    page.wait_for_function("([node, was]) => node.innerText !== was", arg=[age.element_handle(), first])
    gate.open()
    page.wait_for_function("node => node.textContent.split('\\n').length > 100", arg=handle)
    assert page.evaluate("node => [node.isConnected, node.mark, node.scrollTop]", handle) == [True, "mine", 7]
    more.open()
    asking.result()


def test_what_grows_is_followed_to_its_end(stage: Stage, tab: Open) -> None:
    """Who has not scrolled sees the newest words."""
    page, gate, more = _watched(stage, tab), Gate(), Gate()
    events = _said(text("a line\n" * 120), pieces=2)
    first, second, rest = _parts(events, 0, 1)
    asking = stage.ask(*first, gate, *second, more, *rest)
    box = page.wait_for_selector(f"{RUN} pre")
    gate.open()
    page.wait_for_function("node => node.textContent.split('\\n').length > 100", arg=box)
    assert page.evaluate("node => node.scrollHeight - node.clientHeight - node.scrollTop", box) < 5
    more.open()
    asking.result()


def test_pause_freezes_and_continue_catches_up(stage: Stage, tab: Open) -> None:
    """Paused, the page stays as it was while a stream goes on; continued, it shows all that came meanwhile."""
    page, gate, more = _watched(stage, tab), Gate(), Gate()
    events = _said(text("before and after the pause"), pieces=2)
    first, second, rest = _parts(events, 0, 1)
    asking = stage.ask(*first, gate, *second, more, *rest)
    page.wait_for_selector(f"{RUN} pre")
    page.click("a.pause")
    page.wait_for_selector("text=paused at")
    assert "paused=1" in page.url
    before = page.inner_text("[data-part=board]")
    gate.open()
    other = _watched(stage, tab)  # one that is not paused shows when the rest has come
    other.wait_for_selector("text=before and after the pause")
    assert page.inner_text("[data-part=board]") == before
    page.click("a.pause")
    page.wait_for_selector("text=before and after the pause")
    more.open()
    asking.result()


def test_only_the_tab_that_shows_it_is_told(stage: Stage, tab: Open) -> None:
    """A tab that shows another page hears nothing of what runs, also one that has left this page."""
    elsewhere, left = tab(f"{stage.url}?page=setup"), _watched(stage, tab)
    left.click("nav >> text=Set-up")
    left.wait_for_function("() => document.title.startsWith('Set-up')")
    watching = _watched(stage, tab)
    for page in (elsewhere, left):
        page.wait_for_function("() => window.Bokeh && Bokeh.documents.length && document.title.startsWith('Set-up')")
        page.evaluate(
            "() => { window.told = []; const news = Bokeh.documents[0].roots().find(one => one.name === 'news');"
            " news.properties.value.change.connect(() => told.push(news.value)); }"
        )
    stage.ask(*_said(text("to whom it may concern"))).result()
    watching.wait_for_selector(f"{ENDED} >> nth=0")
    for page in (elsewhere, left):
        assert [html for html in page.evaluate("() => told") if "board" in html] == []


def test_a_fast_stream_is_shown_in_a_few_updates(stage: Stage, tab: Open) -> None:
    """However many events come, a tab is told at most about four times a second."""
    page = _watched(stage, tab)
    page.evaluate(
        "() => { window.told = []; const news = Bokeh.documents[0].roots().find(one => one.name === 'news');"
        " news.properties.value.change.connect(() => told.push(performance.now())); }"
    )
    events = _said(text("word " * 400), pieces=200)
    stage.ask(*[step for event in events for step in (event, Delay(0.005))]).result()
    page.wait_for_selector(RUN, state="detached")
    told = page.evaluate("() => told")
    assert len(told) <= (told[-1] - told[0]) / 1000 * 4 + 2


def test_hostile_words_stay_words(stage: Stage, tab: Open) -> None:
    """Markup in an answer and in its tool's name shows as characters, and nothing of it runs."""
    page, gate = _watched(stage, tab), Gate()
    events = _said(thinking(HOSTILE), text(HOSTILE), tool_use(HOSTILE, {HOSTILE: HOSTILE}))
    most, rest = _parts(events, -1)
    asking = stage.ask(*most, gate, *rest, model=HOSTILE)
    page.wait_for_selector(f"{RUN} .piece >> nth=2 >> pre")
    assert page.locator(f"{RUN} .piece pre").nth(1).inner_text() == HOSTILE
    gate.open()
    asking.result()
    page.wait_for_selector(f"{ENDED} >> nth=0")
    assert page.evaluate("() => window.xss") is None


def test_a_proxy_that_goes_and_comes_back(tmp_path: Path, tab: Open) -> None:
    """The page and the header say that the proxy is gone, where it was looked for and what starts it; and that it is back."""
    pool = ThreadPoolExecutor(1)
    with StandInThread([]) as up:
        proxy = Proxy(up.url, tmp_path, port=free_port())
        with running(proxy.db, tmp_path / "dashboard", {"PORT": str(proxy.port)}) as url:
            page = tab(f"{url}?page=live")
            page.wait_for_selector("text=no proxy is to be reached")
            page.wait_for_selector("text=ccproxy serve")
            page.wait_for_selector("nav >> text=not live")
            pool.submit(asyncio.run, proxy.start()).result()
            page.wait_for_selector("text=connected to the proxy at")
            page.wait_for_selector("nav .state:not(:has-text('not'))")
            pool.submit(asyncio.run, proxy.kill()).result()
            page.wait_for_selector("text=looking for")
            page.wait_for_selector("nav >> text=not live")
