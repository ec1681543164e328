# SPDX-License-Identifier: Apache-2.0
"""Tells NIXL's plug-in (libkvtel_nixl.so) how each transfer of nixl_agent ended, and who its peers are under vLLM.

NIXL tells its plug-ins of no failure, and of no transfer that was done when the posting call returned; nixl_agent's
methods return both. A program calls register() before it makes an agent, with KVTEL_NIXL=1 in the environment; vLLM does so
by itself in each process, by the entry point vllm.general_plugins. Without the plug-in nothing is told.

Nothing here raises into the program, and NIXL is not imported before the program does it.
"""

import ctypes
import functools
import os

from ._hooks import guarded, is_free, say_once, when_imported

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
_LIBRARIES = ("libkvtel_nixl.so", "libtrace_backend_kvtel.so", "libtelemetry_exporter_kvtel.so")
_MODULES = ("nixl_cu13._api", "nixl_cu12._api", "nixl_rocm._api", "nixl._api")
# Where vLLM's workers add a peer's agent: (module, class).
_WORKERS = (
    ("vllm.distributed.kv_transfer.kv_connector.v1.nixl.base_worker", "NixlBaseConnectorWorker"),
    ("vllm.distributed.kv_transfer.kv_connector.v1.nixl.worker", "NixlConnectorWorker"),
)


class _Plugin:
    """The functions of the library that NIXL has loaded into this process. None is called before it is there."""

    def __init__(self):
        self._library = None

    @guarded
    def find(self):
        """Returns the library, or None while NIXL has not loaded it."""
        if self._library is None:
            path = _loaded_path()
            if path:
                library = ctypes.PyDLL(path, mode=os.RTLD_NOLOAD | os.RTLD_NOW)
                library.kvtel_nixl_outcome.argtypes = [ctypes.c_uint64, ctypes.c_int]
                library.kvtel_nixl_post.argtypes = [ctypes.c_uint64]
                library.kvtel_nixl_post.restype = ctypes.c_uint64
                library.kvtel_nixl_released.argtypes = [ctypes.c_uint64, ctypes.c_uint64]
                library.kvtel_nixl_peer.argtypes = [ctypes.c_char_p, ctypes.c_char_p]
                for function in (library.kvtel_nixl_outcome, library.kvtel_nixl_released, library.kvtel_nixl_peer):
                    function.restype = None
                self._library = library
        return self._library

    @guarded
    def tell(self, handle, status):
        if self._library is not None:
            self._library.kvtel_nixl_outcome(_number_of(handle), status)

    @guarded
    def open_post(self, handle):
        """Returns the number of a handle's open post, for release(); 0: there is none."""
        return self._library.kvtel_nixl_post(_number_of(handle)) if self._library is not None else 0

    @guarded
    def release(self, handle, post):
        """A handle was given up, of which this was the open post. NIXL may have given its address to another handle since
        then."""
        self._library.kvtel_nixl_released(_number_of(handle), post)

    @guarded
    def name(self, agent, name):
        """A peer's agent, whose name is in bytes, has a better name."""
        if self.find() is not None:
            self._library.kvtel_nixl_peer(agent, name.encode())


def _number_of(handle):
    return int(getattr(handle, "_handle", handle))


def _loaded_path():
    try:
        with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as maps:
            for line in maps:
                path = line.rstrip("\n").partition("/")
                if path[1] and os.path.basename(path[2]) in _LIBRARIES:
                    return "/" + path[2]
    except OSError:
        pass
    return None


plugin = _Plugin()


def status_of(error):
    """Returns NIXL's status for an exception of its bindings, or None for another exception."""
    name = type(error).__name__.lower()
    return next((status for word, status in STATUSES.items() if word in name), None) if "nixl" in name else None


def _handle_of(arguments, options):
    return arguments[0] if arguments else options.get("handle")


def _telling(method):
    @functools.wraps(method)
    def call(self, *arguments, **options):
        handle = _handle_of(arguments, options)
        try:
            state = method(self, *arguments, **options)
        except Exception as error:
            status = status_of(error)
            if status is not None:
                plugin.tell(handle, status)
            raise
        plugin.tell(handle, _OUTCOMES.get(state, 1) if isinstance(state, str) else 1)
        return state

    return call


@guarded
def _was_kept(handle):
    """Whether NIXL's __del__ could not release a handle, and put it aside."""
    leaked = getattr(handle._agent, "_leaked_xfer_handles", None)
    return bool(leaked) and leaked[-1] == handle._handle


def _releasing(method, may_keep):
    """`may_keep`: whether the method hides that NIXL did not release the handle."""

    @functools.wraps(method)
    def call(self, *arguments, **options):
        post = 0 if getattr(self, "_released", False) else plugin.open_post(self)
        answer = method(self, *arguments, **options)  # a transfer that goes on is not released: this raises
        if post and not (may_keep and _was_kept(self)):
            plugin.release(self, post)
        return answer

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
    methods = [(agent, "transfer"), (agent, "check_xfer_state"), (handle, "release"), (handle, "__del__")]
    if not all(hasattr(owner, name) for owner, name in methods):
        say_once("%s has no nixl_agent and nixl_xfer_handle as known here: outcomes are not told", api.__name__)
        return False
    if is_free(agent):
        agent.__init__ = _finding(agent.__init__)
        agent.transfer = _telling(agent.transfer)
        agent.check_xfer_state = _telling(agent.check_xfer_state)
        handle.release = _releasing(handle.release, may_keep=False)
        handle.__del__ = _releasing(handle.__del__, may_keep=True)
    return True


@guarded
def _name_peer(agent, metadata, rank=0):
    """NIXL gives an agent's name as bytes, though it says str."""
    if agent:
        plugin.name(agent.encode() if isinstance(agent, str) else agent, f"{metadata.engine_id}/{rank}")


def _naming(method):
    """add_remote_agent(metadata of a peer, its rank) of vLLM's worker returns the name of the peer's agent."""

    @functools.wraps(method)
    def call(self, *arguments, **options):
        name = method(self, *arguments, **options)
        _name(name, arguments, options)
        return name

    @guarded
    def _name(name, arguments, options):
        metadata = arguments[0] if arguments else options["nixl_agent_meta"]
        _name_peer(name, metadata, arguments[1] if len(arguments) > 1 else options.get("remote_tp_rank", 0))

    return call


def watch_worker(class_name, module):
    """Wraps vLLM's worker of NIXL, which knows the engine and the rank of each peer."""
    worker = getattr(module, class_name, None)
    if not hasattr(worker, "add_remote_agent"):
        say_once("%s has no %s.add_remote_agent: peers have their agents' names", module.__name__, class_name)
    elif is_free(worker):
        worker.add_remote_agent = _naming(worker.add_remote_agent)


def register():
    """Wraps the NIXL that is installed, and vLLM's worker, when they are imported, if KVTEL_NIXL=1."""
    if os.environ.get("KVTEL_NIXL") != "1":
        return
    for name in _MODULES:
        when_imported(name, watch)
    for name, class_name in _WORKERS:
        when_imported(name, functools.partial(watch_worker, class_name))
