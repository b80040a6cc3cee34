"""Starts the python kernel: `python -I -X utf8 kernel.py ENVIRONMENT [COMPILE_CACHE]`. See hearth_kernel/main.py."""

import os
import sys

# Isolated mode ignores this directory, the working directory and PYTHONPATH, so that files of a
# session cannot replace modules that the kernel imports.
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
from hearth_kernel import main  # noqa: E402

sys.path.remove(HERE)
sys.dont_write_bytecode = before
main.serve()
