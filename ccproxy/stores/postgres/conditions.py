"""What a filter comes to in SQL, and how the words of a search find the exchange in which they first stood.

Gives texts with named parameters, all of which are values. Refuses to run them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ccproxy.stores import words
from ccproxy.stores.contract import Filter

Parameters = dict[str, Any]
Names = Callable[[str, str], list[str]]
_LARGEST = (1 << 63) - 1

ALL = "true"
WENT_WRONG = "(state IN ('failed', 'interrupted') OR status >= 400 OR api_error IS NOT NULL)"
_MAIN = "agent_id IS NULL AND kind <> 'subagent'"
_COLUMNS = {"state": "state", "session": "session_id", "kind": "kind", "provider": "provider"}
_WITHIN = (
    # The exchanges of the session that is asked for, and their nodes up to the roots of their conversations.
    "theirs (id, tip, reply) AS MATERIALIZED (SELECT id, tip, reply FROM exchanges WHERE session_id = %(session)s),"
    " mine (digest, parent) AS (SELECT digest, parent FROM nodes WHERE digest IN"
    " (SELECT tip FROM theirs UNION SELECT reply FROM theirs)"
    " UNION SELECT n.digest, n.parent FROM mine JOIN nodes n ON n.digest = mine.parent),"
)


def where(wanted: Filter, names: Names) -> tuple[str, Parameters]:
    """Return the condition for rows of `exchanges`, and its parameters. `names` gives the values of a column with a piece in
    them: these are few and looked up by index."""
    terms, parameters = [ALL], Parameters()
    for name, column in _COLUMNS.items():
        if (value := getattr(wanted, name)) is not None:
            terms.append(f"{column} = %({name})s")
            parameters[name] = value
    if wanted.model is not None:
        terms.append("(requested_model = ANY(%(requested)s::text[]) OR routed_model = ANY(%(routed)s::text[]))")
        parameters["requested"] = names("requested_model", wanted.model)
        parameters["routed"] = names("routed_model", wanted.model)
    if wanted.project is not None:
        terms.append("cwd = ANY(%(projects)s::text[])")
        parameters["projects"] = names("cwd", wanted.project)
    if wanted.agent is not None:
        terms.append(_MAIN if wanted.agent == "main" else "(agent_id = %(agent)s OR agent_name = %(agent)s)")
        parameters["agent"] = wanted.agent
    if wanted.statuses:
        terms.append(f"({' OR '.join(_between(codes) for codes in wanted.statuses)})")
    if wanted.since is not None:
        terms.append("started_at >= %(since)s")
        parameters["since"] = _bounded(wanted.since)
    if wanted.until is not None:
        terms.append("started_at < %(until)s")
        parameters["until"] = _bounded(wanted.until)
    phrases = words.wanted(wanted.words or "")
    if phrases is not None:
        terms.append(f"id IN ({first_stood(phrases, within_session=wanted.session is not None)})")
        parameters |= searched(phrases)
    return " AND ".join(terms), parameters


def names_with(column: str) -> str:
    """Return the query for the values of a column with `piece` in them: no wildcards, and without regard to the case of the
    letters that SQLite knows to have one. Goes from value to value along the column's index."""
    return (
        f"WITH RECURSIVE name (value) AS (SELECT min({column}) FROM exchanges UNION ALL"
        f" SELECT (SELECT min({column}) FROM exchanges WHERE {column} > name.value) FROM name WHERE value IS NOT NULL)"
        ' SELECT value FROM name WHERE strpos(lower(value), lower(%(piece)s COLLATE "C")) > 0'
    )


def _between(codes: range) -> str:
    return f"status BETWEEN {int(codes.start)} AND {int(codes.stop) - 1}"


def _bounded(moment: int) -> int:
    return max(-_LARGEST, min(_LARGEST, moment))


def searched(phrases: Sequence[words.Phrase]) -> Parameters:
    """Return the parameters of `hit`."""
    rows = {f"phrase{number}": f" {' '.join(phrase)} " for number, phrase in enumerate(phrases) if len(phrase) > 1}
    return {"words": sorted({word for phrase in phrases for word in phrase}), **rows}


def hit(phrases: Sequence[words.Phrase]) -> str:
    """Return the condition for rows of `block_search` that have all words, and each phrase's in a row."""
    if not phrases:
        return "false"
    rows = [
        f"strpos(' ' || words || ' ', %(phrase{number})s) > 0"
        for number, phrase in enumerate(phrases)
        if len(phrase) > 1
    ]
    return " AND ".join(["string_to_array(words, ' ') @> %(words)s::text[]", *rows])


def first_stood(phrases: Sequence[words.Phrase], *, within_session: bool) -> str:
    """Return the query for the ids of the exchanges in which the blocks with these phrases first stood.

    A node is an exchange's where it is its answer, or its request's last message. A node that is nobody's came with a request
    that ends further down: the walk goes down until it meets nodes that are somebody's.
    """
    further = " AND n.digest IN (SELECT digest FROM mine)" if within_session else ""
    return (
        f"WITH RECURSIVE {_WITHIN if within_session else ''}{_nodes(phrases, within_session)},"
        f" landed (digest, owner) AS MATERIALIZED (SELECT digest, {_owner('hit', within_session)} FROM hit),"
        " below (digest, owner) AS (SELECT digest, owner FROM landed WHERE owner IS NULL"
        f" UNION SELECT n.digest, {_owner('n', within_session)} FROM below JOIN nodes n ON n.parent = below.digest"
        f" WHERE below.owner IS NULL{further})"
        " SELECT owner FROM landed WHERE owner IS NOT NULL UNION ALL SELECT owner FROM below WHERE owner IS NOT NULL"
    )


def _nodes(phrases: Sequence[words.Phrase], within_session: bool) -> str:
    place = "mine JOIN blocks ON node = digest" if within_session else "blocks"
    found = f"SELECT id FROM block_search WHERE {hit(phrases)}"
    return f"hit (digest) AS MATERIALIZED (SELECT DISTINCT node FROM {place} WHERE blocks.id IN ({found}))"


def _owner(node: str, within_session: bool) -> str:
    """Return the expression for the first exchange that made a node, else for the first that sent it last."""
    exchanges = "theirs" if within_session else "exchanges"
    made, sent = (f"(SELECT min(id) FROM {exchanges} WHERE {column} = {node}.digest)" for column in ("reply", "tip"))
    return f"coalesce({made}, {sent})"


def sessions_in_which_it_stood(phrases: Sequence[words.Phrase]) -> str:
    """Return the query for the sessions that sent or were answered with a block that has these phrases, each of them."""
    somebodys = " OR ".join(
        f"EXISTS (SELECT 1 FROM exchanges WHERE {column} = below.digest)" for column in ("reply", "tip")
    )
    owners = " UNION ".join(
        f"SELECT session_id FROM below JOIN exchanges ON {column} = digest" for column in ("reply", "tip")
    )
    return (
        f"WITH RECURSIVE {_nodes(phrases, False)}, below (digest) AS (SELECT digest FROM hit UNION SELECT n.digest FROM below"
        f" JOIN nodes n ON n.parent = below.digest WHERE NOT ({somebodys})) {owners}"
    )
