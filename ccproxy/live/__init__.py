"""The live view: what the exchanges that run are saying, as it arrives.

`answer` makes events of an answer's bytes, `watch` of journal frames, `listener` holds what one listener has not taken yet, and
`follower` follows the journal for all of them. It reads the journal only: it locks nothing, deletes nothing and holds nobody up.
"""

from __future__ import annotations

from ccproxy.live.follower import Follower
from ccproxy.live.listener import Listener, Wanted

__all__ = ["Follower", "Listener", "Wanted"]
