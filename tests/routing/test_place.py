"""Where a request to another provider goes, and that nothing of the client's goes with it."""

from __future__ import annotations

import pytest

from ccproxy.routing.place import Place
from ccproxy.wire import RequestHead

GIVEN = RequestHead("POST", b"/v1/messages", b"beta=true", [(b"x-api-key", b"client"), (b"cookie", b"c")])

ENDPOINTS = {
    "https://api.openai.com/v1": "https://api.openai.com/v1/chat/completions",
    "https://api.openai.com": "https://api.openai.com/v1/chat/completions",
    "https://openrouter.ai/api/v1/": "https://openrouter.ai/api/v1/chat/completions",
    "https://api.groq.com/openai/v1/chat/completions": "https://api.groq.com/openai/v1/chat/completions",
    "http://127.0.0.1:11434": "http://127.0.0.1:11434/v1/chat/completions",
    "https://x.openai.azure.com/openai/deployments/d?api-version=2024-06-01": (
        "https://x.openai.azure.com/openai/deployments/d/chat/completions"
    ),
}


@pytest.mark.parametrize("base_url", ENDPOINTS)
def test_any_base_url_leads_to_chat_completions(base_url: str) -> None:
    """A path in the address stays, and one that is missing or complete already is understood."""
    place = Place("p", "openai", base_url)
    assert place.endpoint(GIVEN) == ENDPOINTS[base_url]
    head = place.head(GIVEN)
    assert place.root + head.path.decode() == ENDPOINTS[base_url]
    assert head.query == (b"api-version=2024-06-01" if "azure" in base_url else b"")
    assert head.headers == []


@pytest.mark.parametrize("base_url", ["https://api.z.ai/api/anthropic", "https://api.z.ai/api/anthropic/v1"])
def test_an_anthropic_format_provider_gets_the_clients_own_path(base_url: str) -> None:
    """Path and query are those of the request, below the provider's address."""
    place = Place("zai", "anthropic", base_url)
    assert place.endpoint(GIVEN) == "https://api.z.ai/api/anthropic/v1/messages"
    assert place.head(GIVEN) == RequestHead("POST", b"/v1/messages", b"beta=true", [])


def sent(place: Place, **options: object) -> dict[bytes, bytes]:
    """Return the headers of a request with two bytes of body."""
    given = {"user_agent": "ccproxy/1", "stream": True, "accept_encoding": b"", **options}
    return dict(place.header_list(b"{}", **given))  # type: ignore[arg-type]


def test_headers_for_chat_completions_are_made_from_nothing() -> None:
    """The key is a bearer token, and the answer comes unpacked, so that each event can be translated at once."""
    assert sent(Place("openai", "openai", "https://api.openai.com/v1", "sk-1")) == {
        b"content-type": b"application/json",
        b"accept": b"text/event-stream",
        b"accept-encoding": b"identity",
        b"user-agent": b"ccproxy/1",
        b"authorization": b"Bearer sk-1",
        b"content-length": b"2",
    }


def test_azure_gets_its_key_in_its_own_header() -> None:
    """Azure OpenAI takes keys as `api-key`."""
    found = sent(Place("azure", "openai", "https://x.openai.azure.com/openai/deployments/d", "k"))
    assert found[b"api-key"] == b"k"
    assert b"authorization" not in found


def test_an_anthropic_format_provider_gets_a_version_and_a_key() -> None:
    """Both are the proxy's own."""
    found = sent(Place("zai", "anthropic", "https://api.z.ai", "k", version="2023-06-01"), accept_encoding=b"gzip, br")
    assert found[b"x-api-key"] == b"k"
    assert found[b"anthropic-version"] == b"2023-06-01"
    assert found[b"accept-encoding"] == b"gzip, br"


def test_configured_headers_go_before_those_made_here() -> None:
    """A provider that wants its credential elsewhere can have it; what frames the body stays."""
    headers = {"Authorization": "Token t", "X-Title": "ccproxy", "Content-Length": "99", "Host": "evil"}
    found = sent(Place("p", "openai", "https://p.example", headers=headers))
    assert found[b"authorization"] == b"Token t"
    assert found[b"x-title"] == b"ccproxy"
    assert found[b"content-length"] == b"2"
    assert b"host" not in found


def test_no_secret_shows() -> None:
    """Neither the key nor a header's value is in a repr."""
    shown = repr(Place("p", "openai", "https://p.example", "sk-secret", {"x-key": "hidden"}))
    assert "sk-secret" not in shown
    assert "hidden" not in shown


def test_limits_are_found_by_name_then_by_pattern() -> None:
    """The model's own name goes before a pattern, and the first pattern that fits before the others."""
    place = Place("p", "openai", "https://p.example", limits={"gpt-*": 10, "gpt-4o": 20, "*": 30})
    assert [place.most_tokens(model) for model in ("gpt-4o", "gpt-5", "llama")] == [20, 10, 30]
    assert Place("p", "openai", "https://p.example").most_tokens("x") is None
