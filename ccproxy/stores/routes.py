"""What an exchange's row tells of its route.

Knows which columns say it. Refuses to know why an exchange was routed.
"""

from __future__ import annotations

from ccproxy.protocol.parts import json_value
from ccproxy.stores.contract import Record


def is_routed(row: Record) -> bool:
    """Tell whether an exchange went to another provider or model than the client asked for."""
    asked, sent = row.get("requested_model"), row.get("routed_model")
    return row.get("endpoint") is not None or bool(asked and sent and asked != sent)


def losses(row: Record) -> list[str]:
    """Return the sentences that say what could not be said in the other provider's protocol."""
    found = json_value((row.get("losses") or "[]").encode())
    return [loss for loss in found if isinstance(loss, str)] if isinstance(found, list) else []
