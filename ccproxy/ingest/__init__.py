"""Ingest: follows the journal, takes exchanges apart, and puts them into the store.

Its own process, since it computes and waits, and the proxy does neither. `assembler` makes exchanges of frames, `request` and
`response` make rows of exchanges, `process` runs it all.
"""
