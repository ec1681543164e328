/* SPDX-License-Identifier: Apache-2.0 */
/* kvtel serve: opens sources and sockets, then updates the sources until a signal ends the process. */
#include "command/command.h"
#include "serve/descriptors.h"
#include "serve/exporter_history.h"
#include "serve/exporter_otlp.h"
#include "serve/options.h"
#include "serve/page.h"
#include "serve/signals.h"

#include <errno.h>
#include <kvtel/recorder.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#ifdef __GLIBC__
#include <malloc.h>
#endif

enum { ROUTES = 16 };
static const uint64_t SECOND_NS = 1000000000u;
/* The main loop runs once a second. After this time without a round it is considered stuck. Writing large totals to
 * a slow disk takes less. */
static const uint64_t STANDS_NS = 10u * 1000000000u;

struct serve {
    struct serve_options options;
    struct serve_log log;
    struct exporter exporter;
    struct descriptors descriptors;
    struct http *http;
    struct http_route routes[ROUTES];
    size_t route_count;
    struct signals signals;
    char host[256], instance[512]; /* names of this machine, and of this exporter */
    /* time of the main loop's last round, CLOCK_MONOTONIC; relaxed, because it orders nothing */
    _Atomic uint64_t came_round_ns;
    struct kvtel_error failure; /* why the exporter cannot start */
};

static int fail(struct serve *serve, const char *format, ...) KVTEL_PRINTF(2, 3);

/* Formats the failure, which is printed at the very end: printing may block, and by then a signal may end the
 * process. */
static int fail(struct serve *serve, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(serve->failure.message, sizeof serve->failure.message, format, arguments);
    va_end(arguments);
    return EXIT_FAILED;
}

static void add_route(struct serve *serve, const char *path, unsigned methods, http_handler handler, void *context)
{
    serve->routes[serve->route_count++] =
        (struct http_route){ .path = path, .methods = methods, .handler = handler, .context = context };
}

static void answer_text(struct http_response *response, const char *text)
{
    response->content_type = "text/plain; charset=utf-8";
    response->body.bytes = strdup(text);
    response->body.size = response->body.bytes ? strlen(text) : 0;
}

static void answer_healthy(void *context, const struct http_request *request, struct http_response *response)
{
    struct serve *serve = context;
    uint64_t came_round_ns = atomic_load_explicit(&serve->came_round_ns, memory_order_relaxed), now_ns = kvtel_now_ns();
    (void)request;
    if (now_ns < came_round_ns || now_ns - came_round_ns < STANDS_NS) {
        answer_text(response, "kvtel is healthy.\n");
        return;
    }
    char text[160];
    snprintf(text, sizeof text, "kvtel's main loop has stood for %llu s: new stores and ended ones are not seen.\n",
             (unsigned long long)((now_ns - came_round_ns) / SECOND_NS));
    response->status = 503;
    answer_text(response, text);
}

static void answer_ready(void *context, const struct http_request *request, struct http_response *response)
{
    struct serve *serve = context;
    enum kvtel_status status = exporter_state(&serve->exporter);
    (void)request;
    if (status == KVTEL_OK) {
        answer_text(response, "kvtel is ready.\n");
        return;
    }
    answer_text(response, "the metrics cannot be collected\n");
    response->status = 503;
}

static void answer_page_file(void *context, const struct http_request *request, struct http_response *response)
{
    const struct page_file *file = context;
    (void)request;
    response->content_type = file->content_type;
    response->headers[0].name = "Content-Security-Policy";
    response->headers[0].value = PAGE_CSP;
    response->headers[1].name = "X-Content-Type-Options";
    response->headers[1].value = "nosniff";
    response->body.bytes = malloc(file->size);
    if (!response->body.bytes) {
        response->status = 503;
        return;
    }
    memcpy(response->body.bytes, file->bytes, file->size);
    response->body.size = file->size;
}

