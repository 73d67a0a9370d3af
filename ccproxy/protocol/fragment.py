"""The beginning of a JSON text whose end is missing: what of it is whole.

Knows where such a text can be closed. Refuses to guess: a member that broke off is left out.
"""

from __future__ import annotations

import re

from ccproxy.protocol.parts import json_value

# A string, also one that broke off, or a sign that opens, closes or parts.
_TOKEN = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[][{},]', re.DOTALL)


def closed(text: str) -> str | None:
    """Return the JSON that is whole in a text that broke off; None where it is no JSON up to there either.

    What is open at its end is closed. A last member is left out where it is not whole.
    """
    opened, cut = [], 0
    for found in _TOKEN.finditer(text):
        match found[0]:
            case "{" | "[" as bracket:
                opened.append("}" if bracket == "{" else "]")
                cut = found.end()
            case "}" | "]":
                del opened[-1:]
                cut = found.end()
            case ",":
                cut = found.start()
    closing = "".join(reversed(opened))
    for end in (len(text), cut):
        whole = text[:end] + closing
        if json_value(whole.encode("utf-8", "surrogatepass")) is not None:
            return whole
    return None
