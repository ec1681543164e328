/* SPDX-License-Identifier: Apache-2.0 */
/* The part of libkvtel_nixl.so that knows nothing of NIXL's classes: plugin.cpp translates NIXL's calls into these.
 *
 * On the path of a post and of a look nothing here takes a lock, allocates memory or enters the kernel (but for a
 * thread that posts without having called anything else of NIXL before: its first record opens the thread's lane). */
#ifndef KVTEL_NIXL_PLUGIN_CORE_H
#define KVTEL_NIXL_PLUGIN_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Code on the path of a post or a look: the linker puts it together, so that few of its pages are in use. */
#define PLUGIN_HOT __attribute__((hot))

/* Of what each thread has: no access calls the dynamic linker. */
#ifdef __GLIBC__ /* which reserves room for it in each thread */
#define PLUGIN_THREAD_MODEL __attribute__((tls_model("initial-exec")))
#else
#define PLUGIN_THREAD_MODEL
#endif

/* Text that NIXL passes; not NUL-terminated. */
struct plugin_text {
    const char *bytes;
    size_t size;
};

/* Directions, as the label's values tx and rx. */
enum plugin_direction { PLUGIN_TX, PLUGIN_RX, PLUGIN_DIRECTIONS };

/* An agent of NIXL in this process. Its trace half and its exporter half share one, where they find each other. */
struct plugin_agent;

/* What NIXL's object of one half of an agent has. The child of a fork inherits the object, and may have an agent of its
 * own in the same place: then the epoch is another one. All 0: nothing is recorded. */
struct plugin_half {
    struct plugin_agent *agent;
    uint64_t epoch; /* of the process that opened it */
};

/* A post while the call lasts. The caller owns it. */
struct plugin_call {
    struct plugin_agent *agent;
    uint64_t handle;
    uint64_t began_ns;
    uint64_t bytes;
    uint32_t peer;
    enum plugin_direction direction;
};

/* Writes one line to standard error, "kvtel: NIXL plug-in: ...". */
void plugin_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Turns the plug-in off for good, and says why. Any thread; only the first call says something. */
void plugin_disable(const char *why);
/* Whether nothing of NIXL's calls is to be looked at any more. */
extern bool plugin_off;
static inline bool plugin_is_off(void)
{
    return __atomic_load_n(&plugin_off, __ATOMIC_RELAXED);
}

/* A half of the agent of this name, which is made at its first half. Opens the store at the first call in a process.
 * Not on the path of a post. All 0: the plug-in is off, or there are too many agents. */
struct plugin_half plugin_agent_open(struct plugin_text name, bool exporter);
/* The half was destroyed. When the trace half goes, what is open ends as abandoned. */
void plugin_agent_close(const struct plugin_half *half, bool exporter);

/* Opens the calling thread's lane, so that a later post need not. Not on the path of a post. */
void plugin_thread_ready(const struct plugin_half *half);
/* A peer was named outside of a post: gives it a place in the table of peers. */
void plugin_peer_named(const struct plugin_half *half, struct plugin_text name);

/* A call that posts began. False: it is not recorded. */
PLUGIN_HOT bool plugin_post_begin(struct plugin_call *call, const struct plugin_half *half, uint64_t handle,
                                  enum plugin_direction direction);
PLUGIN_HOT void plugin_post_peer(struct plugin_call *call, struct plugin_text name);
/* The call returned, however it went. */
PLUGIN_HOT void plugin_post_end(const struct plugin_call *call);
/* A look found the transfer done. */
PLUGIN_HOT void plugin_completed(const struct plugin_half *half, uint64_t handle);

/* An event of the exporter half. From the agent's own thread of NIXL's. */
void plugin_event(const struct plugin_half *half, uint32_t type, uint64_t value);
void plugin_batch_begin(const struct plugin_half *half);
void plugin_batch_end(const struct plugin_half *half);

#ifdef __cplusplus
}
#endif
#endif