static void make_routes(struct serve *serve)
{
    add_route(serve, serve->options.telemetry_path, HTTP_GET, exporter_metrics, &serve->exporter);
    serve->routes[0].max_requests = serve->options.max_requests;
    serve->routes[0].keeps_memory = true;
    add_route(serve, PATH_HEALTHY, HTTP_GET, answer_healthy, serve);
    serve->routes[1].open = serve->options.open_probes;
    add_route(serve, PATH_READY, HTTP_GET, answer_ready, serve);
    serve->routes[2].open = serve->options.open_probes;
    add_route(serve, PATH_SUMMARY, HTTP_GET, exporter_summary, &serve->exporter);
    if (serve->exporter.history) {
        add_route(serve, PATH_HISTORY, HTTP_GET, exporter_history, &serve->exporter);
        serve->routes[serve->route_count - 1].max_requests = 4; /* megabytes each, made at the same time */
    }
    if (serve->exporter.receiver) {
        add_route(serve, PATH_STATS, HTTP_POST, receiver_handle, serve->exporter.receiver);
        serve->routes[serve->route_count - 1].max_body = RECEIVER_BODY_LIMIT;
        serve->routes[serve->route_count - 1].max_requests = 8;
    }
    for (size_t i = 0; i < page_file_count && serve->route_count < ROUTES; i++)
        add_route(serve, page_files[i].path, HTTP_GET, answer_page_file, (void *)(uintptr_t)&page_files[i]);
}

static bool open_sockets(struct serve *serve, struct listen_socket **sockets, size_t *count)
{
    struct kvtel_error error = { 0 };
    *sockets = NULL;
    *count = 0;
    if (serve->options.systemd_socket) {
        if (listen_systemd(sockets, count, &error) == KVTEL_OK)
            return true;
        fail(serve, "%s", error.message);
        return false;
    }
    *sockets = calloc(serve->options.address_count, sizeof **sockets);
    if (!*sockets) {
        fail(serve, "%s", kvtel_status_text(KVTEL_E_NOMEM));
        return false;
    }
    *count = serve->options.address_count;
    if (listen_open(serve->options.addresses, *count, *sockets, &error) == KVTEL_OK)
        return true;
    fail(serve, "%s", error.message);
    free(*sockets);
    return false;
}

/* An exporter is known by its machine and port, as Prometheus knows what it scrapes. */
static void name_instance(struct serve *serve, const char *address)
{
    const char *colon = strrchr(address, ':');
    if (gethostname(serve->host, sizeof serve->host - 1) != 0 || !serve->host[0])
        strcpy(serve->host, "localhost");
    snprintf(serve->instance, sizeof serve->instance, "%s%s", serve->host, colon ? colon : address);
}

static bool start_push(struct serve *serve)
{
    struct kvtel_error error = { 0 };
    struct otlp_settings *settings = &serve->options.otlp;
    if (!settings->url)
        return true;
    enum kvtel_status status = otlp_settings_complete(settings, serve->host, serve->instance);
    if (status != KVTEL_OK)
        fail(serve, "%s", kvtel_status_text(status));
    else if ((status = exporter_otlp_start(&serve->exporter, settings, &error)) != KVTEL_OK)
        fail(serve, "%s", error.message);
    if (status != KVTEL_OK)
        return false;
    const char *const pairs[] = { "endpoint", settings->place, NULL };
    serve_log_write(&serve->log, WEB_LOG_INFO, "metrics are pushed", pairs);
    return true;
}

