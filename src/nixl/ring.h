/* SPDX-License-Identifier: Apache-2.0 */
/* One telemetry ring of a NIXL agent: its layout, and reading it while the agent writes. docs/nixl-rings.md explains
 * the rules. */
#ifndef KVTEL_NIXL_RING_H
#define KVTEL_NIXL_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The file consists of this header and `capacity` events. Positions are indexes of slots, not running counts:
 * read_pos is the oldest unread event, write_pos the slot to be written next, and one slot stays free. All numbers
 * are in the machine's byte order. */
struct kvtel_nixl_header {
    uint64_t write_pos;       /* 0: written by the agent only */
    uint64_t read_pos;        /* 8: written by the consumer, and set to 0 by an agent that starts */
    int32_t version;          /* 16: 0 until the header is complete */
    int32_t expected_version; /* 20 */
    uint64_t capacity;        /* 24: a power of two */
    uint64_t mask;            /* 32: capacity - 1 */
};
_Static_assert(sizeof(struct kvtel_nixl_header) == 40, "NIXL's ring");
_Static_assert(offsetof(struct kvtel_nixl_header, read_pos) == 8, "NIXL's ring");
_Static_assert(offsetof(struct kvtel_nixl_header, version) == 16, "NIXL's ring");
_Static_assert(offsetof(struct kvtel_nixl_header, capacity) == 24, "NIXL's ring");
_Static_assert(offsetof(struct kvtel_nixl_header, mask) == 32, "NIXL's ring");

/* An event of versions 3 and 4. */
struct kvtel_nixl_slot {
    uint32_t type;
    uint32_t padding; /* not initialised by the agent */
    uint64_t value;
};
_Static_assert(sizeof(struct kvtel_nixl_slot) == 16, "NIXL's versions 3 and 4");
_Static_assert(offsetof(struct kvtel_nixl_slot, value) == 8, "NIXL's versions 3 and 4");

struct kvtel_nixl_slot_2 {
    uint32_t category;
    uint8_t type;
    uint8_t padding[3];
    uint64_t value;
};
_Static_assert(sizeof(struct kvtel_nixl_slot_2) == 16, "NIXL's version 2");
_Static_assert(offsetof(struct kvtel_nixl_slot_2, type) == 4, "NIXL's version 2");

struct kvtel_nixl_slot_1 {
    uint64_t timestamp_us;
    uint32_t category;
    char name[32];
    uint32_t padding;
    uint64_t value;
};
_Static_assert(sizeof(struct kvtel_nixl_slot_1) == 56, "NIXL's version 1");
_Static_assert(offsetof(struct kvtel_nixl_slot_1, name) == 12, "NIXL's version 1");
_Static_assert(offsetof(struct kvtel_nixl_slot_1, value) == 48, "NIXL's version 1");

/* All types of event in the order of their numbers, each with its name in version 1. */
#define KVTEL_NIXL_EVENT_LIST(X)                                       \
    X(KVTEL_NIXL_TX_BYTES, "agent_tx_bytes")                           \
    X(KVTEL_NIXL_RX_BYTES, "agent_rx_bytes")                           \
    X(KVTEL_NIXL_TX_REQUESTS, "agent_tx_requests_num")                 \
    X(KVTEL_NIXL_RX_REQUESTS, "agent_rx_requests_num")                 \
    X(KVTEL_NIXL_REGISTERED, "agent_memory_registered")                \
    X(KVTEL_NIXL_DEREGISTERED, "agent_memory_deregistered")            \
    X(KVTEL_NIXL_XFER_TIME, "agent_xfer_time")                         \
    X(KVTEL_NIXL_POST_TIME, "agent_xfer_post_time")                    \
    X(KVTEL_NIXL_ERR_NOT_POSTED, "agent_err_not_posted")               \
    X(KVTEL_NIXL_ERR_INVALID_PARAM, "agent_err_invalid_param")         \
    X(KVTEL_NIXL_ERR_BACKEND, "agent_err_backend")                     \
    X(KVTEL_NIXL_ERR_NOT_FOUND, "agent_err_not_found")                 \
    X(KVTEL_NIXL_ERR_MISMATCH, "agent_err_mismatch")                   \
    X(KVTEL_NIXL_ERR_NOT_ALLOWED, "agent_err_not_allowed")             \
    X(KVTEL_NIXL_ERR_REPOST_ACTIVE, "agent_err_repost_active")         \
    X(KVTEL_NIXL_ERR_UNKNOWN, "agent_err_unknown")                     \
    X(KVTEL_NIXL_ERR_NOT_SUPPORTED, "agent_err_not_supported")         \
    X(KVTEL_NIXL_ERR_REMOTE_DISCONNECT, "agent_err_remote_disconnect") \
    X(KVTEL_NIXL_ERR_CANCELED, "agent_err_canceled")                   \
    X(KVTEL_NIXL_ERR_NO_TELEMETRY, "agent_err_no_telemetry")           \
    X(KVTEL_NIXL_EVENTS_DROPPED, "agent_telemetry_events_dropped")

