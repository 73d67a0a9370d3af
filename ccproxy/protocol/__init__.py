"""The protocol, pure: bytes in, values out.

Knows server-sent events, Anthropic messages, usage, header rules and what a request says about itself. Refuses to know
sockets, clocks, ids, files and databases, and imports nothing but value modules of the standard library and msgspec.
"""
