/* SPDX-License-Identifier: Apache-2.0 */
/* What 67,000 series take on the wire, packed, and what a push of them costs. */
#include "collect/snapshot.h"
#include "exposition/exposition.h"
#include "exposition/otlp.h"
#include "exposition_store.h"
#include "otlp/sender.h"
#include "serve/web/gzip.h"
#include "serve/web/zstd.h"

#include <netinet/in.h>
#include <pthread.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ROUNDS = 9 };

static void put_format(const struct kvtel_snapshot *snapshot, enum kvtel_exposition_format format,
                       enum kvtel_histograms histograms, struct kvtel_buffer *page)
{
    struct kvtel_exposition_options options = kvtel_exposition_defaults(format);
    options.histograms = histograms;
    for (size_t i = 0; i < kvtel_snapshot_family_count(snapshot); i++)
        bench_require(kvtel_exposition_family(kvtel_snapshot_family(snapshot, i), &options, page) == KVTEL_OK,
                      "encode");
    bench_require(kvtel_exposition_end(format, page) == KVTEL_OK, "encode");
}

static void put_push(const struct kvtel_snapshot *snapshot, struct kvtel_buffer *request)
{
    static const struct kvtel_otlp_attribute resource[] = { { "service.name", "kvtel" } };
    const struct kvtel_otlp_options options = { KVTEL_HISTOGRAMS_NATIVE, 3, 160, 1700000000000000000u };
    for (size_t i = 0; i < kvtel_snapshot_family_count(snapshot); i++)
        bench_require(kvtel_otlp_family(kvtel_snapshot_family(snapshot, i), &options, request) == KVTEL_OK, "encode");
    bench_require(kvtel_otlp_finish(resource, 1, request) == KVTEL_OK, "encode");
}

static void report_packed(const char *format, const struct kvtel_buffer *page)
{
    struct kvtel_buffer packed = { 0 };
    char name[160];
    bench_require(gzip_compress(page->bytes, page->size, &packed) == KVTEL_OK, "gzip");
    snprintf(name, sizeof name, "exposition of 67,000 series in %s: bytes by gzip", format);
    bench_report(name, (double)packed.size / 1e6, "MB", 0);
    packed.size = 0;
    bench_require(zstd_compress(page->bytes, page->size, &packed) == KVTEL_OK, "zstd");
    snprintf(name, sizeof name, "exposition of 67,000 series in %s: bytes by zstd", format);
    bench_report(name, (double)packed.size / 1e6, "MB", 0);
    kvtel_buffer_free(&packed);
}

static void measure_bytes(const struct kvtel_snapshot *snapshot)
{
    static const struct {
        const char *name;
        enum kvtel_exposition_format format;
        enum kvtel_histograms histograms;
    } rows[] = {
        { "text", KVTEL_FORMAT_TEXT, KVTEL_HISTOGRAMS_BOTH },
        { "OpenMetrics", KVTEL_FORMAT_OPENMETRICS, KVTEL_HISTOGRAMS_BOTH },
        { "protobuf, classic and native", KVTEL_FORMAT_PROTOBUF, KVTEL_HISTOGRAMS_BOTH },
        { "protobuf, native", KVTEL_FORMAT_PROTOBUF, KVTEL_HISTOGRAMS_NATIVE },
    };
    struct kvtel_buffer page = { 0 };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        page.size = 0;
        put_format(snapshot, rows[i].format, rows[i].histograms, &page);
        report_packed(rows[i].name, &page);
    }
    kvtel_buffer_free(&page);
}

/* -- The push -- */

/* A receiver that takes all requests of one connection; its time is in that of a push. */
static void *receive(void *context)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n";
    static char bytes[1 << 16];
    const int connection = accept(*(int *)context, NULL, NULL);
    size_t size = 0;
    for (ssize_t got; (got = read(connection, bytes + size, sizeof bytes - 1 - size)) > 0;) {
        size += (size_t)got;
        bytes[size] = '\0';
        const char *length = strstr(bytes, "Content-Length: "), *body = strstr(bytes, "\r\n\r\n");
        if (!length || !body)
            continue;
        size_t left = strtoul(length + strlen("Content-Length: "), NULL, 10), here = size - (size_t)(body + 4 - bytes);
        for (left -= here; left > 0 && (got = read(connection, bytes, sizeof bytes)) > 0;)
            left -= (size_t)got;
        size = 0;
        if (write(connection, answer, sizeof answer - 1) < 0)
            break;
    }
    close(connection);
    return NULL;
}

static int listen_on(struct sockaddr_in *address)
{
    socklen_t size = sizeof *address;
    const int server = socket(AF_INET, SOCK_STREAM, 0);
    *address = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    bench_require(server >= 0 && bind(server, (const struct sockaddr *)address, size) == 0 && listen(server, 1) == 0 &&
                      getsockname(server, (struct sockaddr *)address, &size) == 0,
                  "a receiver");
    return server;
}

static double cpu_ms(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e3 +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e3;
}

/* Reads the store anew, encodes, packs and sends, each time. */
static void push(struct kvtel_store *store, struct kvtel_snapshot *snapshot, struct otlp_sender *sender)
{
    struct kvtel_buffer request = { 0 };
    struct otlp_answer answer = { 0 };
    double began = 0;
    kvtel_snapshot_ask_parts(snapshot); /* as the exporter does with each push */
    for (int round = 0; round <= ROUNDS; round++) {
        began = round == 1 ? cpu_ms() : began; /* the first one makes room */
        kvtel_snapshot_reset(snapshot);
        bench_require(kvtel_snapshot_add(snapshot, store) == KVTEL_OK, "snapshot");
        request.size = 0;
        put_push(snapshot, &request);
        otlp_sender_send(sender, request.bytes, request.size, &answer);
        bench_require(answer.outcome == OTLP_TAKEN, answer.reason.message);
    }
    bench_report("push of 67,000 series by OTLP with gzip: CPU", (cpu_ms() - began) / ROUNDS, "ms", 0);
    bench_report("push of 67,000 series by OTLP with gzip: bytes", (double)answer.bytes / 1e6, "MB", 0);
    kvtel_buffer_free(&request);
}

static void measure_push(struct kvtel_store *store, struct kvtel_snapshot *snapshot)
{
    struct sockaddr_in address;
    struct otlp_settings settings;
    struct kvtel_error error = { 0 };
    pthread_t receiver;
    char url[64];
    int server = listen_on(&address);
    snprintf(url, sizeof url, "http://127.0.0.1:%u", (unsigned)ntohs(address.sin_port));
    bench_require(setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip", 1) == 0 && setenv("no_proxy", "*", 1) == 0 &&
                      otlp_settings_read(&settings, url, &error) == KVTEL_OK,
                  error.message);
    struct otlp_sender *sender = otlp_sender_create(&settings, &error);
    if (!sender) {
        fprintf(stderr, "bench: no push: %s\n", error.message);
    } else {
        bench_require(pthread_create(&receiver, NULL, receive, &server) == 0, "thread");
        push(store, snapshot, sender);
        otlp_sender_destroy(sender);
        pthread_join(receiver, NULL);
    }
    close(server);
    otlp_settings_free(&settings);
}

int main(void)
{
    struct kvtel_store *store = loaded_store();
    struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
    bench_require(snapshot && kvtel_snapshot_add(snapshot, store) == KVTEL_OK, "snapshot");
    measure_bytes(snapshot);
    measure_push(store, snapshot);
    kvtel_snapshot_destroy(snapshot);
    kvtel_store_close(store);
    return 0;
}
