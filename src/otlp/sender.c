/* SPDX-License-Identifier: Apache-2.0 */
/* A request by libcurl. It waits in curl_multi_poll(), which another thread can end. */
#include "otlp/sender.h"

#include "base/buffer.h"
#include "base/error.h"
#include "otlp/library.h"
#include "otlp/response.h"
#include "otlp/secrets.h"
#include "serve/web/gzip.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ANSWER_LIMIT = 64 << 10, LONGEST_WAIT_MS = 1000, TEXT_SIZE = 160 };
static const uint64_t SECOND_NS = 1000000000u, MS_NS = 1000000u, MOST_AFTER_S = 3600;

struct otlp_sender {
    const struct otlp_settings *settings;
    struct otlp_secrets secrets;
    const struct otlp_curl *curl;
    CURL *easy;
    CURLM *multi;
    struct curl_slist *headers;
    struct kvtel_buffer packed, answer; /* of the last request */
    char failure[CURL_ERROR_SIZE];
    _Atomic uint64_t give_up_ns; /* 0: not yet */
};

/* -- Setting up -- */

static size_t keep_answer(char *bytes, size_t one, size_t count, void *context)
{
    struct otlp_sender *sender = context;
    size_t size = one * count, room = ANSWER_LIMIT - sender->answer.size;
    (void)kvtel_buffer_append(&sender->answer, bytes, size < room ? size : room);
    return size;
}

static bool add_header(struct otlp_sender *sender, const char *name, const char *value)
{
    struct kvtel_buffer line = { 0 };
    struct curl_slist *longer = NULL;
    /* a header without a value is written with a semicolon */
    if (kvtel_buffer_printf(&line, *value ? "%s: %s" : "%s;%s", name, value) == KVTEL_OK)
        longer = sender->curl->slist_append(sender->headers, line.bytes);
    kvtel_buffer_free(&line);
    if (longer)
        sender->headers = longer;
    return longer;
}

static bool set_headers(struct otlp_sender *sender)
{
    const struct otlp_pairs *headers = &sender->settings->headers;
    struct curl_slist *longer = sender->curl->slist_append(sender->headers, "Expect:"); /* a body is not announced */
    if (!longer)
        return false;
    sender->headers = longer;
    bool good = add_header(sender, "Content-Type", "application/x-protobuf") &&
                (!sender->settings->gzip || add_header(sender, "Content-Encoding", "gzip"));
    for (size_t i = 0; i < headers->count && good; i++)
        good = add_header(sender, headers->pairs[i].name, headers->pairs[i].value);
    return good;
}

static bool set_texts(struct otlp_sender *sender)
{
    const struct otlp_settings *settings = sender->settings;
    const struct {
        CURLoption option;
        const char *value;
    } texts[] = {
        { CURLOPT_URL, settings->url },
        { CURLOPT_PROTOCOLS_STR, "http,https" },
        { CURLOPT_CAINFO, settings->authorities },
        { CURLOPT_SSLCERT, settings->certificate },
        { CURLOPT_SSLKEY, settings->key },
        { CURLOPT_USERAGENT, "kvtel/" KVTEL_VERSION },
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (texts[i].value && sender->curl->easy_setopt(sender->easy, texts[i].option, texts[i].value) != CURLE_OK)
            return false;
    return true;
}

static bool set_up(struct otlp_sender *sender)
{
    __typeof__(sender->curl->easy_setopt) set = sender->curl->easy_setopt;
    CURL *easy = sender->easy;
    const struct {
        CURLoption option;
        long value;
    } numbers[] = {
        { CURLOPT_NOSIGNAL, 1 },
        { CURLOPT_POST, 1 },
        { CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1 },
        { CURLOPT_QUICK_EXIT, 1 }, /* does not wait for a name that is looked up */
        { CURLOPT_TIMEOUT_MS, sender->settings->timeout_ms },
    };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (set(easy, numbers[i].option, numbers[i].value) != CURLE_OK)
            return false;
    return set_texts(sender) && set_headers(sender) && set(easy, CURLOPT_HTTPHEADER, sender->headers) == CURLE_OK &&
           set(easy, CURLOPT_WRITEFUNCTION, keep_answer) == CURLE_OK &&
           set(easy, CURLOPT_WRITEDATA, sender) == CURLE_OK &&
           set(easy, CURLOPT_ERRORBUFFER, sender->failure) == CURLE_OK;
}

struct otlp_sender *otlp_sender_create(const struct otlp_settings *settings, struct kvtel_error *error)
{
    const struct otlp_curl *curl = otlp_curl_load("the push of metrics", error);
    struct otlp_sender *sender = curl ? calloc(1, sizeof *sender) : NULL;
    if (!curl)
        return NULL;
    if (sender) {
        sender->settings = settings;
        sender->curl = curl;
        sender->easy = curl->easy_init();
        sender->multi = curl->multi_init();
    }
    if (sender && sender->easy && sender->multi && otlp_secrets_init(&sender->secrets, settings) == KVTEL_OK &&
        set_up(sender))
        return sender;
    kvtel_fail(error, KVTEL_E_NOMEM, 0, "libcurl does not take the settings of the push, or memory is short");
    otlp_sender_destroy(sender);
    return NULL;
}

void otlp_sender_destroy(struct otlp_sender *sender)
{
    if (!sender)
        return;
    if (sender->easy)
        sender->curl->easy_cleanup(sender->easy);
    if (sender->multi)
        sender->curl->multi_cleanup(sender->multi);
    sender->curl->slist_free_all(sender->headers);
    otlp_secrets_free(&sender->secrets);
    kvtel_buffer_free(&sender->packed);
    kvtel_buffer_free(&sender->answer);
    free(sender);
}

/* -- Waiting -- */

uint64_t otlp_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * SECOND_NS + (uint64_t)now.tv_nsec;
}