static bool start_http(struct serve *serve)
{
    struct kvtel_error error = { 0 };
    struct listen_socket *sockets;
    size_t count;
    if (!open_sockets(serve, &sockets, &count))
        return false;
    const struct http_options options = {
        .sockets = sockets,
        .socket_count = count,
        .web_config = serve->options.web_config,
        .routes = serve->routes,
        .route_count = serve->route_count,
        .allowed_hosts = serve->options.allowed_hosts,
        .allowed_host_count = serve->options.allowed_host_count,
        .refused_posts = &serve->exporter.refused_posts,
        .limits = { .connections = serve->descriptors.connections,
                    .connections_per_address = (serve->descriptors.connections + 1) / 2 },
        .log = serve_log_for_web(&serve->log),
    };
    serve->http = http_start(&options, &error);
    if (serve->http && count > 0)
        name_instance(serve, sockets[0].address);
    for (size_t i = 0; i < count && serve->http; i++) {
        const char *const pairs[] = { "address", sockets[i].address, "web_config",
                                      serve->options.web_config ? serve->options.web_config : "", NULL };
        serve_log_write(&serve->log, WEB_LOG_INFO, "listening", pairs);
    }
    free(sockets);
    if (!serve->http)
        fail(serve, "%s", error.message);
    return serve->http != NULL;
}

/* Notifies systemd if $NOTIFY_SOCKET is set (sd_notify(3): a datagram to a socket in the file system or in the
 * abstract namespace). */
static void notify(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    size_t size = path ? strlen(path) : 0;
    if (size == 0 || size >= sizeof address.sun_path || (path[0] != '/' && path[0] != '@'))
        return;
    memcpy(address.sun_path, path, size);
    if (path[0] == '@')
        address.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    const struct timeval patience = { .tv_sec = 1 }; /* do not wait longer if systemd is busy */
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    (void)sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&address,
                 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size));
    close(fd);
}

static void log_line(void *context, const char *line)
{
    serve_log_write(context, WEB_LOG_INFO, line, NULL);
}

/* Examines everything again, as SIGHUP requests. */
static void look_again(struct serve *serve)
{
    bool web_good = http_look(serve->http);
    exporter_look(&serve->exporter);
    const char *const pairs[] = { "store_dir", serve->options.store_dir, "web_config",
                                  !serve->options.web_config ? "none"
                                  : web_good                 ? "good"
                                                             : "bad",
                                  NULL };
    serve_log_write(&serve->log, WEB_LOG_INFO, "SIGHUP: stores, rings and web configuration are looked at again",
                    pairs);
}

static void log_interval(struct serve *serve, uint64_t since_ns)
{
    exporter_log_interval(&serve->exporter, serve->options.log_style,
                          (double)(kvtel_now_ns() - since_ns) / (double)SECOND_NS, log_line, &serve->log);
}

/* The main loop: waits for the sources, the clock and signals. Returns the signal that ends it. */
static int run(struct serve *serve)
{
    uint64_t interval_ns = (uint64_t)(serve->options.log_interval * 1e9), logged_ns = kvtel_now_ns();
    for (;;) {
        if (atomic_exchange(&serve->signals.look, false))
            look_again(serve);
        uint64_t now_ns = kvtel_now_ns(), wait_ns = exporter_poll(&serve->exporter, now_ns);
        const uint64_t history_ns = exporter_history_poll(&serve->exporter, now_ns);
        wait_ns = history_ns < wait_ns ? history_ns : wait_ns;
        if (interval_ns > 0 && now_ns - logged_ns >= interval_ns) {
            log_interval(serve, logged_ns);
            logged_ns = now_ns;
        }
        atomic_store_explicit(&serve->came_round_ns, kvtel_now_ns(), memory_order_relaxed);
        if (interval_ns > 0 && logged_ns + interval_ns - now_ns < wait_ns)
            wait_ns = logged_ns + interval_ns - now_ns;
        struct pollfd events[] = { { .fd = serve->signals.event, .events = POLLIN },
                                   { .fd = exporter_event_fd(&serve->exporter), .events = POLLIN } };
        const struct timespec wait = { .tv_sec = (time_t)(wait_ns / SECOND_NS),
                                       .tv_nsec = (long)(wait_ns % SECOND_NS) };
        uint64_t count;
        if (ppoll(events, 2, &wait, NULL) > 0 && (events[0].revents & POLLIN) &&
            read(serve->signals.event, &count, sizeof count) != sizeof count)
            continue;
        int signal = atomic_load(&serve->signals.ending);
        if (signal) {
            log_interval(serve, logged_ns);
            return signal;
        }
    }
}

