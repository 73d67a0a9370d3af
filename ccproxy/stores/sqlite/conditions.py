"""What a filter comes to in SQL, and how the words of a search find the exchange in which they first stood.

Gives texts with named parameters, all of which are values. Refuses to run them.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Sequence
from typing import Any

from ccproxy.stores.contract import Filter

Parameters = dict[str, Any]
Names = Callable[..., list[str]]
_LARGEST = (1 << 63) - 1

ALL = "1"
WENT_WRONG = "(state IN ('failed', 'interrupted') OR status >= 400 OR api_error IS NOT NULL)"
_MAIN = "agent_id IS NULL AND kind <> 'subagent'"
_LOWER = {ord(letter): letter.lower() for letter in string.ascii_uppercase}
_COLUMNS = {"state": "state", "session": "session_id", "kind": "kind", "provider": "provider"}
_NARROW = ("session", "project", "agent", "statuses", "since", "until")  # what leaves few rows, most likely
_WITHIN = (
    # The nodes of the session that is asked for: from its exchanges up to the roots of their conversations.
    "mine (digest, parent) AS MATERIALIZED (SELECT digest, parent FROM nodes WHERE digest IN"
    " (SELECT tip FROM exchanges WHERE session_id = :session UNION SELECT reply FROM exchanges WHERE session_id = :session)"
    " UNION SELECT n.digest, n.parent FROM mine JOIN nodes n ON n.digest = mine.parent),"
)


def where(wanted: Filter, names: Names) -> tuple[str, Parameters]:
    """Return the condition for rows of `exchanges`, and its parameters. `names` gives the different values of a column among the
    rows with a value of another one: these are few and looked up by index."""
    terms, parameters = [ALL], Parameters()
    narrow = any(getattr(wanted, name) not in (None, ()) for name in _NARROW)
    wide = "+" if narrow else ""  # SQLite's way to say: do not look this up, other terms leave fewer rows
    for name, column in _COLUMNS.items():
        if (value := getattr(wanted, name)) is not None:
            terms.append(f"{'' if name in _NARROW else wide}{column} = :{name}")
            parameters[name] = value
    if wanted.model is not None:
        terms.append(_of_model(wanted.model, names, parameters, wide))
    if wanted.project is not None:
        terms.append(_among("cwd", [name for name in names("cwd") if _has(name, wanted.project)], parameters))
    if wanted.agent is not None:
        terms.append(_MAIN if wanted.agent == "main" else "(agent_id = :agent OR agent_name = :agent)")
        parameters["agent"] = wanted.agent
    if wanted.statuses:
        terms.append(f"({' OR '.join(_between(codes) for codes in wanted.statuses)})")
    if wanted.since is not None:
        terms.append("started_at >= :since")
        parameters["since"] = _bounded(wanted.since)
    if wanted.until is not None:
        terms.append("started_at < :until")
        parameters["until"] = _bounded(wanted.until)
    if words := match(wanted.words or ""):
        terms.append(f"rowid IN ({first_stood(within_session=wanted.session is not None)})")
        parameters["words"] = words
    return " AND ".join(terms), parameters


def _of_model(piece: str, names: Names, parameters: Parameters, wide: str) -> str:
    """Return the condition for a piece of the requested or the routed model's name. Where a model was not routed both are the
    same, so nearly always the routed one decides, which has an index."""
    whole = [name for name in names("routed_model") if _has(name, piece)]
    terms = [_among(f"{wide}routed_model", whole, parameters)]
    for routed in [None, *names("routed_model")]:
        if routed not in whole:
            asked = [name for name in names("requested_model", routed_model=routed) if _has(name, piece)]
            if asked:
                terms.append(
                    f"({wide}routed_model IS :{_named(routed, parameters)} AND {_among('requested_model', asked, parameters)})"
                )
    return f"({' OR '.join(terms)})"


def _has(name: str, piece: str) -> bool:
    """Compare without regard to the case of the letters of ASCII, as SQLite does, and without wildcards."""
    return piece.translate(_LOWER) in name.translate(_LOWER)


def _among(column: str, values: Sequence[str], parameters: Parameters) -> str:
    return f"{column} IN ({', '.join(f':{_named(value, parameters)}' for value in values)})"


def _named(value: str | None, parameters: Parameters) -> str:
    name = f"value{len(parameters)}"
    parameters[name] = value
    return name


def _between(codes: range) -> str:
    return f"status BETWEEN {int(codes.start)} AND {int(codes.stop) - 1}"


def _bounded(moment: int) -> int:
    return max(-_LARGEST, min(_LARGEST, moment))


def match(words: str) -> str:
    """Return the full-text query that asks for all words, whatever they are written with; empty where there are none."""
    plain = words.replace("\0", " ").encode("utf-8", "replace").decode()
    return " ".join('"' + word.replace('"', '""') + '"' for word in plain.split())


def first_stood(*, within_session: bool) -> str:
    """Return the query for the rowids of the exchanges in which the blocks that match `:words` first stood, and for null.

    A node is an exchange's where it is its answer, or its request's last message. A node that is nobody's came with a request
    that ends further down: the walk goes down until it meets nodes that are somebody's.
    """
    further = " AND n.digest IN (SELECT digest FROM mine)" if within_session else ""
    return (
        f"WITH RECURSIVE {_WITHIN if within_session else ''}{_hit(within_session)},"
        f" landed (digest, owner) AS MATERIALIZED (SELECT digest, {_owner('hit', within_session)} FROM hit),"
        " below (digest, owner) AS (SELECT digest, owner FROM landed WHERE owner IS NULL"
        f" UNION SELECT n.digest, {_owner('n', within_session)} FROM below JOIN nodes n ON n.parent = below.digest"
        f" WHERE below.owner IS NULL{further})"
        " SELECT owner FROM landed UNION SELECT owner FROM below"
    )


def _hit(within_session: bool) -> str:
    place = "mine CROSS JOIN blocks ON node = digest" if within_session else "blocks"
    found = "SELECT rowid FROM block_search WHERE block_search MATCH :words"
    return f"hit (digest) AS (SELECT node FROM {place} WHERE id IN ({found}))"


def _owner(node: str, within_session: bool) -> str:
    """Return the expression for the first exchange that made a node, else for the first that sent it last."""
    session = " AND session_id = :session" if within_session else ""
    made, sent = (
        f"(SELECT min(rowid) FROM exchanges WHERE {column} = {node}.digest{session})" for column in ("reply", "tip")
    )
    return f"coalesce({made}, {sent})"


def sessions_in_which_it_stood() -> str:
    """Return the query for the sessions that sent or were answered with a block that matches `:words`, each of them."""
    somebodys = " OR ".join(
        f"EXISTS (SELECT 1 FROM exchanges WHERE {column} = below.digest)" for column in ("reply", "tip")
    )
    owners = " UNION ".join(
        f"SELECT session_id FROM below CROSS JOIN exchanges ON {column} = digest" for column in ("reply", "tip")
    )
    return (
        f"WITH RECURSIVE {_hit(False)}, below (digest) AS (SELECT digest FROM hit UNION SELECT n.digest FROM below"
        f" JOIN nodes n ON n.parent = below.digest WHERE NOT ({somebodys})) {owners}"
    )


def marks(values: Sequence[object]) -> str:
    """Return as many question marks as there are values."""
    return ", ".join("?" * len(values))
