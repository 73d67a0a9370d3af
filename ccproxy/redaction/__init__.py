"""Redaction: what matches a pattern is masked before anything is written.

`text` finds and masks, in texts and in the strings of JSON; `stream` holds a stream back until what it says can be searched.
"""