bool otlp_sender_has_ended(const struct otlp_sender *sender)
{
    return atomic_load(&sender->give_up_ns) != 0;
}

void otlp_sender_end(struct otlp_sender *sender, uint64_t give_up_ns)
{
    atomic_store(&sender->give_up_ns, give_up_ns > 0 ? give_up_ns : 1);
    sender->curl->multi_wakeup(sender->multi);
}

/* Waits for the network or otlp_sender_end(), at most until then. */
static void poll_until(struct otlp_sender *sender, uint64_t now_ns, uint64_t until_ns)
{
    uint64_t wait_ms = until_ns > now_ns ? (until_ns - now_ns + MS_NS - 1) / MS_NS : 0;
    if (sender->curl->multi_poll(sender->multi, NULL, 0, wait_ms < LONGEST_WAIT_MS ? (int)wait_ms : LONGEST_WAIT_MS,
                                 NULL) != CURLM_OK) {
        const struct timespec short_wait = { .tv_nsec = 100 * 1000 * 1000 };
        nanosleep(&short_wait, NULL);
    }
}

void otlp_sender_wait(struct otlp_sender *sender, uint64_t until_ns)
{
    for (uint64_t now; !otlp_sender_has_ended(sender) && (now = otlp_now_ns()) < until_ns;)
        poll_until(sender, now, until_ns);
}

/* Runs the request to its end, or gives it up. */
static CURLcode transfer(struct otlp_sender *sender)
{
    const struct otlp_curl *curl = sender->curl;
    CURLcode result = CURLE_ABORTED_BY_CALLBACK;
    int running = 1, left;
    for (;;) {
        if (curl->multi_perform(sender->multi, &running) != CURLM_OK)
            return CURLE_OUT_OF_MEMORY;
        uint64_t now = otlp_now_ns(), give_up = atomic_load(&sender->give_up_ns);
        if (!running || (give_up > 0 && now >= give_up))
            break;
        poll_until(sender, now, give_up > 0 ? give_up : UINT64_MAX);
    }
    for (CURLMsg *message; (message = curl->multi_info_read(sender->multi, &left));)
        if (message->msg == CURLMSG_DONE)
            result = message->data.result;
    return result;
}

/* -- Answers -- */

/* The beginning of a text of the endpoint's, without secrets. */
static void copy_text(const struct otlp_sender *sender, const char *from, size_t size, char text[static TEXT_SIZE])
{
    otlp_secrets_hide(&sender->secrets, from, size, text, TEXT_SIZE);
}

