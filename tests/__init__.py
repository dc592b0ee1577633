"""The tests. What Python compiles for them is kept beside the installed packages, also where none is kept in the tree.

A run begins by compiling its tests, and starts hundreds of processes that would compile the gateway each.
"""

from __future__ import annotations

import os
import sys

os.environ.setdefault("PYTHONPYCACHEPREFIX", os.path.join(sys.prefix, "bytecode"))
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.pycache_prefix, sys.dont_write_bytecode = os.environ["PYTHONPYCACHEPREFIX"], False
