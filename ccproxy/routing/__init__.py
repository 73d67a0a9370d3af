"""Which subagent asks, and what its request becomes on the way to another provider. Values in, values out.

`spawns` reads who is started by what an answer says, `definition` an agent's file, `recognition` weighs the signs; `place` is a
provider and what a request to it carries. Refuses to know files, sockets and what other processes have seen.
"""