enum kvtel_nixl_event_type {
#define X(name, text) name,
    KVTEL_NIXL_EVENT_LIST(X)
#undef X
        KVTEL_NIXL_EVENT_TYPES,
    KVTEL_NIXL_UNRECOGNISED = KVTEL_NIXL_EVENT_TYPES
};

/* The name of a type in version 1; NULL outside the list. */
const char *kvtel_nixl_event_name(enum kvtel_nixl_event_type type);

struct kvtel_nixl_event {
    enum kvtel_nixl_event_type type;
    uint64_t value; /* bytes, microseconds or a count, depending on the type */
};

/* The states of a ring, each with its value of the `state` label. In states up to KVTEL_NIXL_BLOCKED events are
 * read. */
#define KVTEL_NIXL_STATE_LIST(X)                                                                       \
    X(KVTEL_NIXL_READ, "read")                       /* kvtel consumes the events */                   \
    X(KVTEL_NIXL_CONTENDED, "contended")             /* another reader consumes them, kvtel follows */ \
    X(KVTEL_NIXL_READ_ONLY, "read_only")             /* kvtel may not write, and follows */            \
    X(KVTEL_NIXL_BLOCKED, "blocked")                 /* full and not consumed: new events are lost */  \
    X(KVTEL_NIXL_UNFINISHED, "unfinished")           /* its agent is starting, or failed to start */   \
    X(KVTEL_NIXL_UNSUPPORTED, "unsupported_version") /* left alone */                                  \
    X(KVTEL_NIXL_NOT_A_RING, "not_a_ring")           /* left alone */                                  \
    X(KVTEL_NIXL_UNREADABLE, "unreadable")                                                             \
    X(KVTEL_NIXL_OVER_LIMIT, "over_limit") /* too many rings: left alone */

enum kvtel_nixl_state {
#define X(name, text) name,
    KVTEL_NIXL_STATE_LIST(X)
#undef X
        KVTEL_NIXL_STATES
};
const char *kvtel_nixl_state_text(enum kvtel_nixl_state state);

/* Limit of the capacity, against hostile headers. */
#define KVTEL_NIXL_MAX_CAPACITY (UINT64_C(1) << 24)
/* A reader that leaves events unread for this long is considered gone: kvtel consumes again. */
#define KVTEL_NIXL_PATIENCE_NS UINT64_C(10000000000)

/* Single owner. Members may be read, but only the functions may change them. */
struct kvtel_nixl_ring {
    int fd; /* -1: closed; the other members are kept for reopening */
    bool writable;
    bool opened_early; /* the file was not a ring yet when it was opened, so it was opened for reading alone */
    bool locked, busy; /* kvtel holds the lock; another kvtel holds it */
    bool removed;      /* the file's name was removed */
    /* Wall-clock time of the last change of the file that was not made through the agent's mapping. */
    int64_t changed_ns;
    enum kvtel_nixl_state state;
    const char *reason; /* static text; "" in KVTEL_NIXL_READ */

    bool known; /* a valid header was read: the members below are set */
    uint64_t device, inode;
    int32_t version;
    uint64_t capacity;
    uint64_t read_pos, write_pos; /* as last read from the file, or written by kvtel */
    uint64_t next;                /* position of the next event to read; equals read_pos while kvtel consumes */
    bool consuming, contended, full;
    uint64_t moved_ns; /* contended: when the other reader was last seen to advance */

    uint64_t events, fulls, restarts, contentions; /* totals since kvtel_nixl_ring_init() */
};

void kvtel_nixl_ring_init(struct kvtel_nixl_ring *ring);
/* Opens the regular file `name` of a folder for reading; also for writing, if the file has a ring's header and a
 * size that fits, and its permissions allow it. A ring that was unfinished is opened again once it is complete.
 * False: `state` and `reason` say why. */
bool kvtel_nixl_ring_open(struct kvtel_nixl_ring *ring, int folder, const char *name);
/* Uses `fd`, which must be a regular file; the ring owns it from now on. If it is the same file as before, the
 * ring's members are kept. */
bool kvtel_nixl_ring_attach(struct kvtel_nixl_ring *ring, int fd, bool writable);
void kvtel_nixl_ring_close(struct kvtel_nixl_ring *ring);

/* Reads the header, detects restarts, other readers and a full ring, and sets `state`. Returns the number of events
 * to take. `now_ns` is from any clock that does not go back. */
uint64_t kvtel_nixl_ring_look(struct kvtel_nixl_ring *ring, uint64_t now_ns);
/* Takes up to `max` of the events that the last look found. Their slots are returned to the agent before this
 * function returns: a process that is killed then loses these events, but never counts them twice. 0: none are left,
 * or the ring has changed and needs another look. */
size_t kvtel_nixl_ring_take(struct kvtel_nixl_ring *ring, struct kvtel_nixl_event *events, size_t max);

#endif
