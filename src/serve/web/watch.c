/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the web configuration file and the files that it names, and reads them again. Contents are compared, not
 * times of change: the files are small, and a time may stay the same when a file changes. */
#include "serve/web/watch.h"

#include "base/error.h"
#include "serve/web/tls.h"

#include <errno.h>
#include <fcntl.h>
#include <gnutls/crypto.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { DIGEST = 32 };
static const int64_t CHECK_EVERY_NS = 1000000000;

struct web_state {
    atomic_uint references;
    struct web_config *config;
    struct web_tls *tls;
};

struct web_watch {
    char *path; /* NULL: nothing to watch */
    size_t directory_length;
    struct web_log log;
    pthread_mutex_t mutex;
    struct web_state *good; /* the last valid state */
    bool bad;               /* the files are invalid now */
    int64_t checked_ns;
    unsigned char digest[DIGEST]; /* of the files' contents at that time */
};

void web_log_printf(const struct web_log *log, enum web_log_level level, const char *format, ...)
{
    char message[512];
    if (!log->write)
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    log->write(log->context, level, message);
}

const struct web_config *web_state_config(const struct web_state *state)
{
    return state->config;
}

const struct web_tls *web_state_tls(const struct web_state *state)
{
    return state->tls;
}

void web_state_release(struct web_state *state)
{
    /* acq_rel: the thread that frees the state must see the end of all other uses */
    if (!state || atomic_fetch_sub_explicit(&state->references, 1, memory_order_acq_rel) > 1)
        return;
    web_tls_destroy(state->tls);
    web_config_destroy(state->config);
    free(state);
}

/* -- Files -- */

static void wipe(gnutls_datum_t *bytes)
{
    if (bytes->data)
        explicit_bzero(bytes->data, bytes->size);
    free(bytes->data);
    *bytes = (gnutls_datum_t){ 0 };
}

/* Reads a whole regular file. 0 or an errno; EINVAL: it is not a regular file. */
static int read_all(int fd, gnutls_datum_t *bytes)
{
    struct stat stat;
    if (fstat(fd, &stat) != 0)
        return errno;
    if (!S_ISREG(stat.st_mode))
        return EINVAL;
    bytes->data = malloc(WEB_CONFIG_MOST_BYTES + 1);
    if (!bytes->data)
        return ENOMEM;
    ssize_t got = 1;
    while (got > 0 && bytes->size <= WEB_CONFIG_MOST_BYTES) {
        got = read(fd, bytes->data + bytes->size, WEB_CONFIG_MOST_BYTES + 1 - bytes->size);
        bytes->size += got > 0 ? (unsigned)got : 0;
    }
    return got < 0 ? errno : bytes->size > WEB_CONFIG_MOST_BYTES ? EFBIG : 0;
}

static enum kvtel_status read_file(const char *path, gnutls_datum_t *bytes, struct kvtel_error *error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* opening a FIFO must not block the exporter */
    int failure = fd < 0 ? errno : read_all(fd, bytes);
    if (fd >= 0)
        close(fd);
    if (failure == 0)
        return KVTEL_OK;
    wipe(bytes);
    return kvtel_fail(error, KVTEL_E_IO, 0, "%s: %s", path, failure == EINVAL ? "not a file" : strerror(failure));
}

/* Reads the PEM text, from a file if one is named. A relative path starts at the directory of the configuration
 * file. */
static enum kvtel_status read_pem(const struct web_watch *watch, const struct web_pem *pem, gnutls_datum_t *bytes,
                                  struct kvtel_error *error)
{
    char *path = NULL;
    if (pem->file && *pem->file) {
        int directory = *pem->file == '/' ? 0 : (int)watch->directory_length;
        if (asprintf(&path, "%.*s%s", directory, watch->path, pem->file) < 0)
            return kvtel_fail(error, KVTEL_E_NOMEM, 0, "out of memory");
        enum kvtel_status status = read_file(path, bytes, error);
        free(path);
        return status;
    }
    if (!pem->text || !*pem->text)
        return KVTEL_OK;
    bytes->data = (unsigned char *)strdup(pem->text);
    bytes->size = bytes->data ? (unsigned)strlen(pem->text) : 0;
    return bytes->data ? KVTEL_OK : kvtel_fail(error, KVTEL_E_NOMEM, 0, "out of memory");
}

