/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a telemetry ring of a NIXL agent.
 *
 * The agent maps the file. kvtel uses only pread() and pwrite(), which go through the same page cache: a restarting
 * agent may truncate the file, and then an access through a mapping would raise SIGBUS, while pread() just returns
 * fewer bytes. The positions are aligned words, which the kernel copies with one move, so a half-written one is not
 * expected. Nevertheless the header is read again before anything is concluded from it, and again after the events
 * were read (kvtel_nixl_ring_take()). */
#include "nixl/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEADER_SIZE sizeof(struct kvtel_nixl_header)

enum { BATCH = 256 };

const char *kvtel_nixl_event_name(enum kvtel_nixl_event_type type)
{
    static const char *const names[] = {
#define X(name, text) text,
        KVTEL_NIXL_EVENT_LIST(X)
#undef X
    };
    return (unsigned)type < KVTEL_NIXL_EVENT_TYPES ? names[type] : NULL;
}

const char *kvtel_nixl_state_text(enum kvtel_nixl_state state)
{
    static const char *const texts[] = {
#define X(name, text) text,
        KVTEL_NIXL_STATE_LIST(X)
#undef X
    };
    return (unsigned)state < KVTEL_NIXL_STATES ? texts[state] : NULL;
}

/* Changes the state. Returns false, so that a caller can return it. */
static bool become(struct kvtel_nixl_ring *ring, enum kvtel_nixl_state state, const char *reason)
{
    ring->state = state;
    ring->reason = reason;
    return false;
}

void kvtel_nixl_ring_init(struct kvtel_nixl_ring *ring)
{
    *ring = (struct kvtel_nixl_ring){ .fd = -1, .state = KVTEL_NIXL_UNREADABLE, .reason = "not opened" };
}

bool kvtel_nixl_ring_attach(struct kvtel_nixl_ring *ring, int fd, bool writable)
{
    struct stat file;
    kvtel_nixl_ring_close(ring);
    if (fstat(fd, &file) != 0 || !S_ISREG(file.st_mode)) {
        close(fd);
        return become(ring, KVTEL_NIXL_NOT_A_RING, "not a regular file");
    }
    if (ring->known && (ring->device != file.st_dev || ring->inode != file.st_ino)) {
        ring->known = false;
        ring->restarts++;
    }
    ring->fd = fd;
    ring->writable = writable;
    ring->device = file.st_dev;
    ring->inode = file.st_ino;
    return true;
}

void kvtel_nixl_ring_close(struct kvtel_nixl_ring *ring)
{
    if (ring->fd >= 0)
        close(ring->fd);
    ring->fd = -1;
    ring->locked = false;
}

static uint64_t event_size(int32_t version)
{
    return version == 1 ? sizeof(struct kvtel_nixl_slot_1) : sizeof(struct kvtel_nixl_slot);
}

static bool read_exactly(const struct kvtel_nixl_ring *ring, void *bytes, size_t size, uint64_t at)
{
    ssize_t got;
    do
        got = pread(ring->fd, bytes, size, (off_t)at);
    while (got < 0 && errno == EINTR);
    return got == (ssize_t)size;
}

static bool check_header(struct kvtel_nixl_ring *ring, const struct kvtel_nixl_header *header, uint64_t size)
{
    uint64_t capacity = header->capacity;
    if (header->version == 0 && header->mask == (capacity == 0 ? 0 : capacity - 1))
        return become(ring, KVTEL_NIXL_UNFINISHED,
                      "its header has no version yet: an agent is starting, or was refused its settings");
    if (header->version != header->expected_version || header->version < 1 || header->version > 999)
        return become(ring, KVTEL_NIXL_NOT_A_RING, "no version in its header");
    if (header->version > 4)
        return become(ring, KVTEL_NIXL_UNSUPPORTED,
                      "written by a NIXL that is newer than what kvtel reads (versions 1 to 4)");
    if (capacity < 2 || capacity > KVTEL_NIXL_MAX_CAPACITY || (capacity & (capacity - 1)) != 0)
        return become(ring, KVTEL_NIXL_NOT_A_RING, "its capacity is not a power of two from 2 to 16,777,216");
    if (header->mask != capacity - 1)
        return become(ring, KVTEL_NIXL_NOT_A_RING, "its mask does not belong to its capacity");
    if (size != HEADER_SIZE + capacity * event_size(header->version))
        return become(ring, KVTEL_NIXL_NOT_A_RING, "the file's size does not belong to its capacity");
    if (header->read_pos >= capacity || header->write_pos >= capacity)
        return become(ring, KVTEL_NIXL_NOT_A_RING, "a position lies outside of it");
    return true;
}

