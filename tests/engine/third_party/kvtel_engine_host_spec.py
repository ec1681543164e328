# SPDX-License-Identifier: Apache-2.0
"""vLLM's CPUOffloadingSpec where the model itself runs on the CPU: blocks are copied within the host's memory, by PyTorch."""

import time

import torch
from vllm.v1.kv_offload.base import OffloadingWorker, TransferResult
from vllm.v1.kv_offload.cpu.spec import CPUOffloadingSpec


class HostWorker(OffloadingWorker):
    def __init__(self, caches, chunks, blocks_per_chunk):
        assert blocks_per_chunk == 1
        self.computed = [one.tensor.view(torch.int8).view(-1, one.page_size_bytes) for one in caches.tensors]
        self.offloaded = [torch.zeros((chunks, rows.shape[1]), dtype=torch.int8) for rows in self.computed]
        self.finished = []

    def copy(self, job, source, target, from_rows, to_rows):
        began, size = time.perf_counter(), 0
        read, write = (torch.as_tensor(blocks.block_ids.astype("int64")) for blocks in (source, target))
        for rows, others in zip(from_rows, to_rows):
            others[write] = rows[read]
            size += len(read) * rows.shape[1]
        took = time.perf_counter() - began
        self.finished.append(TransferResult(job_id=job, success=True, transfer_size=size, transfer_time=took))
        return True

    def submit_store(self, job_id, src_spec, dst_spec):
        return self.copy(job_id, src_spec, dst_spec, self.computed, self.offloaded)

    def submit_load(self, job_id, src_spec, dst_spec):
        return self.copy(job_id, src_spec, dst_spec, self.offloaded, self.computed)

    def get_finished(self):
        finished, self.finished = self.finished, []
        return finished

    def wait(self, job_ids):
        """Copies are done when they are submitted."""


class HostOffloadingSpec(CPUOffloadingSpec):
    def get_worker(self, kv_caches):
        self._worker = self._worker or HostWorker(kv_caches, self.num_chunks, self.blocks_per_chunk)
        return self._worker
