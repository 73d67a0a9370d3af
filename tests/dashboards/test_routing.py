"""What pages say of routing: where a request went, whose it was, what was lost, both requests, what it cost and saved."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlencode

import panel as pn
import pytest

import analysis
from ccproxy.stores.sqlite import SqliteStore
from dashboards.data import Data
from dashboards.data import exchange as one
from dashboards.data.exchanges import Order, found
from dashboards.data.routing import lost, routing
from dashboards.data.store import matching
from dashboards.pages import exchange, exchanges, sessions, tokens
from dashboards.rendering import environment
from dashboards.state import Filters
from tests.dashboards.conftest import NOW, view_of
from tests.dashboards.test_exchange import judged
from tests.support import hostile, routed
from tests.support.entries import fill
from tests.support.figures import said
from tests.support.routed import LOSSES, OPENAI, SESSION, id_of

Page = list[pn.viewable.Viewable]


def _data(path: Path, put: Callable[[SqliteStore], object]) -> Data:
    with contextlib.closing(SqliteStore(path, write=True)) as store:
        put(store)
    return Data(lambda: analysis.open(path))


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Data]:
    """Give a session in which agents are answered by others."""
    data = _data(tmp_path_factory.mktemp("routed") / "requests.db", routed.fill)
    yield data
    data.forget()


@pytest.fixture(scope="module")
def hostile_data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Data]:
    """Give captures that are hostile in every place, those of routing included."""

    def put(store: SqliteStore) -> None:
        fill(store, hostile.exchanges())
        hostile.reroute(store)

    data = _data(tmp_path_factory.mktemp("hostile") / "requests.db", put)
    yield data
    data.forget()


def _tab(data: Data, number: int, tab: str) -> Page:
    return exchange.page(view_of(data, "?" + urlencode({"page": "exchanges", "item": id_of(number), "tab": tab})))


def _plain(html: str) -> str:
    """Return HTML without the marks of figures, so that words stand beside each other."""
    for mark in ("<bdi>", "</bdi>", "<i>", "</i>", "</span>"):
        html = html.replace(mark, "")
    return " ".join(html.split())


# An exchange --------------------------------------------------------------------------------------------------------------


def test_an_exchange_has_both_costs_and_its_losses(elsewhere: Data) -> None:
    """Beside its own cost stands that of the same tokens unrouted, and what was lost as sentences."""
    row = one.one(elsewhere, id_of(103))
    assert row is not None
    assert row["cost_usd"] == pytest.approx((500 * 2.5 + 1000 * 1.25 + 300 * 10) / 1e6)
    assert row["unrouted_cost_usd"] == pytest.approx((500 * 5 + 1000 * 0.5 + 300 * 25) / 1e6)
    assert (row["lost"], row["agent"], row["endpoint"]) == (list(LOSSES), "code-reviewer", OPENAI)
    assert one.body(elsewhere, id_of(103), "sent").raw == routed.by_number()[103].sent


@pytest.mark.parametrize("losses", [None, "", "[", "3", '{"a": 1}', "[1, null]", "[" * 100_000])
def test_losses_that_are_no_list_are_none(losses: str | None) -> None:
    """What was not written as a list of sentences is shown as none, and nothing fails."""
    assert lost(losses) == []


def test_the_tab_tells_where_a_request_went(elsewhere: Data) -> None:
    """Models, provider, endpoint, the agent and how it was recognised, in words; losses as a list; both costs."""
    html = _plain(said(_tab(elsewhere, 103, "routing")))
    for words in (
        "Another provider was asked in the place of the client's own, and the request was translated for it.", "claude-opus-4-5",
        "gpt-4o</b>", "gpt-4o-2024-08-06", ">openai</a>", f"POST {OPENAI}", "code-reviewer",
        "by the call that started it, whose prompt is its first message", f"<li>{LOSSES[0]}</li>", "it was left out &lt;b&gt;</li>",
        "saved", "0.0050",
    ):  # fmt: skip
        assert words in html, words


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (104, ["by its definition file, which stands in the system prompt", "Nothing was lost in the translation."]),
        (105, ["Another model of the same provider was asked. Only the name of the model", "by the type that the client names"]),
        (106, ["by its system prompt", "$ ?", "not known"]),
        (101, ["The request went to the provider unchanged, as the client sent it.", "sent as"]),
        (108, ["The request went to the provider unchanged", "Explore", "by the call that started it"]),
    ],
)  # fmt: skip
def test_each_way_is_told(elsewhere: Data, number: int, words: list[str]) -> None:
    """Translated, with another model only, at home, recognised and not routed, and not routed at all."""
    html = _plain(said(_tab(elsewhere, number, "routing")))
    assert [word for word in words if word not in html] == []


def test_a_dearer_model_is_told(elsewhere: Data) -> None:
    """Where routing cost more, that stands there, and is not called saved."""
    row = one.one(elsewhere, id_of(103))
    assert row is not None
    view = view_of(elsewhere, f"?page=exchanges&item={id_of(103)}")
    html = view.html("exchange_routing.html", row=row | {"cost_usd": 1.0}, sign="", translated=True).object
    assert "cost more" in html
    assert ">saved<" not in html


def test_both_requests_stand_in_the_tab(elsewhere: Data) -> None:
    """The client's and what went up stand beside each other where it was translated, each to be copied and downloaded whole."""
    panes = _tab(elsewhere, 104, "routing")
    html = said(panes)
    assert "What the client sent" in html
    assert "What went up to openrouter" in html
    assert "&#34;model&#34;: &#34;openai/gpt-4o&#34;" in html
    labels = [button.label for pane in panes for button in pane.select(pn.widgets.Button)]
    assert labels == ["copy the request", "download its exact bytes", "copy what went up", "download its exact bytes"]
    assert "What went up" not in said(_tab(elsewhere, 105, "routing"))