static bool read_header(struct kvtel_nixl_ring *ring, struct kvtel_nixl_header *header)
{
    struct stat file;
    if (fstat(ring->fd, &file) != 0)
        return become(ring, KVTEL_NIXL_UNREADABLE, strerrordesc_np(errno));
    ring->removed = file.st_nlink == 0;
    ring->changed_ns = (int64_t)file.st_ctim.tv_sec * 1000000000 + file.st_ctim.tv_nsec;
    if ((uint64_t)file.st_size < HEADER_SIZE)
        return become(ring, KVTEL_NIXL_NOT_A_RING, "smaller than a header");
    if (!read_exactly(ring, header, HEADER_SIZE, 0))
        return become(ring, KVTEL_NIXL_UNREADABLE, "its header could not be read");
    return check_header(ring, header, (uint64_t)file.st_size);
}

/* Whether the error is a shortage of the process or the system, which may pass. */
static bool is_shortage(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOMEM || error == EINTR || error == EAGAIN;
}

/* Whether both descriptors are of the same file. */
static bool is_same_file(int fd, int other)
{
    struct stat one, two;
    return fstat(fd, &one) == 0 && fstat(other, &two) == 0 && one.st_dev == two.st_dev && one.st_ino == two.st_ino;
}

/* Opens a file for reading and, if it contains a ring, also for writing. Other files are not opened for writing,
 * because their owners would notice: a program cannot be started while it is open for writing, and watchers see a
 * written file. */
bool kvtel_nixl_ring_open(struct kvtel_nixl_ring *ring, int folder, const char *name)
{
    const int flags = O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
    struct kvtel_nixl_header header;
    int fd = openat(folder, name, O_RDONLY | flags);
    if (fd < 0)
        return become(ring, KVTEL_NIXL_UNREADABLE, strerrordesc_np(errno));
    if (!kvtel_nixl_ring_attach(ring, fd, false))
        return false;
    struct kvtel_nixl_ring found = { .fd = fd };
    ring->opened_early = !read_header(&found, &header);
    if (ring->opened_early)
        return true; /* kvtel_nixl_ring_look() determines what the file is */
    int writable = openat(folder, name, O_RDWR | flags);
    if (writable < 0 && is_shortage(errno)) {
        const char *reason = strerrordesc_np(errno);
        kvtel_nixl_ring_close(ring);
        return become(ring, KVTEL_NIXL_UNREADABLE, reason);
    }
    if (writable < 0)
        return true;
    if (is_same_file(fd, writable))
        return kvtel_nixl_ring_attach(ring, writable, true);
    close(writable); /* another file has the name by now; the next scan finds it */
    return true;
}

/* Reads the header. An invalid one means that the file was overwritten: the next valid header is that of a new ring. */
static bool read_good_header(struct kvtel_nixl_ring *ring, struct kvtel_nixl_header *header)
{
    bool good = read_header(ring, header);
    if (!good && ring->state != KVTEL_NIXL_UNREADABLE) {
        ring->restarts += ring->known;
        ring->known = false;
    }
    return good;
}

/* Number of events from one position to another. */
static uint64_t distance(const struct kvtel_nixl_ring *ring, uint64_t from, uint64_t to)
{
    return (to - from) & (ring->capacity - 1);
}

static bool same_shape(const struct kvtel_nixl_ring *ring, const struct kvtel_nixl_header *header)
{
    return header->version == ring->version && header->capacity == ring->capacity;
}

