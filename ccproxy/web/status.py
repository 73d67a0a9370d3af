"""What `/health` and `/livez` say: how the proxy, its journal and its ingest are doing.

Knows how to read the board. Refuses to change anything.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ccproxy.journal import segments
from ccproxy.lifecycle.board import Board

INGEST_STATES = ("starting", "running", "waiting for the store", "off")
HIDDEN = "ask on the proxy's own machine, or with its token"
SILENT_S = 5.0  # ingest shows a sign of life several times a second; after this long it is taken for dead


class Status:
    """Tells the state of a proxy from its board. `clock` gives microseconds since 1970."""

    def __init__(self, board: Board, journal: Path, clock: Callable[[], int], ingest_expected: bool = True) -> None:
        self._board = board
        self._journal = journal
        self._clock = clock
        self._expected = ingest_expected

    def report(self, *, details: bool = True) -> dict[str, Any]:
        """Return status, in_flight, draining, timestamp, exchanges, journal (lag in bytes and seconds), ingest, dropped.

        Without `details`, errors are told without their sentences, in which paths of this machine stand.
        """
        now = self._clock()
        draining = any(row.get("draining") for row in self._board.workers)
        return {
            "status": "draining" if draining else "healthy",
            "in_flight": self._board.total("in_flight"),
            "draining": draining,
            "exchanges": self._board.total("exchanges"),
            "timestamp": datetime.fromtimestamp(now / 1e6, UTC).isoformat().replace("+00:00", "Z"),
            "journal": self._journal_report(now, details),
            "ingest": self._ingest_report(now, details),
            "dropped": {
                "exchanges": self._board.total("dropped_exchanges"),
                "bytes": self._board.total("dropped_bytes"),
            },
        }

    def _journal_report(self, now: int, details: bool) -> dict[str, Any]:
        ingest = self._board.ingest
        consumed = ingest.get("segment_bytes") - ingest.get("unread_bytes")
        lag = max(0, segments.total_bytes(self._journal) - consumed)
        since = ingest.get("caught_up_at")
        report: dict[str, Any] = {
            "lag_bytes": lag,
            "lag_seconds": round(max(0, now - since) / 1e6, 3) if lag and since else 0.0,
        }
        trouble = next((row.text() for row in self._board.workers if row.text()), None)
        damaged = {name: ingest.get(name) for name in ("damaged_bytes", "unreadable_frames")}
        report |= {name: count for name, count in damaged.items() if count}
        if trouble:
            report["error"] = trouble if details else HIDDEN
        return report

    def _ingest_report(self, now: int, details: bool) -> dict[str, Any]:
        row = self._board.ingest
        beat = row.get("heartbeat")
        if not self._expected:  # `ccproxy ingest` has no row on this board, but holds the journal's lock
            return {"state": "elsewhere" if segments.is_alive(self._journal, segments.INGEST) else "off"}
        if not beat:
            return {"state": "starting"}
        if now - beat > SILENT_S * 1e6:
            return {"state": "down", "silent_seconds": round((now - beat) / 1e6, 1)}
        report: dict[str, Any] = {"state": INGEST_STATES[row.get("state")], "stored": row.get("stored")}
        if row.text():
            report["error"] = row.text() if details else HIDDEN
        return report
