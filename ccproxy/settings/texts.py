"""The table of settings for people: `config.yaml.example`, and the table of the README.

Refuses to know more than the table says.
"""

from __future__ import annotations

from ccproxy.settings.declaring import Setting
from ccproxy.settings.names import sections
from ccproxy.settings.providers import ANY_NAME
from ccproxy.settings.tree import SETTINGS, every

_EXAMPLE_HEAD = """\
# The settings of ccproxy. It reads config.yaml in the folder where it starts, else in the user's configuration folder.
# A config.yaml in the former with none of the names at the left margin below is another program's, and passed over.
#
# Every setting stands here with its default: to change it, remove the # in front of its name.
# What counts first: the command line, the environment, a file .env in the folder where ccproxy starts, then this file.
# Durations: 600, 90s, 10m, 1h30m, 250ms. Sizes: 1024, 50MB, 1 GiB. A relative path starts from this file's folder.
# Lists: [a, b], or a text with commas, as in the environment. Values under names: {a: b, c: d}, or a text: a=b, c=d.
"""
_NAMED_PROVIDERS = """\
  # Any other provider, under a name of your own. It has what openai has above, with the same defaults, and needs a base_url.
  # Environment, for one named my-llm: MY_LLM_BASE_URL and MY_LLM_API_KEY. A subagent is mapped to it as my-llm:model.
  #openrouter:
    #base_url: https://openrouter.ai/api/v1
    #api_key: ""
    #headers: {HTTP-Referer: https://example.org, X-Title: ccproxy}

  #azure:
    #base_url: https://my-resource.openai.azure.com/openai/deployments/gpt-4o?api-version=2024-06-01
    #headers: {api-key: the-key}
    #limits: {gpt-4o: 16384}

  # One that runs here needs no key, and perhaps patience.
  #ollama:
    #base_url: http://localhost:11434/v1
    #response_header_timeout: 20m

  # One that speaks as Anthropic does: only the model is changed in what it is sent.
  #deepseek:
    #format: anthropic
    #base_url: https://api.deepseek.com/anthropic
    #api_key: ""
"""
_LAST_OF_PROVIDERS = [row.key for row in SETTINGS if row.key.startswith("providers.")][-1]


def example() -> str:
    """Return the text of `config.yaml.example`."""
    lines = [_EXAMPLE_HEAD]
    opened: set[str] = set()
    for row in SETTINGS:
        for section in sections([row.key]):
            lines += [] if section in opened else [f"{_indent(section)}{section.rpartition('.')[2]}:"]
            opened.add(section)
        lines += [_indent(row.key) + line for line in _example_lines(row)] + [""]
        lines += [_NAMED_PROVIDERS] if row.key == _LAST_OF_PROVIDERS else []
    return "\n".join(lines)


def _example_lines(row: Setting) -> tuple[str, str, str]:
    default = (row.shown or row.default or "none").replace("`", "")
    brackets = "{%s}" if row.kind.names else "[%s]" if row.kind.item else "%s"
    written = brackets % row.default or '""'
    return (
        f"# {row.help}",
        f"# Environment: {row.env}. Default: {default}.",
        f"#{row.key.rpartition('.')[2]}: {written}",
    )


def _indent(key: str) -> str:
    return "  " * key.count(".")


def table() -> str:
    """Return the README's table of settings, as Markdown. Those of a provider of one's own stand there once, as a pattern."""
    head = "| key | environment | default | meaning |\n|---|---|---|---|\n"
    return head + "".join(_table_line(row) for row in every([ANY_NAME]))


def _table_line(row: Setting) -> str:
    environment = f"`{row.env}`" if row.env else "none"
    default = row.shown or (f"`{row.default}`" if row.default else "none")
    return f"| `{row.key}` | {environment} | {default} | {row.help} |\n"