static int serve_all(struct serve *serve)
{
    struct kvtel_error error = { 0 };
    serve->descriptors = descriptors_share();
    serve->options.exporter.stores_open = serve->descriptors.stores;
    serve->options.exporter.rings_open = serve->descriptors.rings;
    enum kvtel_status status = exporter_open(&serve->exporter, &serve->options.exporter, &serve->log, &error);
    if (status != KVTEL_OK)
        return fail(serve, "%s", error.message);
    if (exporter_history_open(&serve->exporter) != KVTEL_OK) {
        exporter_close(&serve->exporter);
        return fail(serve, "%s", kvtel_status_text(KVTEL_E_NOMEM));
    }
    make_routes(serve);
    atomic_store_explicit(&serve->came_round_ns, kvtel_now_ns(), memory_order_relaxed);
    int code = EXIT_FAILED;
    bool listens = start_http(serve);
    if (listens && start_push(serve)) {
        const char *const pairs[] = { "version", kvtel_version(), "store_dir", serve->options.store_dir, NULL };
        serve_log_write(&serve->log, WEB_LOG_INFO, "kvtel serve is ready", pairs);
        notify("READY=1");
        int signal = run(serve);
        notify("STOPPING=1");
        serve_log_printf(&serve->log, WEB_LOG_INFO, "ended by %s", signal == SIGTERM ? "SIGTERM" : "SIGINT");
        exporter_otlp_stop(&serve->exporter);
        code = EXIT_GOOD;
    }
    if (listens)
        http_stop(serve->http);
    exporter_history_close(&serve->exporter);
    exporter_close(&serve->exporter);
    return code;
}

/* Memory of this size goes back to the system when it is freed: texts of whole pages, and copies of all bins. By
 * default glibc keeps as much as it once needed. All threads share one arena, because each of several would keep the
 * most that its threads ever held, and a steady scrape asks for memory three times (docs/decisions/memory.md). */
static void give_memory_back(void)
{
#ifdef __GLIBC__
    (void)mallopt(M_ARENA_MAX, 1);
    (void)mallopt(M_MMAP_THRESHOLD, 1 << 20);
    (void)mallopt(M_TRIM_THRESHOLD, 8 << 20);
#endif
}

/* Signals are blocked first, because each thread inherits the mask. */
static int serve_with_log(struct serve *serve)
{
    give_memory_back();
    if (!signals_block(&serve->signals))
        return fail(serve, "signals cannot be blocked: %s", strerror(errno));
    if (!serve_log_init(&serve->log))
        return fail(serve, "a thread or memory for the log is missing");
    serve->log.level = serve->options.log_level;
    serve->log.json = serve->options.log_json;
    int code = EXIT_FAILED;
    if (signals_start(&serve->signals, &serve->log))
        code = serve_all(serve);
    else
        fail(serve, "the thread for signals cannot be started: %s", strerror(errno));
    signals_stop(&serve->signals);
    serve_log_close(&serve->log);
    return code;
}

int command_serve(int argc, char **argv)
{
    struct serve *serve = calloc(1, sizeof *serve);
    if (!serve)
        return command_fail("%s", kvtel_status_text(KVTEL_E_NOMEM));
    int code = serve_options_parse(&serve->options, argc, argv);
    if (code < 0) {
        code = serve_with_log(serve);
        if (code != EXIT_GOOD) { /* else a second SIGTERM, which waits, would make it another code than 0 */
            signals_unblock(&serve->signals);
            command_fail("%s", serve->failure.message);
        }
    }
    otlp_settings_free(&serve->options.otlp);
    free(serve);
    return code;
}
