/* SPDX-License-Identifier: Apache-2.0 */
/* The exporter's own store, in which rings and posts count. */
#include "serve/exporter_own.h"

#include "base/error.h"
#include "serve/own_guard.h"
#include "record/store.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static void say_ring(void *context, const char *name, enum kvtel_nixl_state state, const char *reason)
{
    struct exporter *exporter = context;
    bool is_folder = *name == '\0';
    const char *const pairs[] = { is_folder ? "dir" : "ring",
                                  is_folder ? exporter->options.nixl_dir : name,
                                  "state",
                                  kvtel_nixl_state_text(state),
                                  "reason",
                                  reason ? reason : "",
                                  NULL };
    serve_log_write(exporter->log, reason && *reason ? WEB_LOG_WARN : WEB_LOG_INFO,
                    is_folder ? "directory of telemetry rings" : "telemetry ring", pairs);
}

void exporter_make_ring_folder(struct exporter *exporter)
{
    const char *folder = exporter->options.nixl_dir;
    if (mkdir(folder, 0700) == 0)
        serve_log_printf(exporter->log, WEB_LOG_INFO, "made the directory of telemetry rings, %s", folder);
    else if (errno != EEXIST)
        serve_log_printf(exporter->log, WEB_LOG_WARN, "the directory of telemetry rings, %s, cannot be made: %s",
                         folder, strerrordesc_np(errno));
}

static void say_refusal(void *context, enum kvtel_refusal reason, const char *subject, const char *message)
{
    struct exporter *exporter = context;
    const char *const pairs[] = { "reason", kvtel_refusal_label(reason), "subject", subject, NULL };
    serve_log_write(exporter->log, WEB_LOG_WARN, message, pairs);
}

static void say_store(void *context, const char *message)
{
    serve_log_write(((struct exporter *)context)->log, WEB_LOG_WARN, message, NULL);
}

/* The store in which rings and the receiver count. It is a store like those of other writers, so its numbers outlive
 * this process. */
static enum kvtel_status open_store(struct exporter *exporter)
{
    const struct kvtel_store_options options = {
        .size = sizeof options,
        .connector = STORE_OWN_CONNECTOR,
        .dir = exporter->options.store_dir,
        .warn = say_store,
        .warn_context = exporter,
    };
    exporter->own = exporter->options.store_dir ? kvtel_store_open(&options) : kvtel_store_create(&options);
    exporter->own_size = 0;
    if (!exporter->own)
        return KVTEL_E_NOMEM;
    return !kvtel_store_path(exporter->own) || own_guard_begin(exporter->own) ? KVTEL_OK : KVTEL_E_IO;
}

static enum kvtel_status open_rings(struct exporter *exporter)
{
    if (!exporter->options.nixl_dir)
        return KVTEL_OK;
    exporter_make_ring_folder(exporter);
    const struct kvtel_nixl_rings_options rings = {
        .folder = exporter->options.nixl_dir,
        .store = exporter->own,
        .agent_label = exporter->options.nixl_agent_label,
        .most_open = exporter->options.rings_open,
        .say = say_ring,
        .context = exporter,
    };
    return kvtel_nixl_rings_create(&rings, &exporter->rings);
}

static enum kvtel_status open_receiver(struct exporter *exporter)
{
    if (!exporter->options.stats_receiver)
        return KVTEL_OK;
    exporter->diagnostics = kvtel_diagnostics_create(say_refusal, exporter);
    exporter->receiver =
        exporter->diagnostics ? receiver_create(exporter->own, exporter->diagnostics, say_store, exporter) : NULL;
    return exporter->receiver ? KVTEL_OK : KVTEL_E_NOMEM;
}

enum kvtel_status exporter_own_open(struct exporter *exporter, struct kvtel_error *error)
{
    enum kvtel_status status = open_store(exporter);
    if (status == KVTEL_OK)
        status = open_rings(exporter);
    if (status == KVTEL_OK)
        status = open_receiver(exporter);
    return status == KVTEL_OK ? status : kvtel_fail(error, status, 0, "%s", kvtel_status_text(status));
}

/* The guard stays until the store is closed, which touches its pages. */
void exporter_own_close(struct exporter *exporter)
{
    kvtel_nixl_rings_destroy(exporter->rings);
    exporter->rings = NULL;
    kvtel_store_close(exporter->own);
    exporter->own = NULL;
    kvtel_source_free(&exporter->own_source.source);
    own_guard_end();
}

/* Whether the path still leads to the store's file. */
static bool has_name(const struct kvtel_store *store, const struct stat *file)
{
    struct stat named;
    if (lstat(kvtel_store_path(store), &named) != 0)
        return errno != ENOENT && errno != ENOTDIR;
    return named.st_dev == file->st_dev && named.st_ino == file->st_ino;
}

bool exporter_own_is_lost(struct exporter *exporter)
{
    struct stat file;
    if (!exporter->own)
        return exporter->own_wanted;
    if (!kvtel_store_path(exporter->own))
        return false;
    own_guard_note();
    if (own_guard_was_cut()) /* an access hit a missing page */
        return true;
    if (fstat(exporter->own->fd, &file) != 0)
        return false;
    bool cut = file.st_size < exporter->own_size;
    exporter->own_size = file.st_size;
    if (cut)
        own_guard_give_up();
    return cut || !has_name(exporter->own, &file);
}

bool exporter_own_keep(struct exporter *exporter)
{
    const char *path = exporter->own ? kvtel_store_path(exporter->own) : NULL,
               *slash = path ? strrchr(path, '/') : NULL;
    return !slash || store_dir_keep(&exporter->stores, slash + 1, &exporter->workers);
}

/* A store in the heap would be lost with this process. So while no file can be made there is no own store: rings keep
 * their events, and posts are answered 503 and sent again. */
enum kvtel_status exporter_own_renew(struct exporter *exporter, struct kvtel_error *error)
{
    if (!exporter->own_wanted)
        serve_log_write(exporter->log, WEB_LOG_ERROR,
                        "the file of the exporter's own store was truncated or removed; a new one is begun. What the "
                        "old one counted stays; of a truncated one, what came in its last second may be lost",
                        NULL);
    exporter->own_wanted = true;
    exporter_own_close(exporter);
    exporter->stores.look = true;
    enum kvtel_status status = open_store(exporter);
    if (status == KVTEL_OK && !kvtel_store_path(exporter->own))
        status = KVTEL_E_IO;
    if (status == KVTEL_OK)
        status = open_rings(exporter);
    if (status != KVTEL_OK) {
        exporter_own_close(exporter);
        return kvtel_fail(error, status, 0, "%s", kvtel_status_text(status));
    }
    exporter->own_wanted = false;
    exporter->own_renewed++;
    return KVTEL_OK;
}
