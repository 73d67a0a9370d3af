"""`ccproxy tail`, `show` and `search`, over a store with one exchange of every sort."""

from __future__ import annotations

import contextlib
import json
import re
import unicodedata
from pathlib import Path

import pytest

from ccproxy.stores.sqlite import SqliteStore
from tests.cli.conftest import BINARY, NASTY, SCRIPT, SESSION, Captured, invoke, refusal
from tests.support import routed
from tests.support.command import ccproxy, on_a_terminal
from tests.support.proxy import Proxy, client, request

SPEAKING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e\u2066\ud800-\udfff]")


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """Give the store of a session in which agents are answered by others."""
    path = tmp_path / "routed.db"
    with contextlib.closing(SqliteStore(path, write=True)) as store:
        routed.fill(store)
    return path


def columns(line: str) -> int:
    """Return how wide a line is on a terminal."""
    return sum(1 + (unicodedata.east_asian_width(char) in "WF") for char in line)


# tail


def test_tail_lists_the_newest_exchanges_last(captured: Captured) -> None:
    """One line per exchange under a head, the newest last, and with -n no more than were asked for."""
    head, *lines = invoke("tail", "--db", captured.db).stdout.splitlines()
    assert head.split() == ["time", "id", "status", "model", "agent", "tokens", "in", "cached", "out", "first", "total"]
    assert [line.split()[1] for line in lines] == [captured.id(name)[-12:] for name in SCRIPT]
    assert invoke("tail", "--db", captured.db, "-n", 2).stdout.splitlines() == [head, *lines[-2:]]


def test_tail_is_a_table(captured: Captured) -> None:
    """All lines are aligned and no wider than 120 columns, whatever was captured."""
    head, *lines = invoke("tail", "--db", captured.db).stdout.rstrip("\n").split("\n")
    widths = {columns(line) for line in lines}
    assert widths == {columns(head)}
    assert widths.pop() <= 120


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("first", r"200  claude-sonnet-4-5   main                         11       0       7  +\S+  +\S+"),
        ("second", r"200  claude-opus-4-8     main                      13.0k    3007    2007  +\S+  +\S+"),
        ("agent", r"200  claude-sonnet-4-5   general-purpose a1b2"),
        ("overloaded", r"529  claude-opus-4-8     \w+ +-       -       -  +\S+  +\S+"),
        ("broken", r"fail  claude-sonnet-4-5 "),
        ("binary", r"400  POST /v1/messages "),
        ("models", r"200  GET /v1/models "),
        ("wide", r"200  (?:模型){4}… "),
        ("nasty", r"200  m\[31mred\]0;title… "),
    ],
)
def test_tail_says_the_essentials(captured: Captured, name: str, expected: str) -> None:
    """A line says how the exchange ended, which model and agent it was, its tokens and its times."""
    (line,) = [
        line for line in invoke("tail", "--db", captured.db).stdout.splitlines() if captured.id(name)[-12:] in line
    ]
    assert re.match(rf"\d\d:\d\d:\d\d  {captured.id(name)[-12:]} +{expected}", line), line


def test_tail_of_nothing(tmp_path: Path) -> None:
    """Where there is no store yet, tail says how one comes about."""
    code, sentence = refusal("tail", "--db", tmp_path / "none.db")
    assert code == 1
    assert re.fullmatch(r"there is no store at \S+none.db yet: start `ccproxy serve` .*", sentence)


# show


def test_show_tells_what_happened(captured: Captured) -> None:
    """The readable form has the facts, what was said last, and the answer with each block under its kind."""
    text = invoke("show", "--db", captured.db, captured.id("second")).stdout
    assert re.search(r"^ +request  POST /v1/messages, \d+ bytes$", text, re.MULTILINE)
    assert re.search(r"^ +outcome  complete 200, \d+ bytes$", text, re.MULTILINE)
    assert re.search(rf"^ +session  {SESSION}$", text, re.MULTILINE)
    assert re.search(r"^ +client  claude-cli 2.1.330 cli$", text, re.MULTILINE)
    assert re.search(r"^ +tokens  13.0k in \(3007 from the cache, 9014 written to it\), 2007 out$", text, re.MULTILINE)
    assert "--- last of 3 messages sent\n[tool_result] a xylophone lies here\n" in text
    assert text.endswith("--- answer\nand a double-decker bus\n")
    first = invoke("show", "--db", captured.db, captured.id("first")).stdout
    assert first.endswith('--- answer\n[thinking] deep thought\na plain needle\n[tool_use Bash] {"command": "ls"}\n')


