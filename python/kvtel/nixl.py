# SPDX-License-Identifier: Apache-2.0
"""Tells NIXL's plug-in (libkvtel_nixl.so) how each transfer of nixl_agent ended.

NIXL tells its plug-ins of no failure, and of no transfer that was done when the posting call returned; nixl_agent's
methods return both. A program calls register() before it makes an agent, with KVTEL_NIXL=1 in the environment. Without
the plug-in nothing is told.
"""

import ctypes
import functools
import importlib
import logging
import os

_logger = logging.getLogger("kvtel.nixl")

# NIXL's statuses, by the words in the names of its exceptions.
STATUSES = {
    "notposted": -1,
    "invalidparam": -2,
    "backend": -3,
    "notfound": -4,
    "mismatch": -5,
    "notallowed": -6,
    "repostactive": -7,
    "unknown": -8,
    "notsupported": -9,
    "remotedisconnect": -10,
    "cancel": -11,
    "notelemetry": -12,
}
_OUTCOMES = {"DONE": 0, "PROC": 1, "ERR": -8}


class _Plugin:
    """The functions of the library that NIXL has loaded into this process. None is called before it is there."""

    def __init__(self):
        self._library = None

    def find(self):
        """Returns the library, or None while NIXL has not loaded it."""
        if self._library is None:
            path = _loaded_path()
            if path:
                library = ctypes.PyDLL(path, mode=os.RTLD_NOLOAD | os.RTLD_NOW)
                library.kvtel_nixl_outcome.argtypes = [ctypes.c_uint64, ctypes.c_int]
                library.kvtel_nixl_released.argtypes = [ctypes.c_uint64]
                library.kvtel_nixl_peer.argtypes = [ctypes.c_char_p, ctypes.c_char_p]
                for function in (library.kvtel_nixl_outcome, library.kvtel_nixl_released, library.kvtel_nixl_peer):
                    function.restype = None
                self._library = library
        return self._library

    def tell(self, handle, status):
        if self._library is not None:
            self._library.kvtel_nixl_outcome(handle._handle, status)

    def release(self, handle):
        if self._library is not None and not getattr(handle, "_released", False):
            self._library.kvtel_nixl_released(handle._handle)


def _loaded_path():
    try:
        with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as maps:
            for line in maps:
                path = line.rstrip("\n").partition("/")
                if path[1] and os.path.basename(path[2]) in (
                    "libkvtel_nixl.so",
                    "libtrace_backend_kvtel.so",
                    "libtelemetry_exporter_kvtel.so",
                ):
                    return "/" + path[2]
    except OSError:
        pass
    return None


plugin = _Plugin()


def status_of(error):
    """Returns NIXL's status for an exception of its bindings, or None for another exception."""
    name = type(error).__name__.lower()
    return next((status for word, status in STATUSES.items() if word in name), None) if "nixl" in name else None


def _telling(method):
    @functools.wraps(method)
    def call(self, handle, *arguments, **options):
        try:
            state = method(self, handle, *arguments, **options)
        except Exception as error:
            status = status_of(error)
            if status is not None:
                plugin.tell(handle, status)
            raise
        plugin.tell(handle, _OUTCOMES.get(state, 1))
        return state

    return call


def _releasing(method):
    @functools.wraps(method)
    def call(self):
        plugin.release(self)
        return method(self)

    return call


def _finding(method):
    @functools.wraps(method)
    def call(self, *arguments, **options):
        method(self, *arguments, **options)
        plugin.find()

    return call


def watch(api):
    """Wraps the classes of NIXL's module `_api`. A second call changes nothing. Returns whether they are wrapped."""
    agent, handle = getattr(api, "nixl_agent", None), getattr(api, "nixl_xfer_handle", None)
    if agent is None or handle is None or not hasattr(handle, "release"):
        _logger.warning("%s has no nixl_agent and nixl_xfer_handle as known here: outcomes are not told", api.__name__)
        return False
    if not getattr(agent, "_kvtel_watches", False):
        agent.__init__ = _finding(agent.__init__)
        agent.transfer = _telling(agent.transfer)
        agent.check_xfer_state = _telling(agent.check_xfer_state)
        handle.release = _releasing(handle.release)
        handle.__del__ = _releasing(handle.__del__)
        agent._kvtel_watches = True
    return True


def register():
    """Wraps the NIXL that is installed, if KVTEL_NIXL=1."""
    if os.environ.get("KVTEL_NIXL") != "1":
        return
    for name in ("nixl_cu13._api", "nixl_cu12._api", "nixl._api"):
        try:
            api = importlib.import_module(name)
        except ImportError:
            continue
        watch(api)
