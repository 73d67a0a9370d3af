"""The command line: each command parses, calls and prints, and holds nothing of the program.

Text that was asked for goes to standard output, everything else to standard error. Exit codes: 0 done, 1 it failed, 2 the
command line or the configuration is wrong.
"""

from ccproxy.cli.commands import main

__all__ = ["main"]
