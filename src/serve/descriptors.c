/* SPDX-License-Identifier: Apache-2.0 */
/* Shares of the process's limit of file descriptors. */
#include "serve/descriptors.h"

#include <sys/resource.h>

/* OTHERS covers standard streams, listening sockets, the directory, watches, signals, and files that are open only
 * while they are read. */
enum { OTHERS = 64, CONNECTIONS = 512, RINGS = 256, STORES = 1 << 20 };

static rlim_t at_most(rlim_t value, rlim_t most)
{
    return value < most ? value : most;
}

struct descriptors descriptors_share(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        limit = (struct rlimit){ 256, 256 };
    struct rlimit raised = { limit.rlim_max, limit.rlim_max };
    if (limit.rlim_cur < limit.rlim_max && setrlimit(RLIMIT_NOFILE, &raised) == 0)
        limit = raised;
    rlim_t free = limit.rlim_cur > 2 * OTHERS ? limit.rlim_cur - OTHERS : limit.rlim_cur / 2;
    struct descriptors shares = {
        .connections = (unsigned)at_most(free / 4, CONNECTIONS),
        .rings = (size_t)at_most(free / 4, RINGS),
    };
    shares.stores = (size_t)at_most(free - shares.connections - shares.rings, STORES);
    return shares;
}