@pytest.mark.parametrize("name", SCRIPT)
def test_every_sort_of_exchange_can_be_shown(captured: Captured, name: str) -> None:
    """Whatever was captured, show has a readable form and a JSON form of it."""
    assert captured.id(name) in invoke("show", "--db", captured.db, captured.id(name)).stdout
    everything = json.loads(invoke("show", "--db", captured.db, captured.id(name), "--json").stdout)
    assert everything["id"] == captured.id(name)


def test_show_takes_both_ends_of_an_id(captured: Captured) -> None:
    """The beginning and the end of an id are enough, in any case of letters."""
    wanted = captured.id("agent")
    for part in (wanted, wanted[:-4], wanted[-12:], wanted[-8:].upper(), f" {wanted} "):
        assert wanted in invoke("show", "--db", captured.db, part).stdout


@pytest.mark.parametrize(
    ("part", "sentence"),
    [
        ("ffffffffffff", 'no exchange has the id "ffffffffffff"; `ccproxy tail` shows the newest ones'),
        ("0", 'more than one exchange has an id like "0"; give more of it'),
        ("%", '"%" is not an exchange id; `ccproxy tail` shows them'),
        ("it's", '"it\'s" is not an exchange id; `ccproxy tail` shows them'),
        ("", '"" is not an exchange id; `ccproxy tail` shows them'),
    ],
)
def test_show_refuses_ids_that_name_nothing(captured: Captured, part: str, sentence: str) -> None:
    """An id that is unknown, ambiguous or none at all is refused in one sentence."""
    assert refusal("show", "--db", captured.db, part) == (1, sentence)


@pytest.mark.parametrize("name", [name for name in SCRIPT if name != "models"])
def test_show_gives_back_the_exact_request(captured: Captured, name: str) -> None:
    """--request writes to a pipe exactly what the provider received."""
    assert invoke("show", "--db", captured.db, captured.id(name), "--request").stdout_bytes == captured.bodies[name]


@pytest.mark.parametrize("name", [name for name in SCRIPT if name != "broken"])
def test_show_gives_back_the_exact_answer(captured: Captured, name: str) -> None:
    """--raw writes to a pipe exactly what the provider answered, still encoded where it was."""
    assert invoke("show", "--db", captured.db, captured.id(name), "--raw").stdout_bytes == SCRIPT[name][2].body


async def test_exact_bytes_pass_a_real_pipe(captured: Captured, tmp_path: Path) -> None:
    """Bytes that are no text come through a pipe of the real command as they are."""
    done = await ccproxy("show", "--db", str(captured.db), captured.id("binary"), "--request", home=tmp_path)
    assert (done.code, done.out, done.err) == (0, BINARY, "")


def test_show_says_where_there_is_no_body(captured: Captured) -> None:
    """A request without a body is no empty success."""
    code, sentence = refusal("show", "--db", captured.db, captured.id("models"), "--request")
    assert (code, sentence) == (1, "this exchange has no request body on record")


def test_show_builds_the_answers_message(captured: Captured) -> None:
    """--response is the message, as the API gives it to a request that does not stream."""
    reply = json.loads(invoke("show", "--db", captured.db, captured.id("first"), "--response").stdout)
    assert (reply["id"], reply["type"], reply["role"], reply["model"]) == (
        "msg_1",
        "message",
        "assistant",
        "claude-sonnet-4-5",
    )
    assert [block["type"] for block in reply["content"]] == ["thinking", "text", "tool_use"]
    assert (reply["stop_reason"], reply["usage"]["output_tokens"]) == ("tool_use", 7)


def test_show_decodes_an_answer_that_is_no_message(captured: Captured) -> None:
    """An error that came compressed is readable."""
    reply = json.loads(invoke("show", "--db", captured.db, captured.id("overloaded"), "--response").stdout)
    assert reply["error"] == {"type": "overloaded_error", "message": "Overloaded"}


