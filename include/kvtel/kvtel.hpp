/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * A C++ face of store.h and recorder.h, in this header alone: objects that close what they own, std::string_view for
 * texts, a transfer that times itself and ends by itself. C++17 and later.
 *
 * It throws nothing of its own and needs no exceptions. Recording allocates nothing; making a store, a recorder or a
 * handle copies its texts, which allocates. Where something could not be made the object is empty: it is false, and
 * everything that is done with it does nothing, as NULL in C. libkvtel_record has all that it calls.
 */
#ifndef KVTEL_KVTEL_HPP
#define KVTEL_KVTEL_HPP

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <kvtel/recorder.h>

namespace kvtel
{

/** A store in a file, where `kvtel serve` finds it, or in the heap. Moves; any thread uses it. */
class Store
{
  public:
    /** An empty one. */
    Store() noexcept = default;
    /** A store in a file: kvtel_store_open(). `options` as KVTEL_STORE_OPTIONS() gives them; nullptr: the defaults. */
    static Store open(const kvtel_store_options *options = nullptr) noexcept
    {
        return Store(kvtel_store_open(options));
    }
    /** A store in the heap: kvtel_store_create(). */
    static Store in_heap(const kvtel_store_options *options = nullptr) noexcept
    {
        return Store(kvtel_store_create(options));
    }
    /** The file's path; empty for a store in the heap. Valid as long as the store. */
    std::string_view path() const noexcept
    {
        const char *text = store_ ? kvtel_store_path(store_.get()) : nullptr;
        return text ? std::string_view(text) : std::string_view();
    }
    /** The number of a peer, for Operation::begin(). @return as kvtel_store_peer() */
    std::uint32_t peer(std::string_view name) const
    {
        return store_ ? kvtel_store_peer(store_.get(), std::string(name).c_str()) : 0;
    }
    /** What the store counts about itself; all 0 for an empty one. */
    kvtel_store_info info() const noexcept
    {
        kvtel_store_info info = {};
        if (store_)
            kvtel_store_describe(store_.get(), &info);
        return info;
    }
    /** The store for the functions of C, owned by this object; nullptr: it could not be made. */
    kvtel_store *get() const noexcept
    {
        return store_.get();
    }
    /** Whether it could be made. */
    explicit operator bool() const noexcept
    {
        return store_ != nullptr;
    }

  private:
    struct Closer {
        void operator()(kvtel_store *store) const noexcept
        {
            kvtel_store_close(store);
        }
    };
    explicit Store(kvtel_store *store) noexcept : store_(store)
    {
    }
    std::unique_ptr<kvtel_store, Closer> store_;
};

/** The labels by which a transfer is found again. Copies freely; one may be used for many records. */
class Exemplar
{
  public:
    /** Adds a label; allocates nothing. @return as kvtel_exemplar_add() */
    bool add(std::string_view name, std::string_view value) noexcept
    {
        const Text name_text(name), value_text(value);
        return kvtel_exemplar_add(&exemplar_, name_text.get(), value_text.get());
    }
    /** Adds trace_id and span_id of a W3C `traceparent`. @return as kvtel_exemplar_add_traceparent() */
    bool add_traceparent(std::string_view traceparent) noexcept
    {
        const Text text(traceparent);
        return text.get() && kvtel_exemplar_add_traceparent(&exemplar_, text.get());
    }
    /** When the transfer was, CLOCK_REALTIME ns; without it the call that records reads the clock. */
    void at(std::uint64_t time_ns) noexcept
    {
        exemplar_.time_ns = time_ns;
    }
    /** The exemplar for the functions of C. */
    const kvtel_exemplar *get() const noexcept
    {
        return &exemplar_;
    }

  private:
    /* A text with a NUL behind it. What cannot be a label of an exemplar, because it is too long or has a NUL, is
     * nullptr, which C refuses. */
    class Text
    {
      public:
        explicit Text(std::string_view text) noexcept
            : is_whole_(text.size() <= KVTEL_EXEMPLAR_TEXT && text.find('\0') == std::string_view::npos)
        {
            if (!is_whole_)
                return;
            if (!text.empty())
                std::memcpy(copy_, text.data(), text.size());
            copy_[text.size()] = '\0';
        }
        const char *get() const noexcept
        {
            return is_whole_ ? copy_ : nullptr;
        }

