"""Connects browsers that Python programs of a session launch to the session's browser.

Each of these programs imports this file at its start, through a link in the session's environment, so
it only adds a finder to the import system. The kernel does not import it.
"""

import os
import sys


class _Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name not in ("playwright.async_api", "playwright.sync_api"):
            return None
        sys.meta_path.remove(_Finder)
        browser = _load_launch().SharedBrowser(sys.stderr.write, _ENDPOINT)
        browser.share_when_imported()
        from importlib.util import find_spec

        return find_spec(name)


def _load_launch():
    """Loads a module of the kernel, which is not on the import path."""
    from importlib.util import module_from_spec, spec_from_file_location

    file = os.path.join(os.path.dirname(os.path.realpath(__file__)), "hearth_kernel", "launch.py")
    spec = spec_from_file_location("hearth_scripts_launch", file)
    module = module_from_spec(spec)
    # The directory belongs to the server.
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        spec.loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = before
    return module


# The program may change its environment later.
_ENDPOINT = os.environ.get("CDP_URL")
sys.meta_path.insert(0, _Finder)
