"""What pages show, as frames: `store` opens the captures and applies filters, each other module answers for one page.

No widgets here, so all of it is tested without a browser.
"""

from __future__ import annotations

from dashboards.data.store import Data, TroubleError

__all__ = ["Data", "TroubleError"]
