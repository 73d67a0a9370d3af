"""What frames come to: cost, cache, context, latency, time, tools, agents, overhead, prompts.

A measure takes frames and gives a frame, for `.pipe`. Refuses to know where frames come from.
"""
