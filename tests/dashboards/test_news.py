"""What changes on a tab by itself: told soon, seldom, and only where it changed."""

from __future__ import annotations

import asyncio

import pytest

from dashboards import news
from dashboards.news import News


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a quarter of a second be a few milliseconds."""
    monkeypatch.setattr(news, "EVERY_S", 0.02)
    monkeypatch.setattr(news, "TICK_S", 0.04)


class Told:
    """What a tab was told, without the numbers, and when."""

    def __init__(self) -> None:
        self.html: list[str] = []
        self.at: list[float] = []
        self.news = News(self._take)

    def _take(self, html: str) -> None:
        self.html.append(html.partition("-->")[2])
        self.at.append(asyncio.get_running_loop().time())

    async def until(self, count: int) -> None:
        """Wait until it was told so often."""
        async with asyncio.timeout(10):
            while len(self.html) < count:  # noqa: ASYNC110 (what is waited for knows nothing of events)
                await asyncio.sleep(0.001)


async def test_changes_are_told_together_and_seldom() -> None:
    """Many changes within a moment are one message, and the next comes no sooner than after a while."""
    told, state = Told(), ["0"]
    told.news.show("a", lambda: f"<a>{state[0]}</a>")
    told.news.show("b", lambda: "<b></b>")
    await told.until(1)
    for number in range(50):
        state[0] = str(number)
        told.news.changed()
    await told.until(2)
    assert told.html == ["<a>0</a><b></b>", "<a>49</a><b></b>"]
    assert told.at[1] - told.at[0] >= 0.019


async def test_what_has_not_changed_is_not_told() -> None:
    """The same once more is nothing new, except where the page has been made anew: it is another message then, of the same parts."""
    told, whole = Told(), list[str]()
    told.news = News(lambda html: (whole.append(html), told._take(html))[0])
    told.news.show("a", lambda: "<a></a>")
    await told.until(1)
    told.news.changed()
    await asyncio.sleep(0.1)
    assert len(whole) == 1
    told.news.again()
    await told.until(2)
    assert whole[0] != whole[1]
    assert told.html == ["<a></a>", "<a></a>"]


async def test_a_part_that_ticks_goes_on_without_news() -> None:
    """Ages are told while nothing happens, and no more once the part is gone."""
    told, ages = Told(), iter(range(1000))
    told.news.show("age", lambda: f"<i>{next(ages)}</i>", ticks=True)
    await told.until(3)
    told.news.drop("age")
    await asyncio.sleep(0.1)
    count = len(told.html)
    await asyncio.sleep(0.1)
    assert len(told.html) == count


async def test_a_tab_that_is_gone_is_told_nothing() -> None:
    """Closed, it neither renders nor tells, whatever was planned."""
    told = Told()
    told.news.show("a", lambda: "<a></a>", ticks=True)
    await told.until(1)
    told.news.changed()
    told.news.close()
    await asyncio.sleep(0.1)
    assert len(told.html) == 1


async def test_parts_come_from_any_thread() -> None:
    """A page that is made in a thread shows its part from there."""
    told = Told()
    await asyncio.to_thread(told.news.show, "a", lambda: "<a></a>")
    await told.until(1)
    assert told.html == ["<a></a>"]
