/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Recording copies that CUDA events timed, many at once. C++17 and later; it includes cuda_runtime.h and calls the CUDA
 * runtime, which the program links. Recording waits for nothing: a copy that is not done yet is recorded later.
 */
#ifndef KVTEL_KVTEL_CUDA_HPP
#define KVTEL_KVTEL_CUDA_HPP

#include <cuda_runtime.h>

#include <kvtel/kvtel.hpp>

namespace kvtel
{

/** Records `count` copies, the i-th of `bytes[i]` bytes and of the time that cudaEventElapsedTime() gave. Allocates
 * nothing.
 * @param milliseconds such times, in pinned memory or not; NaN: not measured; a negative one is refused and counted
 * @return how many were recorded */
inline std::size_t record_event_times(Operation operation, const float *milliseconds, const std::uint64_t *bytes,
                                      std::size_t count) noexcept
{
    constexpr std::size_t at_once = 64;
    std::size_t recorded = 0;
    for (std::size_t first = 0; first < count; first += at_once) {
        kvtel_transfer transfers[at_once] = {};
        const std::size_t size = count - first < at_once ? count - first : at_once;
        for (std::size_t i = 0; i < size; i++) {
            const double ns = static_cast<double>(milliseconds[first + i]) * 1e6;
            transfers[i].duration_ns = ns != ns                   ? KVTEL_UNMEASURED
                                       : ns >= 0.0 && ns < 0x1p62 ? static_cast<std::uint64_t>(ns + 0.5)
                                                                  : UINT64_MAX;
            transfers[i].bytes = bytes[first + i];
        }
        recorded += operation.record(transfers, size);
    }
    return recorded;
}

/** Copies under way on streams, each between two events, of which the times are recorded as a batch. Stays where it was
 * made; one thread at a time. Its operation's recorder outlives it. */
class CopyBatch
{
  public:
    /** @param operation each copy is one of its transfers
     * @param capacity how many copies can be under way; two events and 12 bytes of pinned memory for each. Check
     * error() */
    CopyBatch(Operation operation, std::size_t capacity) : operation_(operation)
    {
        void *memory = nullptr;
        error_ = cudaHostAlloc(&memory, capacity * (sizeof(std::uint64_t) + sizeof(float)), cudaHostAllocDefault);
        if (error_ != cudaSuccess)
            return;
        bytes_ = static_cast<std::uint64_t *>(memory);
        milliseconds_ = reinterpret_cast<float *>(bytes_ + capacity);
        events_.reserve(capacity * 2);
        while (events_.size() < capacity * 2 && error_ == cudaSuccess) {
            cudaEvent_t event = nullptr;
            error_ = cudaEventCreate(&event);
            if (error_ == cudaSuccess)
                events_.push_back(event);
        }
        if (error_ == cudaSuccess)
            capacity_ = capacity;
    }
    CopyBatch(const CopyBatch &) = delete;
    CopyBatch &operator=(const CopyBatch &) = delete;
    /** Copies that are still under way are not recorded: call record(true) before. */
    ~CopyBatch()
    {
        for (cudaEvent_t event : events_)
            cudaEventDestroy(event);
        if (bytes_)
            cudaFreeHost(bytes_);
    }

    /** A copy begins: put it on the stream behind this call. @return false: as many as fit are under way (record()
     * makes room), or CUDA refused; the copy is then not timed, and end() must not be called for it */
    bool begin(cudaStream_t stream, std::uint64_t bytes) noexcept
    {
        if (count_ == capacity_)
            return false;
        const std::size_t at = place(count_);
        error_ = cudaEventRecord(events_[at * 2], stream);
        if (error_ != cudaSuccess)
            return false;
        bytes_[at] = bytes;
        return true;
    }
    /** The copy that was begun last is on the stream. @return false: CUDA refused, and the copy is not timed */
    bool end(cudaStream_t stream) noexcept
    {
        error_ = cudaEventRecord(events_[place(count_) * 2 + 1], stream);
        if (error_ != cudaSuccess)
            return false;
        count_++;
        return true;
    }
    /** Records the copies that are done, the oldest first, up to the first that is not.
     * @param wait waits for all of them
     * @return how many were recorded */
    std::size_t record(bool wait = false) noexcept
    {
        std::size_t recorded = 0;
        while (count_ > 0) {
            /* As many as lie one behind the other in the arrays. */
            const std::size_t most = oldest_ + count_ < capacity_ ? count_ : capacity_ - oldest_;
            std::size_t done = 0;
            while (done < most && read(oldest_ + done, wait))
                done++;
            recorded += record_event_times(operation_, milliseconds_ + oldest_, bytes_ + oldest_, done);
            oldest_ = (oldest_ + done) % capacity_;
            count_ -= done;
            if (done < most)
                break;
        }
        return recorded;
    }
    /** How many copies are under way, or done and not recorded yet. */
    std::size_t pending() const noexcept
    {
        return count_;
    }
    /** What CUDA said last. */
    cudaError_t error() const noexcept
    {
        return error_;
    }

  private:
    std::size_t place(std::size_t i) const noexcept
    {
        return (oldest_ + i) % capacity_;
    }
    /* The time of a copy into the array; false: it is under way. An error of CUDA leaves the time not measured. */
    bool read(std::size_t at, bool wait) noexcept
    {
        const cudaEvent_t end = events_[at * 2 + 1];
        cudaError_t result = wait ? cudaEventSynchronize(end) : cudaEventQuery(end);
        if (result == cudaErrorNotReady) {
            if (cudaPeekAtLastError() == cudaErrorNotReady)
                (void)cudaGetLastError(); /* else the program's next check would find it */
            return false;
        }
        if (result == cudaSuccess)
            result = cudaEventElapsedTime(&milliseconds_[at], events_[at * 2], end);
        if (result != cudaSuccess) {
            error_ = result;
            milliseconds_[at] = __builtin_nanf("");
        }
        return true;
    }

    Operation operation_;
    std::vector<cudaEvent_t> events_; /* begin and end of each place */
    std::uint64_t *bytes_ = nullptr;  /* pinned; owns the block */
    float *milliseconds_ = nullptr;   /* behind them in the block */
    std::size_t capacity_ = 0, oldest_ = 0, count_ = 0;
    cudaError_t error_ = cudaSuccess;
};

} // namespace kvtel

#endif
