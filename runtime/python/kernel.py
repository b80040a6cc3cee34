"""The python kernel's entry point: `python -I -X utf8 kernel.py`. See hearth_kernel/main.py."""

import os
import sys

# Isolated mode leaves out this folder, the working directory and PYTHONPATH, so that nothing a session
# installed or wrote can stand in for what the kernel itself imports.
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
from hearth_kernel import main  # noqa: E402

sys.path.remove(HERE)
sys.dont_write_bytecode = before
main.serve()