/* Whether an agent has restarted with this file: both positions are 0 then, and nothing else shows it. The case that
 * another reader stopped exactly at position 0 looks the same. Ambiguous cases count as a restart: this mistake
 * loses unread events, the opposite one would count old events twice. */
static bool is_restart(const struct kvtel_nixl_ring *ring, const struct kvtel_nixl_header *header)
{
    if (!same_shape(ring, header))
        return true;
    if (header->read_pos == ring->read_pos) /* in this case write_pos can only have advanced */
        return distance(ring, header->read_pos, header->write_pos) < distance(ring, ring->read_pos, ring->write_pos);
    uint64_t read = distance(ring, ring->read_pos, header->read_pos);
    uint64_t written = distance(ring, ring->write_pos, header->write_pos);
    return header->read_pos == 0 || read > distance(ring, ring->read_pos, ring->write_pos) + written;
}

/* Takes the lock that keeps a second kvtel from consuming the ring. The kernel releases it however the owner ends.
 * NIXL does not look at it. */
static bool lock(struct kvtel_nixl_ring *ring)
{
    struct flock region = { .l_type = F_WRLCK,
                            .l_whence = SEEK_SET,
                            .l_start = offsetof(struct kvtel_nixl_header, read_pos),
                            .l_len = sizeof(uint64_t) };
    if (ring->locked)
        return true;
    bool was_busy = ring->busy;
    /* With any other error the file system does not support locks; other readers are then noticed by their changes
     * to read_pos. */
    ring->busy = fcntl(ring->fd, F_OFD_SETLK, &region) != 0 && (errno == EAGAIN || errno == EACCES);
    ring->locked = !ring->busy;
    if (ring->locked && was_busy)
        ring->contended = false;
    return ring->locked;
}

/* Returns the slots before `next` to the agent. */
static void store_read_pos(struct kvtel_nixl_ring *ring)
{
    /* The events were read before; pairs with the agent's load of read_pos before it overwrites them. */
    atomic_thread_fence(memory_order_release);
    ssize_t put = pwrite(ring->fd, &ring->next, sizeof(ring->next), offsetof(struct kvtel_nixl_header, read_pos));
    if (put == (ssize_t)sizeof(ring->next)) {
        ring->read_pos = ring->next;
    } else {
        ring->consuming = false;
        ring->writable = false;
    }
}

/* Decides who consumes the ring, and the state that follows, also for a full ring. */
static void decide(struct kvtel_nixl_ring *ring, uint64_t now_ns)
{
    uint64_t unread = distance(ring, ring->read_pos, ring->write_pos);
    if (unread == 0)
        ring->moved_ns = now_ns; /* nothing is unread, so an idle other reader may still be there */
    else if (now_ns - ring->moved_ns >= KVTEL_NIXL_PATIENCE_NS)
        ring->contended = false;
    bool mine = ring->writable && lock(ring);
    /* If the other reader is ahead, kvtel catches up first, so that read_pos never moves back. */
    ring->consuming = mine && !ring->contended && distance(ring, ring->read_pos, ring->next) <= unread;
    if (ring->consuming)
        become(ring, KVTEL_NIXL_READ, "");
    else if (mine)
        become(ring, KVTEL_NIXL_CONTENDED, "another reader consumes it: followed without consuming");
    else if (ring->writable)
        become(ring, KVTEL_NIXL_CONTENDED, "another kvtel consumes it: followed without consuming");
    else
        become(ring, KVTEL_NIXL_READ_ONLY, "not writable: followed, until it is full if nobody else consumes it");

    bool full = unread == ring->capacity - 1;
    ring->fulls += full && !ring->full;
    ring->full = full && !ring->consuming;
    if (ring->full)
        become(ring, KVTEL_NIXL_BLOCKED,
               ring->writable ? "full: its agent drops events until its other reader goes on"
                              : "full and not writable: its agent drops events");
}

