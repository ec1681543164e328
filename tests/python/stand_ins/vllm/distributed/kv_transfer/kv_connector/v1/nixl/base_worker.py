# SPDX-License-Identifier: Apache-2.0
from nixl_cu13._api import nixl_agent


class NixlBaseConnectorWorker:
    def __init__(self):
        self.nixl_wrapper = nixl_agent("local")

    def add_remote_agent(self, nixl_agent_meta, remote_tp_rank=0, remote_tp_size=1, remote_dcp_size=1):
        return self.nixl_wrapper.add_remote_agent(nixl_agent_meta.agent_metadata)
