"""What somebody's query asks, read from the syntax tree that DuckDB gives of it as JSON.

Knows where columns, tables and functions that give rows stand in a tree. Refuses to judge them, and to know what the views hold.
"""

from __future__ import annotations

import re

ALL = "*"
# In a string of the tree each quotation mark has a backslash before it, so none of these is found inside of one.
_NAMED, _QUOTED, _STAR = (
    re.compile(r'"(?:column_names|using_columns)":\[([^\]]*)\]'),
    re.compile(r'"([^"]*)"'),
    '"type":"STAR"',
)
_TABLE = re.compile(r'"type":"BASE_TABLE","alias":"([^"]*)".*?"table_name":"([^"]*)"')
_ROWS = re.compile(r'"type":"TABLE_FUNCTION".*?"function_name":"([^"]*)"')


def columns(tree: str) -> set[str]:
    """Return the names of columns that a query speaks of, in lower case; ALL is among them where it asks for whole rows."""
    names = {name.lower() for path in _NAMED.findall(tree) for name in _QUOTED.findall(path)}
    tables = {name.lower() for found in _TABLE.findall(tree) for name in found}
    whole = _STAR in tree or not names.isdisjoint(tables)  # a table's name where a column's may stand is its row
    return names | {ALL} if whole else names


def row_functions(tree: str) -> set[str]:
    """Return the names of functions that a query takes rows from, in lower case."""
    return {name.lower() for name in _ROWS.findall(tree)}