enum { FILE_CONFIG, FILE_CERT, FILE_KEY, FILE_CA, FILES };

/* Reads all files: the configuration, and the contents of the files that it names. */
static enum kvtel_status read_files(const struct web_watch *watch, gnutls_datum_t files[FILES],
                                    struct web_config **config, struct kvtel_error *error)
{
    if (!watch->path)
        return web_config_parse("", 0, config, error);
    enum kvtel_status status = read_file(watch->path, &files[FILE_CONFIG], error);
    if (status != KVTEL_OK)
        return status;
    struct kvtel_error place = { 0 };
    status = web_config_parse((const char *)files[FILE_CONFIG].data, files[FILE_CONFIG].size, config, &place);
    if (status != KVTEL_OK)
        return place.line ? kvtel_fail(error, status, place.offset, "%s:%u:%u: %s", watch->path, place.line,
                                       place.column, place.message)
                          : kvtel_fail(error, status, place.offset, "%s: %s", watch->path, place.message);
    const struct web_pem *pems[] = { &(*config)->cert, &(*config)->key, &(*config)->client_ca };
    for (int i = 0; status == KVTEL_OK && i < FILES - FILE_CERT && (*config)->tls; i++)
        status = read_pem(watch, pems[i], &files[FILE_CERT + i], error);
    return status;
}

/* Computes a digest of all contents and the error message, so that an error that stays the same is logged once. */
static bool digest_files(const gnutls_datum_t files[FILES], const char *message, unsigned char digest[DIGEST])
{
    gnutls_hash_hd_t hash;
    if (gnutls_hash_init(&hash, GNUTLS_DIG_SHA256) != 0)
        return false;
    for (int i = 0; i < FILES; i++) {
        gnutls_hash(hash, &files[i].size, sizeof files[i].size);
        gnutls_hash(hash, files[i].data, files[i].size);
    }
    gnutls_hash(hash, message, strlen(message));
    gnutls_hash_deinit(hash, digest);
    return true;
}

/* -- States -- */

/* Makes a state. The function owns `config` from now on, also on failure. */
static struct web_state *make_state(struct web_config *config, const gnutls_datum_t files[FILES],
                                    struct kvtel_error *error)
{
    struct web_state *state = calloc(1, sizeof *state);
    if (!state) {
        web_config_destroy(config);
        kvtel_fail(error, KVTEL_E_NOMEM, 0, "out of memory");
        return NULL;
    }
    atomic_init(&state->references, 1);
    state->config = config;
    if (!config->tls)
        return state;
    state->tls = web_tls_create(config, &files[FILE_CERT], &files[FILE_KEY], &files[FILE_CA], error);
    if (state->tls)
        return state;
    web_state_release(state);
    return NULL;
}

/* Why a running exporter must not switch from `now` to `next`; NULL: it may. A file that was truncated or emptied by
 * accident is valid, but must not let everybody in. */
static const char *objection(const struct web_config *now, const struct web_config *next)
{
    if (now->tls != next->tls)
        return now->tls ? "it switches TLS off" : "it switches TLS on";
    if (now->user_count > 0 && next->user_count == 0)
        return "it removes every user";
    if (next->client_auth < now->client_auth)
        return "it asks less of client certificates";
    if (now->client_allowed_san_count > 0 && next->client_allowed_san_count == 0)
        return "it removes client_allowed_sans";
    return NULL;
}

/* Reads everything. Returns whether something changed since the last time; if so, `state` is the new state, or NULL
 * if the files are invalid, and the error says why. */