def test_show_has_everything_as_json(captured: Captured) -> None:
    """--json holds the row, both bodies and both header lists, and nothing captured is lost in it."""
    everything = json.loads(invoke("show", "--db", captured.db, captured.id("nasty"), "--json").stdout)
    assert everything["request"] == json.loads(captured.bodies["nasty"])
    assert everything["response"]["content"] == [{"type": "text", "text": f"answer {NASTY} end"}]
    assert everything["state"] == "complete"
    assert ["content-type", "application/json"] in [
        [name.lower(), value] for name, value in everything["response_headers"]
    ]
    half = json.loads(invoke("show", "--db", captured.db, captured.id("half"), "--json").stdout)
    assert half["response"]["content"][0]["text"] == "cut here � off"


def test_show_says_where_a_request_went(elsewhere: Path) -> None:
    """A routed exchange names model, provider and endpoint, its agent and how that was recognised, and each loss."""
    text = invoke("show", "--db", elsewhere, routed.id_of(103)).stdout
    facts = re.findall(r"^ *([a-z ]+)  (.*)$", text, re.MULTILINE)
    assert ("model", "claude-opus-4-5") in facts
    assert ("routed to", f"gpt-4o at openai, {routed.OPENAI}") in facts
    assert [value for name, value in facts if name == "lost"] == list(routed.LOSSES)
    assert ("answered by", "gpt-4o-2024-08-06") in facts
    assert ("agent", "code-reviewer (by the call that started it) custom a1") in facts
    assert "--- answer\nIt <b>is</b> fine.\n" in text
    same_provider = invoke("show", "--db", elsewhere, routed.id_of(105)).stdout
    assert re.search(r"^ +routed to  claude-haiku-4-5 at anthropic$", same_provider, re.MULTILINE)
    assert re.search(r"^ +agent  tidier \(by a header of the client\) a3$", same_provider, re.MULTILINE)
    explorer, main = (invoke("show", "--db", elsewhere, routed.id_of(number)).stdout for number in (108, 101))
    assert re.search(r"^ +agent  Explore \(by the call that started it\) custom a5$", explorer, re.MULTILINE)
    assert "routed to" not in explorer + main
    assert "lost" not in explorer + main


def test_show_gives_back_what_went_up(elsewhere: Path) -> None:
    """--sent writes the translated request to a pipe; where there is none it says why, and --json has it beside the client's own."""
    sent = routed.by_number()[103].sent
    assert invoke("show", "--db", elsewhere, routed.id_of(103), "--sent").stdout_bytes == sent
    sentence = "this request was not translated: it went up as the client sent it, but for the model's name where it was routed"
    assert refusal("show", "--db", elsewhere, routed.id_of(105), "--sent") == (1, sentence)
    everything = json.loads(invoke("show", "--db", elsewhere, routed.id_of(103), "--json").stdout)
    assert (everything["sent"], everything["losses"]) == (json.loads(sent), list(routed.LOSSES))
    assert everything["request"]["model"] == "claude-opus-4-5"
    assert everything["response"]["content"] == [{"type": "text", "text": "It <b>is</b> fine."}]
    other = json.loads(invoke("show", "--db", elsewhere, routed.id_of(101), "--json").stdout)
    assert (other["sent"], other["losses"]) == (None, [])


# search


@pytest.mark.parametrize(
    ("words", "name", "told"),
    [
        (["needle"], "first", "assistant text: a plain [needle]"),
        (["HELLO", "there"], "first", "user text: [hello] [there]"),
        (["xylophone"], "second", "user tool_result"),
        (["deep thought"], "first", "assistant thinking: [deep] [thought]"),
        (["double-decker"], "second", "assistant text: and a [double-decker] bus"),
    ],
)
def test_search_finds_what_was_said_and_done(captured: Captured, words: list[str], name: str, told: str) -> None:
    """A hit is one line: when, the exchange in which the words first stood, who said it, and the words in their place."""
    (line,) = invoke("search", "--db", captured.db, *words).stdout.splitlines()
    assert re.match(rf"\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d  {captured.id(name)[-12:]}  ", line)
    assert told in line


@pytest.mark.parametrize(
    "words",
    [
        ["nowhere-at-all"], ["needle", "xylophone"], ['"'], ["'"], ['need"le'], ["needle", "OR", "xylophone"], ["NOT", "x"],
        ["needle*xyz"], ["text:needle-x"], ["NEAR(needle", "hello)"], ["^needle-x"], ["\\"], ["%"], ["--", "-x"],
        ["\udcff"],
    ],
)  # fmt: skip
def test_search_takes_words_as_words(captured: Captured, words: list[str]) -> None:
    """Quotes, operators and whatever else is in the words is harmless; nothing found is said and is no failure."""
    result = invoke("search", "--db", captured.db, *words)
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr.startswith("nothing captured contains all of: ")


