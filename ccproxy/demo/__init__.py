"""The demo: a made-up week of Claude Code, played through the real proxy into a real store.

`make` makes it as a file, `make_into` fills any open store, `default_path` says where it is kept. The same arguments give the same
exchanges, to the byte and the microsecond.
"""

from ccproxy.demo.making import ENDING, SEED, default_path, make, make_into
from ccproxy.demo.performing import Progress

__all__ = ["ENDING", "SEED", "Progress", "default_path", "make", "make_into"]