uint64_t kvtel_nixl_ring_look(struct kvtel_nixl_ring *ring, uint64_t now_ns)
{
    struct kvtel_nixl_header header;
    ring->consuming = false;
    if (ring->fd < 0 || !read_good_header(ring, &header))
        return 0;
    bool expected = header.read_pos == ring->read_pos && !is_restart(ring, &header);
    /* The header is read twice before a restart is concluded. */
    if (ring->known && !expected && !read_good_header(ring, &header))
        return 0;
    bool restart = ring->known && is_restart(ring, &header);
    if (!ring->known || restart) {
        ring->restarts += restart;
        ring->known = true;
        ring->version = header.version;
        ring->capacity = header.capacity;
        ring->next = header.read_pos;
        ring->contended = ring->full = false;
    } else if (header.read_pos != ring->read_pos) {
        ring->contentions += ring->locked && !ring->contended;
        ring->contended = true;
        ring->moved_ns = now_ns;
    }
    ring->read_pos = header.read_pos;
    ring->write_pos = header.write_pos;
    decide(ring, now_ns);
    if (ring->consuming && ring->next != ring->read_pos)
        store_read_pos(ring);
    /* write_pos was read before the events are; pairs with the agent's release store of write_pos. */
    atomic_thread_fence(memory_order_acquire);
    return distance(ring, ring->next, ring->write_pos);
}

static enum kvtel_nixl_event_type type_of_name(const char name[32])
{
    for (unsigned type = 0; type < KVTEL_NIXL_EVENT_TYPES; type++) {
        if (strncmp(name, kvtel_nixl_event_name(type), 32) == 0)
            return type;
    }
    return KVTEL_NIXL_UNRECOGNISED;
}

static struct kvtel_nixl_event decode(int32_t version, const unsigned char *bytes)
{
    union {
        struct kvtel_nixl_slot_1 one;
        struct kvtel_nixl_slot_2 two;
        struct kvtel_nixl_slot four;
    } slot;
    memcpy(&slot, bytes, event_size(version));
    if (version == 1)
        return (struct kvtel_nixl_event){ type_of_name(slot.one.name), slot.one.value };
    uint32_t type = version == 2 ? slot.two.type : slot.four.type;
    /* in earlier versions 20 has another meaning */
    uint32_t types = version == 4 ? KVTEL_NIXL_EVENT_TYPES : KVTEL_NIXL_EVENTS_DROPPED;
    return (struct kvtel_nixl_event){ type < types ? type : KVTEL_NIXL_UNRECOGNISED, slot.four.value };
}

static bool is_followed(const struct kvtel_nixl_ring *ring)
{
    return ring->fd >= 0 && ring->known && ring->state <= KVTEL_NIXL_BLOCKED;
}

size_t kvtel_nixl_ring_take(struct kvtel_nixl_ring *ring, struct kvtel_nixl_event *events, size_t max)
{
    unsigned char bytes[BATCH * sizeof(struct kvtel_nixl_slot_1)];
    if (!is_followed(ring))
        return 0;
    uint64_t count = distance(ring, ring->next, ring->write_pos), size = event_size(ring->version);
    count = count < max ? count : max;
    count = count < BATCH ? count : BATCH;
    count = count < ring->capacity - ring->next ? count : ring->capacity - ring->next;
    if (count == 0 || !read_exactly(ring, bytes, count * size, HEADER_SIZE + ring->next * size))
        return 0;
    /* The events were read before the header is read again: if the header changed, the agent may have overwritten
     * them. */
    atomic_thread_fence(memory_order_acquire);
    struct kvtel_nixl_header header;
    if (!read_exactly(ring, &header, HEADER_SIZE, 0) || is_restart(ring, &header) ||
        (ring->consuming && header.read_pos != ring->read_pos))
        return 0;
    ring->next = (ring->next + count) & (ring->capacity - 1);
    if (ring->consuming)
        store_read_pos(ring);
    for (uint64_t i = 0; i < count; i++)
        events[i] = decode(ring->version, bytes + i * size);
    ring->events += count;
    return count;
}