      private:
        char copy_[KVTEL_EXEMPLAR_TEXT + 1];
        bool is_whole_;
    };
    kvtel_exemplar exemplar_ = {};
};

class Transfer;

/** A kind of transfer of a recorder, which must outlive it. Copies freely; any thread records. */
class Operation
{
  public:
    /** An empty one. */
    Operation() noexcept = default;
    /** One of C. */
    explicit Operation(const kvtel_operation *operation) noexcept : operation_(operation)
    {
    }
    /** Records a finished transfer. @return as kvtel_record_operation() */
    bool record(const kvtel_transfer &transfer) const noexcept
    {
        return kvtel_record_operation(operation_, &transfer);
    }
    /** Records a finished transfer with an exemplar. @return as kvtel_record_exemplar() */
    bool record(const kvtel_transfer &transfer, const Exemplar &exemplar) const noexcept
    {
        return kvtel_record_exemplar(operation_, &transfer, exemplar.get());
    }
    /** Records many. @return as kvtel_record_transfers() */
    std::size_t record(const kvtel_transfer *transfers, std::size_t count) const noexcept
    {
        return kvtel_record_transfers(operation_, transfers, count);
    }
    /** Begins a transfer of `bytes` (0: not known) with a peer of Store::peer() (0: not known). */
    Transfer begin(std::uint64_t bytes = 0, std::uint32_t peer = 0) const noexcept;
    /** The handle for the functions of C; nullptr: it records nothing. */
    const kvtel_operation *get() const noexcept
    {
        return operation_;
    }
    /** Whether it records anything. */
    explicit operator bool() const noexcept
    {
        return operation_ != nullptr;
    }

  private:
    const kvtel_operation *operation_ = nullptr;
};

/** A transfer that is under way, from Operation::begin() until done() or fail(). One that is destroyed before has
 * failed: the class that it is told is counted. Where the recorder has `open_transfers` other processes see it. Moves;
 * one thread at a time. Its recorder outlives it. */
class Transfer
{
  public:
    /** Takes over the transfer of `other`, which is left without one. */
    Transfer(Transfer &&other) noexcept
        : token_(other.token_), points_(other.points_), failure_(other.failure_),
          is_over_(std::exchange(other.is_over_, true))
    {
    }
    /** Ends its own as one that failed, and takes over that of `other`. */
    Transfer &operator=(Transfer &&other) noexcept
    {
        if (this != &other) {
            fail();
            token_ = other.token_;
            points_ = other.points_;
            failure_ = other.failure_;
            is_over_ = std::exchange(other.is_over_, true);
        }
        return *this;
    }
    Transfer(const Transfer &) = delete;
    Transfer &operator=(const Transfer &) = delete;
    ~Transfer()
    {
        fail();
    }
    /** The request was handed over. */
    void posted() noexcept
    {
        points_.posted_ns = kvtel_now_ns();
    }
    /** The first byte arrived. */
    void first_byte() noexcept
    {
        points_.first_byte_ns = kvtel_now_ns();
    }
    /** It is complete. `bytes` 0: those that the begin told; `descriptors` 0: not known. @return whether it was
     * recorded; false as well for a second call */
    bool done(std::uint64_t bytes = 0, std::uint64_t descriptors = 0) noexcept
    {
        return end(nullptr, bytes, descriptors);
    }
    /** The same, with an exemplar. @return likewise */
    bool done(const Exemplar &exemplar, std::uint64_t bytes = 0, std::uint64_t descriptors = 0) noexcept
    {
        return end(exemplar.get(), bytes, descriptors);
    }
    /** It failed. @return whether that was counted; false as well for a second call */
    bool fail(kvtel_failure failure) noexcept
    {
        return !std::exchange(is_over_, true) && kvtel_transfer_fail(&token_, failure);
    }
    /** It failed as the class of fails_as(). */
    bool fail() noexcept
    {
        return fail(failure_);
    }
    /** Which class is counted when it is destroyed; KVTEL_FAILED_TRANSFER if it is not told. */
    void fails_as(kvtel_failure failure) noexcept
    {
        failure_ = failure;
    }