def test_the_bytes_are_labelled(elsewhere: Data) -> None:
    """In raw each body says whose it is; of what was not translated there are two."""
    translated, same_provider = said(_tab(elsewhere, 103, "raw")), said(_tab(elsewhere, 105, "raw"))
    for words in (
        "Request, as the client sent it",
        "Request, as it went up to openai",
        "Response, as openai sent it",
        "data: [DONE]",
    ):
        assert words in translated
    assert "as it went up" not in same_provider
    assert ">Response <" in same_provider


def _given(panes: Page, label: str) -> str:
    """Press the button of this label; return what it gives."""
    rows = [row for pane in panes for row in pane.select(pn.Row) if len(row) == 3]
    [(button, carrier)] = [
        (row[0], row[1]) for row in rows if isinstance(row[0], pn.widgets.Button) and row[0].label == label
    ]
    button.clicks += 1
    return str(carrier.value).split(":", 2)[2]


def test_everything_is_given_whole(elsewhere: Data) -> None:
    """What is copied are all bytes; the JSON of an exchange has three bodies where there are three."""
    both, raw = _tab(elsewhere, 103, "routing"), _tab(elsewhere, 103, "raw")
    assert _given(both, "copy the request") == routed.by_number()[103].captured.request.decode()
    assert (
        _given(both, "copy what went up") == _given(raw, "copy what went up") == routed.by_number()[103].sent.decode()
    )
    assert _given(raw, "copy the response") == routed.by_number()[103].raw.decode()
    document = json.loads(_given(raw, "copy as JSON"))
    assert document["sent"] == {"headers": [], "body": json.loads(routed.by_number()[103].sent)}
    assert "sent" not in json.loads(_given(_tab(elsewhere, 105, "raw"), "copy as JSON"))


def test_an_overview_has_what_it_would_have_cost(elsewhere: Data) -> None:
    """Below the cost stands the one unrouted, for a routed exchange alone; losses stand as sentences."""
    assert "unrouted, as opus-4-5" in _plain(said(_tab(elsewhere, 103, "overview")))
    assert "unrouted, as" not in _plain(said(_tab(elsewhere, 101, "overview")))
    assert f"{LOSSES[0]}<br>" in _plain(said(_tab(elsewhere, 103, "overview")))


def test_an_exported_folder_shows_what_it_has(elsewhere: Data, tmp_path: Path) -> None:
    """A folder of Parquet has no bodies: the tab tells where the request went all the same."""
    elsewhere.capture.export(tmp_path / "out")
    folder = Data(lambda: analysis.open(tmp_path / "out"))
    assert OPENAI in said(_tab(folder, 103, "routing"))
    assert "Response, as openai sent it" in said(_tab(folder, 103, "raw"))
    folder.forget()


# Lists and sessions -------------------------------------------------------------------------------------------------------


def test_the_list_marks_what_was_routed(elsewhere: Data) -> None:
    """A routed row has a badge with both models; its agent goes by its name."""
    html = _plain(said(exchanges.page(view_of(elsewhere, "?page=exchanges"))))
    assert html.count("opus-4-5 → ") == 6
    for words in ("opus-4-5 → gpt-4o", "opus-4-5 → openai/gpt-4o", "opus-4-5 → haiku-4-5", "private-helper"):
        assert words in html


@pytest.mark.parametrize(
    ("filters", "numbers"),
    [
        (Filters(agent="code-reviewer"), [103, 102]),
        (Filters(provider="ollama"), [107, 106]),
        (Filters(model="gpt-4O"), [104, 103, 102]),
        (Filters(model="llama3.2", status="errors"), [107]),
        (Filters(model="opus", agent="tidier"), [105]),
    ],
)
def test_filters_hold(elsewhere: Data, filters: Filters, numbers: list[int]) -> None:
    """An agent by its name, a provider, and a model by what was asked for, routed to or answered."""
    assert found(elsewhere, filters, NOW, Order()).ids == [id_of(number) for number in numbers]
    assert set(matching(elsewhere, filters, NOW)["exchange_id"]) == {id_of(number) for number in numbers}


