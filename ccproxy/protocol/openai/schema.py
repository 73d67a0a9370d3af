"""What OpenAI wants of a JSON schema that Anthropic does not.

Knows that a list must say of what, and which schemas may be enforced. Refuses to shorten or to simplify: a schema goes over whole.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ccproxy.protocol.openai.raw import value_in

_NO_PARAMETERS: dict[str, Any] = {"type": "object", "properties": {}}

# Where schemas stand inside a schema: as values of a map, as entries of a list, alone.
_MAPS = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
_ALONE = ("items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames")

# The keywords of a schema that OpenAI enforces: https://developers.openai.com/api/docs/guides/structured-outputs
_ENFORCED = {
    "type", "properties", "required", "additionalProperties", "items", "enum", "const", "anyOf", "$ref", "$defs", "title",
    "description",
}  # fmt: skip


def parameters(raw: msgspec.Raw | None) -> Any:
    """Return the schema of a function's parameters: as it came, but that it is one of an object, and that each list has items.

    "array schema missing items" and "object schema missing properties" are what OpenAI answers otherwise
    (https://github.com/langgenius/dify/pull/33137, https://github.com/spring-projects/spring-ai/issues/4776).
    """
    schema = value_in(raw)
    if not isinstance(schema, dict):
        return raw if raw is not None and bytes(raw).startswith(b"{") else _NO_PARAMETERS
    try:
        changed = _give_items(schema)
    except RecursionError:
        return raw
    if "type" not in schema or (schema["type"] == "object" and "properties" not in schema):
        return {**_NO_PARAMETERS, **schema}
    return schema if changed else raw


def _give_items(schema: Any) -> bool:
    """Give every list in the schema its items; return whether one had none."""
    if not isinstance(schema, dict):
        return False
    kind = schema.get("type")
    changed = "items" not in schema and (kind == "array" or (isinstance(kind, list) and "array" in kind))
    if changed:
        schema["items"] = {}
    return any([changed, *(_give_items(inner) for inner in _inside(schema))])


def _inside(schema: dict[str, Any]) -> list[Any]:
    """Return the schemas that stand one level deeper."""
    inside = [schema[name] for name in _ALONE if name in schema]
    for name in _MAPS:
        inside += schema[name].values() if isinstance(schema.get(name), dict) else []
    for name in _LISTS:
        inside += schema[name] if isinstance(schema.get(name), list) else []
    return inside


def can_be_enforced(schema: Any) -> bool:
    """Return whether OpenAI can hold an answer to this schema: every object closed, all its members required, no other keyword."""
    try:
        return (
            isinstance(schema, dict) and "anyOf" not in schema and schema.get("type") == "object" and _is_closed(schema)
        )
    except RecursionError:
        return False


def _is_closed(schema: Any) -> bool:
    if not isinstance(schema, dict) or not schema.keys() <= _ENFORCED:
        return False
    if schema.get("type") == "object" or "properties" in schema:
        members, required = schema.get("properties"), schema.get("required")
        if (
            not isinstance(members, dict)
            or not isinstance(required, list)
            or schema.get("additionalProperties") is not False
        ):
            return False
        if {name for name in required if isinstance(name, str)} != members.keys():
            return False
    return all(_is_closed(inner) for inner in _inside(schema) if inner is not False)
