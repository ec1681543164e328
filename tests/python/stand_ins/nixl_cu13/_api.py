# SPDX-License-Identifier: Apache-2.0
class nixlBackendError(Exception):
    pass


class nixlRemoteDisconnectError(Exception):
    pass


class Bindings:
    """NIXL's own agent: states and failures are set by the test."""

    def __init__(self):
        self.states, self.cannot_release, self.released = {}, set(), []
        self._leaked_xfer_handles = []

    def state(self, handle):
        state = self.states[handle]
        if isinstance(state, Exception):
            raise state
        return state

    def releaseXferReq(self, handle):
        if handle in self.cannot_release:
            raise nixlBackendError("in flight")
        self.released.append(handle)


class nixl_xfer_handle:
    __slots__ = ("_handle", "_agent", "_released")

    def __init__(self, agent, value):
        self._handle, self._agent, self._released = value, agent, False

    def release(self):
        if not self._released:
            self._agent.releaseXferReq(self._handle)
            self._released = True

    def __del__(self):
        if not self._released:
            try:
                self._agent.releaseXferReq(self._handle)
            except Exception:
                self._agent._leaked_xfer_handles.append(self._handle)


class nixl_agent:
    def __init__(self, agent_name, nixl_conf=None, instantiate_all=False):
        self.agent = Bindings()

    def make(self, value):
        return nixl_xfer_handle(self.agent, value)

    def transfer(self, handle, notif_msg=b""):
        return self.agent.state(handle._handle)

    def check_xfer_state(self, handle):
        return self.agent.state(handle._handle)

    def release_xfer_handle(self, handle):
        handle.release()

    def add_remote_agent(self, metadata):
        return metadata  # bytes, as NIXL's, whatever its annotation says
