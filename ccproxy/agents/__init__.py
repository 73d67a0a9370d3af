"""What is known of agents outside of a request: their definition files, and what the workers of a proxy saw of them.

The only code that looks for agents on a disk, and only where routing is on.
"""