def test_a_session_names_its_agents_and_who_answered_them(elsewhere: Data) -> None:
    """Each agent stands in the thread by its name, with the model that it was routed to; alone, too."""
    html = _plain(said(sessions.page(view_of(elsewhere, f"?page=sessions&item={SESSION}"))))
    for agent, model in (
        ("code-reviewer", "gpt-4o"),
        ("data-analyst", "openai/gpt-4o"),
        ("private-helper", "llama3.2"),
    ):
        assert f'↳ {agent} <span class="badge accent" title="routed: {model} answered">→ {model}' in html
    assert '↳ Explore <span class="outcome' in html
    alone = _plain(said(sessions.page(view_of(elsewhere, f"?page=sessions&item={SESSION}&thread={SESSION}/a1"))))
    assert "<h1>code-reviewer" in alone
    assert "→ gpt-4o" in alone


def test_an_agent_without_a_name_goes_by_its_id() -> None:
    """Where neither routing nor the client names an agent, its id does."""
    macros = environment().get_template("blocks.html").make_module({"look": None, "route": None})
    for row, name in (
        ({"agent": "subagent", "agent_id": "a9"}, "a9"),
        ({"agent": "subagent", "agent_id": None}, "subagent"),
        ({"agent": "Explore", "agent_id": "a9"}, "Explore"),
    ):
        assert macros.called(row) == name  # type: ignore[attr-defined]


# What it cost and saved ---------------------------------------------------------------------------------------------------


def test_routing_is_summed(elsewhere: Data) -> None:
    """Rows and sums are those of the measure, under the filters."""
    rows, sums = routing(elsewhere, Filters(), NOW)
    assert rows["agent"].to_list() == ["tidier", "data-analyst", "code-reviewer", "private-helper"]
    assert (sums["exchanges"], sums["agents"], sums["unpriced"]) == (6, 4, 1)
    assert sums["cost_usd"] == pytest.approx(0.004 + 0.011 + 0.01)
    assert sums["saved_usd"] == pytest.approx(0.016 + 0.0115 + 0.0105)
    rows, sums = routing(elsewhere, Filters(agent="private-helper"), NOW)
    assert (rows.height, sums["cost_usd"], sums["saved_usd"]) == (1, None, None)


def test_the_page_of_tokens_has_a_table_of_it(elsewhere: Data) -> None:
    """Per agent: provider, model, exchanges, tokens, both costs and what was saved; and all of it in a sentence."""
    html = _plain(said(tokens.page(view_of(elsewhere, "?page=tokens"))))
    assert "exchanges of" in html
    assert (
        "went to another provider or model. Against the same tokens by the models that were asked for, that saved"
        in html
    )
    assert "1 exchange without a known price not counted." in html
    for words in ("data-analyst", "openrouter", "openai/gpt-4o", "1 error", "0.0115"):
        assert words in html
    helper = _plain(said(tokens.page(view_of(elsewhere, "?page=tokens&agent=private-helper"))))
    assert "What that saved is not known" in helper


def test_nothing_is_said_of_routing_where_there_is_none(handmade_data: Data, elsewhere: Data) -> None:
    """Without a routed exchange under the filters the page of tokens does not speak of it."""
    assert "Routing" not in said(tokens.page(view_of(handmade_data, "?page=tokens")))
    assert "Routing" not in said(tokens.page(view_of(elsewhere, "?page=tokens&agent=main")))


# What others wrote --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tab", ["overview", "routing", "raw", "response"])
def test_hostile_routes_are_inert(hostile_data: Data, tab: str) -> None:
    """Names, addresses, losses and the translated request are text, whatever stands in them."""
    for identity in hostile_data.ask("SELECT exchange_id FROM exchanges ORDER BY exchange_id LIMIT 4")["exchange_id"]:
        panes = exchange.page(view_of(hostile_data, f"?page=exchanges&item={identity}&tab={tab}"))
        assert judged(panes) == []
        assert "provider&lt;script&gt;" in said(panes)


def test_hostile_routes_are_inert_in_lists(hostile_data: Data) -> None:
    """So they are in the list of exchanges, in the table of routing and in a session."""
    pages = [
        exchanges.page(view_of(hostile_data, "?page=exchanges")), tokens.page(view_of(hostile_data, "?page=tokens")),
        sessions.page(view_of(hostile_data, "?" + urlencode({"page": "sessions", "item": hostile.OTHER}))),
    ]  # fmt: skip
    for panes in pages:
        html = said(panes)
        assert "routed&lt;script&gt;" in html
        assert "<script" not in html
        assert "<img" not in html