static bool reread(struct web_watch *watch, struct web_state **state, struct kvtel_error *error)
{
    gnutls_datum_t files[FILES] = { 0 };
    struct web_config *config = NULL;
    struct kvtel_error failure = { 0 };
    unsigned char digest[DIGEST] = { 0 };
    enum kvtel_status status = read_files(watch, files, &config, &failure);
    bool digested = digest_files(files, failure.message, digest);
    bool changed = !digested || memcmp(digest, watch->digest, DIGEST) != 0;
    memcpy(watch->digest, digest, DIGEST);
    if (changed) {
        const char *refused = status == KVTEL_OK && watch->good ? objection(watch->good->config, config) : NULL;
        if (refused)
            status = kvtel_fail(&failure, KVTEL_E_ARGUMENT, 0, "%s: %s; that takes a restart", watch->path, refused);
        *state = NULL;
        if (status == KVTEL_OK) {
            *state = make_state(config, files, &failure);
            config = NULL;
        }
        *error = failure;
    }
    web_config_destroy(config);
    for (int i = 0; i < FILES; i++)
        wipe(&files[i]);
    return changed;
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

struct web_watch *web_watch_open(const char *path, const struct web_log *log, struct kvtel_error *error)
{
    struct web_watch *watch = calloc(1, sizeof *watch);
    if (watch && path)
        watch->path = strdup(path);
    if (!watch || (path && !watch->path)) {
        free(watch);
        kvtel_fail(error, KVTEL_E_NOMEM, 0, "out of memory");
        return NULL;
    }
    const char *slash = path ? strrchr(path, '/') : NULL;
    watch->directory_length = slash ? (size_t)(slash + 1 - path) : 0;
    watch->log = *log;
    watch->checked_ns = now_ns();
    pthread_mutex_init(&watch->mutex, NULL);
    reread(watch, &watch->good, error);
    if (watch->good)
        return watch;
    web_watch_close(watch);
    return NULL;
}

void web_watch_close(struct web_watch *watch)
{
    if (!watch)
        return;
    web_state_release(watch->good);
    pthread_mutex_destroy(&watch->mutex);
    free(watch->path);
    free(watch);
}

/* Reads the files again and switches to a change. The mutex is held. */
static void check(struct web_watch *watch)
{
    struct web_state *next = NULL;
    struct kvtel_error error = { 0 };
    if (!reread(watch, &next, &error))
        return;
    watch->bad = !next;
    if (!next) {
        web_log_printf(&watch->log, WEB_LOG_ERROR,
                       "web configuration: %s; every request is refused until that is mended", error.message);
        return;
    }
    web_state_release(watch->good);
    watch->good = next;
    web_log_printf(&watch->log, WEB_LOG_INFO, "web configuration: %s was changed and is taken up", watch->path);
}

static struct web_state *current(struct web_watch *watch, int64_t check_every_ns)
{
    int64_t now = now_ns();
    pthread_mutex_lock(&watch->mutex);
    if (watch->path && now - watch->checked_ns >= check_every_ns) {
        watch->checked_ns = now;
        check(watch);
    }
    struct web_state *state = watch->bad ? NULL : watch->good;
    if (state)
        atomic_fetch_add_explicit(&state->references, 1, memory_order_relaxed); /* relaxed: ordered by the mutex */
    pthread_mutex_unlock(&watch->mutex);
    return state;
}

struct web_state *web_watch_current(struct web_watch *watch)
{
    return current(watch, CHECK_EVERY_NS);
}

struct web_state *web_watch_look(struct web_watch *watch)
{
    return current(watch, 0);
}

struct web_state *web_watch_last(struct web_watch *watch)
{
    pthread_mutex_lock(&watch->mutex);
    struct web_state *state = watch->good;
    atomic_fetch_add_explicit(&state->references, 1, memory_order_relaxed); /* relaxed: ordered by the mutex */
    pthread_mutex_unlock(&watch->mutex);
    return state;
}
