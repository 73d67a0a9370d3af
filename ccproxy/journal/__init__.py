"""The journal: append-only files on local disk between the proxy and the store.

`frames` knows the bytes, `segments` the files, `writer` appends, `reader` follows. The journal is the reason why nothing is
lost and nothing is slow: the proxy waits for no disk and no database, and a killed process loses a moment, not a session.
"""
