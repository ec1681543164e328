/* SPDX-License-Identifier: Apache-2.0 */
/* A telemetry ring whose file changes between two looks. The input is one byte n, then n * 8 bytes, which are the
 * file at first. The rest of the input then overwrites the file and determines its size. */
#include "contract.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "nixl/ring.h"

enum { ROOM = 1 << 16 };

static void must_put(int fd, const uint8_t *data, size_t size)
{
    MUST(ftruncate(fd, (off_t)size) == 0);
    MUST(pwrite(fd, data, size, 0) == (ssize_t)size);
}

/* kvtel may change only the read position, and only in a ring of a known version. */
static void must_keep(int fd, const uint8_t *data, size_t size, const struct kvtel_nixl_ring *ring)
{
    static uint8_t after[ROOM];
    struct stat file;
    MUST(fstat(fd, &file) == 0 && (size_t)file.st_size == size);
    MUST(pread(fd, after, size, 0) == (ssize_t)size);
    bool followed = ring->state <= KVTEL_NIXL_BLOCKED;
    for (size_t i = 0; i < size; i++)
        MUST(after[i] == data[i] || (followed && i >= 8 && i < 16));
    MUST(!followed || (ring->read_pos < ring->capacity && ring->next < ring->capacity));
    if (ring->consuming)
        MUST(memcmp(after + 8, &ring->read_pos, 8) == 0);
}

static void must_read(struct kvtel_nixl_ring *ring, int fd, const uint8_t *data, size_t size, uint64_t now_ns)
{
    struct kvtel_nixl_event events[3];
    uint64_t found = kvtel_nixl_ring_look(ring, now_ns), taken = 0;
    MUST((unsigned)ring->state < KVTEL_NIXL_STATES && ring->reason);
    MUST(found == 0 || (ring->state <= KVTEL_NIXL_BLOCKED && found < ring->capacity));
    size_t count;
    while ((count = kvtel_nixl_ring_take(ring, events, 3)) > 0) {
        MUST(count <= 3);
        for (size_t i = 0; i < count; i++)
            MUST((unsigned)events[i].type <= KVTEL_NIXL_UNRECOGNISED);
        taken += count;
    }
    MUST(taken == found); /* no other process uses the ring */
    must_keep(fd, data, size, ring);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > ROOM)
        return 0;
    size_t first = (size_t)data[0] * 8;
    data++, size--;
    first = first < size ? first : size;

    int fd = memfd_create("ring", MFD_CLOEXEC);
    MUST(fd >= 0);
    must_put(fd, data, first);
    struct kvtel_nixl_ring ring;
    kvtel_nixl_ring_init(&ring);
    MUST(kvtel_nixl_ring_attach(&ring, fd, true));
    must_read(&ring, fd, data, first, 0);
    must_put(fd, data + first, size - first);
    must_read(&ring, fd, data + first, size - first, 1);
    must_read(&ring, fd, data + first, size - first, 2 + KVTEL_NIXL_PATIENCE_NS);
    kvtel_nixl_ring_close(&ring);
    return 0;
}
