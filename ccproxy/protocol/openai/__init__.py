"""Anthropic's Messages API said in OpenAI's Chat Completions, and answers the other way back.

`dialect` is how providers of that protocol differ, `request` what goes up, `reply`, `stream` and `error` what comes back, `estimate`
a count of tokens without asking anybody. Pure: ids come as arguments, and what cannot be said in the other protocol is listed as a
loss, never silently dropped.
"""