@pytest.mark.parametrize("words", [['"needle"'], ["(needle"], ["needle", '"'], ["a", "plain", "needle!"]])
def test_search_does_not_mind_punctuation(captured: Captured, words: list[str]) -> None:
    """Marks around a word do not hide it."""
    assert captured.id("first")[-12:] in invoke("search", "--db", captured.db, *words).stdout


def test_search_stops_at_the_limit(captured: Captured) -> None:
    """-n bounds the hits."""
    assert len(invoke("search", "--db", captured.db, "a").stdout.splitlines()) > 1
    assert len(invoke("search", "--db", captured.db, "-n", 1, "a").stdout.splitlines()) == 1


# The terminal


@pytest.mark.parametrize("name", ["nasty", "half", "binary", "overloaded"])
@pytest.mark.parametrize(
    "form", [[], ["--request"], ["--response"], ["--raw"], ["--json"]], ids=lambda form: "".join(form)
)
async def test_nothing_captured_speaks_to_the_terminal(
    captured: Captured, tmp_path: Path, name: str, form: list[str]
) -> None:
    """No control character, escape sequence or mark of direction reaches a terminal, whatever is shown."""
    written = await on_a_terminal("show", "--db", str(captured.db), captured.id(name), *form, home=tmp_path)
    text = written.decode().replace("\r\n", "\n")
    assert text
    assert not SPEAKING.search(text)


@pytest.mark.parametrize(
    "arguments", [["tail"], ["search", "nasty"], ["search", "answer"], ["search", "end"]], ids=" ".join
)
async def test_lists_do_not_speak_to_the_terminal(captured: Captured, tmp_path: Path, arguments: list[str]) -> None:
    """No list lets anything captured through to the terminal, and each of its entries stays one line."""
    environ = {"NO_COLOR": "1"}
    command = [arguments[0], "--db", str(captured.db), *arguments[1:]]
    written = await on_a_terminal(*command, home=tmp_path, environ=environ)
    lines = written.decode().replace("\r\n", "\n").splitlines()
    assert not SPEAKING.search("\n".join(lines))
    assert len(lines) == (len(SCRIPT) + 1 if arguments == ["tail"] else 1)


async def test_colour_is_for_terminals(captured: Captured, tmp_path: Path) -> None:
    """On a terminal what went wrong is red; in a pipe there is no colour."""
    written = await on_a_terminal("tail", "--db", str(captured.db), home=tmp_path)
    (line,) = [line for line in written.decode().splitlines() if captured.id("overloaded")[-12:] in line]
    assert line.startswith("\x1b[31m")
    done = await ccproxy("tail", "--db", str(captured.db), home=tmp_path)
    assert b"\x1b" not in done.out


async def test_exact_bytes_are_announced_on_a_terminal(captured: Captured, tmp_path: Path) -> None:
    """A terminal gets only the text of a body, and is told so where that is not all of it."""
    written = await on_a_terminal("show", "--db", str(captured.db), captured.id("binary"), "--raw", home=tmp_path)
    assert b"the exact bytes go to a file or a pipe" in written
    written = await on_a_terminal("show", "--db", str(captured.db), captured.id("first"), "--request", home=tmp_path)
    assert written.decode().strip() == captured.bodies["first"].decode()


async def test_what_was_tried_and_what_was_refused_is_told(tmp_path: Path) -> None:
    """`show` tells the attempts in vain before an answer; `tail` shows a refusal of the proxy's own by its status."""
    async with Proxy("http://127.0.0.1:9", tmp_path) as proxy, client() as http:
        await http.post(f"{proxy.url}/v1/messages", json=request())
        await http.post(f"{proxy.url}/v1/chat/completions", json=request())
        failed, refused = await proxy.ended(2)
        shown = invoke("show", failed["id"], "--db", proxy.db).stdout
        assert re.search(r"before  3 attempts in vain: cannot connect to 127\.0\.0\.1:9", shown)
        assert len(json.loads(invoke("show", failed["id"], "--json", "--db", proxy.db).stdout)["attempts"]) == 3
        (line,) = [x for x in invoke("tail", "--db", proxy.db).stdout.splitlines() if refused["id"][-12:] in x]
        assert line.split()[2] == "400"
