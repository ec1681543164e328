/* SPDX-License-Identifier: Apache-2.0 */
/* An exporter's summary, by libcurl. */
#include "top/source.h"

#include "base/buffer.h"
#include "base/error.h"
#include "otlp/library.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ANSWER_LIMIT = 64 << 20, CONNECT_MS = 5000, TOTAL_MS = 20000, WAITS = 4, PART_URL = 4096 };

struct remote {
    const struct otlp_curl *curl;
    const char *url, *past_url; /* the caller's */
    CURL *easy;
    CURLM *multi;
    bool running;
    bool has_user;
    bool too_long;
    long status; /* of the last answer; 0: none */
    struct kvtel_buffer answer;
    char failure[CURL_ERROR_SIZE];
};

static size_t keep_answer(char *bytes, size_t one, size_t count, void *context)
{
    struct remote *remote = context;
    size_t size = one * count;
    remote->too_long = remote->too_long || size > ANSWER_LIMIT - remote->answer.size;
    if (remote->too_long || kvtel_buffer_append(&remote->answer, bytes, size) != KVTEL_OK)
        return 0;
    return size;
}

static bool set_up(struct remote *remote, const struct top_remote_options *options)
{
    __typeof__(remote->curl->easy_setopt) set = remote->curl->easy_setopt;
    const struct {
        CURLoption option;
        const char *value;
    } texts[] = {
        { CURLOPT_PROTOCOLS_STR, "http,https" },  { CURLOPT_ACCEPT_ENCODING, "" }, /* all that libcurl can unpack */
        { CURLOPT_USERNAME, options->user },      { CURLOPT_PASSWORD, options->password },
        { CURLOPT_CAINFO, options->authorities }, { CURLOPT_SSLCERT, options->certificate },
        { CURLOPT_SSLKEY, options->key },         { CURLOPT_USERAGENT, "kvtel/" KVTEL_VERSION },
    };
    const struct {
        CURLoption option;
        long value;
    } numbers[] = {
        { CURLOPT_NOSIGNAL, 1 },          { CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC },
        { CURLOPT_QUICK_EXIT, 1 },        { CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS },
        { CURLOPT_TIMEOUT_MS, TOTAL_MS },
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (texts[i].value && set(remote->easy, texts[i].option, texts[i].value) != CURLE_OK)
            return false;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (set(remote->easy, numbers[i].option, numbers[i].value) != CURLE_OK)
            return false;
    return set(remote->easy, CURLOPT_WRITEFUNCTION, keep_answer) == CURLE_OK &&
           set(remote->easy, CURLOPT_WRITEDATA, remote) == CURLE_OK &&
           set(remote->easy, CURLOPT_ERRORBUFFER, remote->failure) == CURLE_OK;
}

static void give_up(struct remote *remote)
{
    if (remote->running)
        remote->curl->multi_remove_handle(remote->multi, remote->easy);
    remote->running = false;
}

static void begin_url(struct remote *remote, const char *url)
{
    give_up(remote);
    remote->answer.size = 0;
    remote->failure[0] = '\0';
    remote->too_long = false;
    remote->running = remote->curl->easy_setopt(remote->easy, CURLOPT_URL, url) == CURLE_OK &&
                      remote->curl->multi_add_handle(remote->multi, remote->easy) == CURLM_OK;
}

static void begin(void *context)
{
    struct remote *remote = context;
    begin_url(remote, remote->url);
}

static void begin_part(void *context, size_t offset)
{
    struct remote *remote = context;
    char url[PART_URL]; /* libcurl keeps a copy */
    (void)snprintf(url, sizeof url, "%s?offset=%zu", remote->url, offset);
    begin_url(remote, url);
}

static void begin_past(void *context)
{
    struct remote *remote = context;
    begin_url(remote, remote->past_url);
}

/* What an answer other than 200 means. */
static enum top_reading refuse(const struct remote *remote, long status, struct kvtel_error *error)
{
    static const struct {
        long status;
        const char *text;
    } known[] = {
        { 403, "it refuses this user (403)" },
        { 404, "it has no summary (404): this is the address of something else than kvtel serve" },
        { 429, "it answers 429, too many requests: a longer --interval here, or a larger burst there" },
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].status == status)
            return (void)kvtel_fail(error, KVTEL_E_IO, 0, "%s", known[i].text), TOP_FAILED;
    if (status == 401)
        (void)kvtel_fail(error, KVTEL_E_IO, 0, "%s",
                         remote->has_user ? "it does not take this user and password (401)"
                                          : "it wants a user and a password (401): --url.user, --url.password-file");
    else if (status >= 300 && status < 400)
        (void)kvtel_fail(error, KVTEL_E_IO, 0, "it answered %ld, and a redirection is not followed", status);
    else
        (void)kvtel_fail(error, KVTEL_E_IO, 0, "it answered %ld", status);
    return TOP_FAILED;
}

