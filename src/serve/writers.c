/* SPDX-License-Identifier: Apache-2.0 */
/* The table of writers. */
#include "serve/writers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct writer *find(struct writers *writers, const struct kvtel_store_info *info)
{
    for (size_t i = 0; i < writers->count; i++) {
        struct writer *writer = &writers->all[i];
        if (writer->engine == info->engine && writer->rank == info->rank &&
            strcmp(writer->connector, info->connector) == 0 && strcmp(writer->model_name, info->model_name) == 0)
            return writer;
    }
    return NULL;
}

/* Makes the row whose writers ended longest ago the last one and returns it. NULL: all are live. */
static struct writer *oldest(struct writers *writers)
{
    struct writer *found = NULL;
    for (size_t i = 0; i < writers->count; i++) {
        struct writer *writer = &writers->all[i];
        if (writer->live == 0 && (!found || writer->last_seen_ns < found->last_seen_ns))
            found = writer;
    }
    if (found) {
        memmove(found, found + 1, (size_t)(writers->all + writers->count - (found + 1)) * sizeof *found);
        found = &writers->all[writers->count - 1];
    }
    return found;
}

static struct writer *find_or_add(struct writers *writers, const struct kvtel_store_info *info)
{
    struct writer *writer = find(writers, info);
    if (writer)
        return writer;
    if (!writers->all)
        writers->all = calloc(WRITERS, sizeof *writers->all); /* unused pages do not take memory */
    if (!writers->all)
        return NULL;
    writer = writers->count < WRITERS ? &writers->all[writers->count++] : oldest(writers);
    if (!writer)
        return NULL;
    *writer = (struct writer){ .engine = info->engine, .rank = info->rank };
    snprintf(writer->connector, sizeof writer->connector, "%s", info->connector);
    snprintf(writer->model_name, sizeof writer->model_name, "%s", info->model_name);
    return writer;
}

void writers_began(struct writers *writers, const struct kvtel_store_info *info)
{
    struct writer *writer = find_or_add(writers, info);
    if (!writer)
        return;
    writer->live++;
    writer->pid = info->pid;
    if (writer->vacant == 0)
        return;
    writer->vacant--;
    writer->restarts++;
    serve_log_printf(writers->log, WEB_LOG_INFO,
                     "a writer of engine %u (pid %llu) began in the place of one that ended", (unsigned)info->engine,
                     (unsigned long long)info->pid);
}

static void say_unclosed(const struct writers *writers, const struct kvtel_store_info *info, const char *store)
{
    char message[96], rank[16];
    snprintf(message, sizeof message, "writer of engine %u (pid %llu) ended without closing", (unsigned)info->engine,
             (unsigned long long)info->pid);
    snprintf(rank, sizeof rank, "%u", (unsigned)info->rank);
    const char *const pairs[] = { "connector",  info->connector,
                                  "model_name", info->model_name,
                                  "rank",       rank,
                                  "store",      store,
                                  "hint",       "it was killed or crashed; what it recorded counts",
                                  NULL };
    serve_log_write(writers->log, WEB_LOG_WARN, message, pairs);
}

void writers_ended(struct writers *writers, const struct kvtel_store_info *info, const char *store, bool closed,
                   uint64_t now_ns)
{
    struct writer *writer = find(writers, info);
    if (!closed) {
        writers->unclosed++;
        say_unclosed(writers, info, store);
    }
    if (!writer)
        return;
    writer->live -= writer->live > 0;
    writer->vacant++;
    writer->unclosed += !closed;
    writer->last_seen_ns = now_ns;
}

void writers_free(struct writers *writers)
{
    free(writers->all);
    *writers = (struct writers){ 0 };
}