  private:
    friend class Operation;
    Transfer(const kvtel_operation *operation, std::uint64_t bytes, std::uint32_t peer) noexcept
    {
        kvtel_transfer_start start = {};
        start.bytes = bytes;
        start.peer = peer;
        start.began_ns = points_.submitted_ns = kvtel_now_ns();
        token_ = kvtel_transfer_begin(operation, &start);
    }
    bool end(const kvtel_exemplar *exemplar, std::uint64_t bytes, std::uint64_t descriptors) noexcept
    {
        if (std::exchange(is_over_, true))
            return false;
        points_.bytes = bytes;
        points_.descriptors = descriptors;
        points_.done_ns = kvtel_now_ns();
        return kvtel_transfer_end_exemplar(&token_, &points_, exemplar);
    }
    kvtel_transfer_token token_ = {};
    kvtel_transfer points_ = {};
    kvtel_failure failure_ = KVTEL_FAILED_TRANSFER;
    bool is_over_ = false;
};

inline Transfer Operation::begin(std::uint64_t bytes, std::uint32_t peer) const noexcept
{
    return Transfer(operation_, bytes, peer);
}

/** A level, a count or a sample of a recorder, which must outlive it. Copies freely; any thread records. */
class Instrument
{
  public:
    /** An empty one. */
    Instrument() noexcept = default;
    /** One of C. */
    explicit Instrument(const kvtel_instrument *instrument) noexcept : instrument_(instrument)
    {
    }
    /** @return as kvtel_record_value() */
    bool record(double value) const noexcept
    {
        return instrument_ && kvtel_record_value(instrument_, value);
    }
    /** Whether it records anything. */
    explicit operator bool() const noexcept
    {
        return instrument_ != nullptr;
    }

  private:
    const kvtel_instrument *instrument_ = nullptr;
};

/** A connector's metrics in a store, which must outlive it. Moves. One thread at a time makes handles; any thread
 * records. */
class Recorder
{
  public:
    /** An empty one. */
    Recorder() noexcept = default;
    /** @param connector a configured name or a class name; of one that no table has nothing is recorded
     * @param options as KVTEL_RECORDER_OPTIONS() gives them; nullptr: the defaults */
    Recorder(const Store &store, std::string_view connector, const kvtel_recorder_options *options = nullptr)
        : Recorder(store, kvtel_connector_find(std::string(connector).c_str()), options)
    {
    }
    /** With a table of one's own. */
    Recorder(const Store &store, const kvtel_connector *connector,
             const kvtel_recorder_options *options = nullptr) noexcept
        : recorder_(store ? kvtel_recorder_create(store.get(), connector, options) : nullptr)
    {
    }
    /** A kind of transfer by its name and status; kvtel_recorder_operation(). */
    Operation operation(std::string_view name, std::string_view status = "ok") const
    {
        return Operation(
            kvtel_recorder_operation(recorder_.get(), std::string(name).c_str(), std::string(status).c_str()));
    }
    /** The connector's first kind of transfer. */
    Operation operation() const noexcept
    {
        return Operation(kvtel_recorder_operation(recorder_.get(), nullptr, nullptr));
    }
    /** A field by its key, or a typed metric with the values of its labels; kvtel_recorder_instrument(). */
    Instrument instrument(std::string_view key, std::initializer_list<std::string_view> labels = {}) const
    {
        const std::vector<std::string> values(labels.begin(), labels.end());
        std::vector<const char *> texts;
        for (const std::string &value : values)
            texts.push_back(value.c_str());
        return Instrument(
            kvtel_recorder_instrument(recorder_.get(), std::string(key).c_str(), texts.data(), texts.size()));
    }
    /** Records one failure. @return as kvtel_record_failure() */
    bool fail(kvtel_failure failure) const noexcept
    {
        return kvtel_record_failure(recorder_.get(), failure);
    }
    /** The recorder for the functions of C, owned by this object; nullptr: it records nothing. */
    kvtel_recorder *get() const noexcept
    {
        return recorder_.get();
    }
    /** Whether it records anything. */
    explicit operator bool() const noexcept
    {
        return recorder_ != nullptr;
    }

  private:
    struct Closer {
        void operator()(kvtel_recorder *recorder) const noexcept
        {
            kvtel_recorder_destroy(recorder);
        }
    };
    std::unique_ptr<kvtel_recorder, Closer> recorder_;
};

} // namespace kvtel

#endif