static enum top_reading end(struct remote *remote, CURLcode result, struct kvtel_buffer *json,
                            struct kvtel_error *error)
{
    give_up(remote);
    if (remote->too_long)
        return (void)kvtel_fail(error, KVTEL_E_LIMIT, 0, "its answer is above 64 MiB"), TOP_FAILED;
    if (result != CURLE_OK) {
        const char *text = remote->failure[0] ? remote->failure : remote->curl->easy_strerror(result);
        return (void)kvtel_fail(error, KVTEL_E_IO, 0, "no answer: %s", text), TOP_FAILED;
    }
    remote->curl->easy_getinfo(remote->easy, CURLINFO_RESPONSE_CODE, &remote->status);
    if (remote->status != 200)
        return refuse(remote, remote->status, error);
    struct kvtel_buffer answer = remote->answer;
    remote->answer = *json;
    *json = answer;
    return TOP_DONE;
}

static enum top_reading go_on(void *context, struct kvtel_buffer *json, struct kvtel_error *error)
{
    struct remote *remote = context;
    int running = 0, left;
    if (!remote->running || remote->curl->multi_perform(remote->multi, &running) != CURLM_OK) {
        give_up(remote);
        return (void)kvtel_fail(error, KVTEL_E_NOMEM, 0, "libcurl cannot begin a request"), TOP_FAILED;
    }
    for (CURLMsg *message; (message = remote->curl->multi_info_read(remote->multi, &left));)
        if (message->msg == CURLMSG_DONE)
            return end(remote, message->data.result, json, error);
    return TOP_PENDING;
}

static void wait_for(void *context, struct pollfd *fds, size_t count, int timeout_ms)
{
    struct remote *remote = context;
    struct curl_waitfd waits[WAITS] = { 0 };
    for (size_t i = 0; i < count && i < WAITS; i++)
        waits[i] = (struct curl_waitfd){ .fd = fds[i].fd, .events = CURL_WAIT_POLLIN };
    if (remote->curl->multi_poll(remote->multi, waits, (unsigned)(count < WAITS ? count : WAITS), timeout_ms, NULL) !=
        CURLM_OK) {
        const struct timespec pause = { .tv_nsec = 100 * 1000 * 1000 };
        nanosleep(&pause, NULL);
    }
    (void)poll(fds, (nfds_t)count, 0); /* libcurl does not say whether a terminal went away */
}

static void close_remote(void *context)
{
    struct remote *remote = context;
    give_up(remote);
    if (remote->easy)
        remote->curl->easy_cleanup(remote->easy);
    if (remote->multi)
        remote->curl->multi_cleanup(remote->multi);
    kvtel_buffer_free(&remote->answer);
    free(remote);
}

enum kvtel_status top_remote_open(const struct top_remote_options *options, struct top_source *source,
                                  struct kvtel_error *error)
{
    const struct otlp_curl *curl = otlp_curl_load("--url", error);
    if (!curl)
        return KVTEL_E_IO;
    struct remote *remote = calloc(1, sizeof *remote);
    if (!remote)
        return kvtel_fail(error, KVTEL_E_NOMEM, 0, "%s", kvtel_status_text(KVTEL_E_NOMEM));
    remote->curl = curl;
    remote->url = options->url;
    remote->past_url = options->past_url;
    remote->has_user = options->user;
    remote->easy = curl->easy_init();
    remote->multi = curl->multi_init();
    if (!remote->easy || !remote->multi || !set_up(remote, options)) {
        close_remote(remote);
        return kvtel_fail(error, KVTEL_E_ARGUMENT, 0, "libcurl does not take these options, or memory is short");
    }
    *source = (struct top_source){
        .context = remote, .begin = begin, .go_on = go_on, .wait = wait_for, .close = close_remote
    };
    source->begin_past = options->past_url ? begin_past : NULL;
    source->begin_part = begin_part;
    return KVTEL_OK;
}

long top_remote_status(const struct top_source *source)
{
    return ((const struct remote *)source->context)->status;
}