/* The text of an answer that is an error: a plain one, or the message of a google.rpc.Status. */
static void read_error_text(const struct otlp_sender *sender, char text[static TEXT_SIZE])
{
    const char *type = NULL, *message = sender->answer.bytes;
    size_t size = sender->answer.size;
    text[0] = '\0';
    sender->curl->easy_getinfo(sender->easy, CURLINFO_CONTENT_TYPE, &type);
    if (!type || size == 0)
        return;
    if (strncmp(type, "application/x-protobuf", strlen("application/x-protobuf")) == 0
            ? otlp_response_status(sender->answer.bytes, sender->answer.size, &message, &size)
            : strncmp(type, "text/plain", strlen("text/plain")) == 0)
        copy_text(sender, message, size, text);
}

static void read_taken(const struct otlp_sender *sender, struct otlp_answer *answer)
{
    struct otlp_response response;
    char text[TEXT_SIZE];
    if (!otlp_response_parse(sender->answer.bytes, sender->answer.size, &response)) {
        answer->outcome = OTLP_REFUSED;
        kvtel_fail(&answer->reason, KVTEL_E_SYNTAX, 0,
                   "it answered 200 and something that is no answer of OTLP: is this the path of an OTLP receiver?");
        return;
    }
    answer->outcome = OTLP_TAKEN;
    answer->rejected = response.rejected;
    copy_text(sender, response.message, response.message_size, text);
    if (response.rejected > 0 || *text)
        kvtel_fail(&answer->reason, KVTEL_E_MISMATCH, 0, "%llu data points were not taken%s%s",
                   (unsigned long long)response.rejected, *text ? ": " : "", text);
}

static void read_answer(const struct otlp_sender *sender, struct otlp_answer *answer)
{
    static const long passing[] = { 429, 502, 503, 504 };
    char text[TEXT_SIZE];
    long status = 0;
    curl_off_t after = 0;
    sender->curl->easy_getinfo(sender->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status >= 200 && status < 300) {
        read_taken(sender, answer);
        return;
    }
    answer->outcome = OTLP_REFUSED;
    for (size_t i = 0; i < sizeof passing / sizeof *passing; i++)
        if (status == passing[i])
            answer->outcome = OTLP_AGAIN;
    if (answer->outcome == OTLP_AGAIN &&
        sender->curl->easy_getinfo(sender->easy, CURLINFO_RETRY_AFTER, &after) == CURLE_OK && after > 0)
        answer->after_ns = ((uint64_t)after < MOST_AFTER_S ? (uint64_t)after : MOST_AFTER_S) * SECOND_NS;
    read_error_text(sender, text);
    kvtel_fail(&answer->reason, KVTEL_E_IO, 0, "it answered %ld%s%s%s", status,
               status >= 300 && status < 400 ? ", and a redirection is not followed" : "", *text ? ": " : "", text);
}

/* Sets the body, packed where that is wanted. */
static bool set_body(struct otlp_sender *sender, const void *request, size_t size)
{
    sender->packed.size = 0;
    if (sender->settings->gzip) {
        if (gzip_compress(request, size, &sender->packed) != KVTEL_OK)
            return false;
        request = sender->packed.bytes;
        size = sender->packed.size;
    }
    return sender->curl->easy_setopt(sender->easy, CURLOPT_POSTFIELDS, request) == CURLE_OK &&
           sender->curl->easy_setopt(sender->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)size) == CURLE_OK;
}

void otlp_sender_send(struct otlp_sender *sender, const void *request, size_t size, struct otlp_answer *answer)
{
    const struct otlp_curl *curl = sender->curl;
    *answer = (struct otlp_answer){ .outcome = OTLP_AGAIN };
    sender->answer.size = 0;
    sender->failure[0] = '\0';
    if (!set_body(sender, request, size) || curl->multi_add_handle(sender->multi, sender->easy) != CURLM_OK) {
        kvtel_fail(&answer->reason, KVTEL_E_NOMEM, 0, "%s", kvtel_status_text(KVTEL_E_NOMEM));
        return;
    }
    CURLcode result = transfer(sender);
    curl_off_t sent = 0;
    curl->easy_getinfo(sender->easy, CURLINFO_SIZE_UPLOAD_T, &sent);
    answer->bytes = sent > 0 ? (uint64_t)sent : 0;
    if (result == CURLE_OK) {
        read_answer(sender, answer);
    } else {
        char text[TEXT_SIZE];
        const char *failure = sender->failure[0] ? sender->failure : curl->easy_strerror(result);
        copy_text(sender, failure, strlen(failure), text);
        kvtel_fail(&answer->reason, KVTEL_E_IO, 0, "%s", text);
    }
    curl->multi_remove_handle(sender->multi, sender->easy);
}
