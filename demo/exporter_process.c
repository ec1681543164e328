/* SPDX-License-Identifier: Apache-2.0 */
/* Runs `kvtel serve` as a child process, and has a minimal HTTP client for it. */
#include "demo/exporter_process.h"

#include "demo/fail.h"
#include "demo/address.h"

#include <errno.h>
#include <fcntl.h>
#include <kvtel/recorder.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { START_MS = 10000, STOP_MS = 5000, STEP_MS = 20, ANSWER_SECONDS = 5, ANSWER_LIMIT = 256 << 20 };

static void nap(void)
{
    nanosleep(&(struct timespec){ .tv_nsec = STEP_MS * 1000000 }, NULL);
}

/* Opens a connection to the exporter; -1: failed. */
static int open_connection(const struct demo_exporter *exporter)
{
    char host[96];
    const char *colon = strrchr(exporter->address, ':');
    bool bracketed = exporter->address[0] == '[';
    snprintf(host, sizeof host, "%.*s", (int)(colon - exporter->address) - (bracketed ? 2 : 0),
             exporter->address + bracketed);
    const struct addrinfo hints = { .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM };
    struct addrinfo *found;
    if (getaddrinfo(host, colon + 1, &hints, &found) != 0)
        return -1;
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct timeval limit = { .tv_sec = ANSWER_SECONDS };
    if (fd >= 0) {
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    }
    if (fd >= 0 && connect(fd, found->ai_addr, found->ai_addrlen) != 0) {
        close(fd);
        fd = -1;
    }
    freeaddrinfo(found);
    return fd;
}

/* Body size of a 200 answer from its header; 0: the header is incomplete. `wrong`: what is wrong with the answer. */
static size_t answer_size(const struct kvtel_buffer *answer, size_t *header_size, const char **wrong)
{
    static const char end_of_header[] = "\r\n\r\n", length_header[] = "\r\nContent-Length:";
    const char *end = answer->size > 0 ? memmem(answer->bytes, answer->size, end_of_header, 4) : NULL;
    if (!end)
        return 0;
    *header_size = (size_t)(end - answer->bytes) + 4;
    const char *length = memmem(answer->bytes, *header_size, length_header, sizeof length_header - 1);
    if (memcmp(answer->bytes, "HTTP/1.1 200", 12) != 0)
        *wrong = "its status is not 200";
    else if (!length)
        *wrong = "its answer has no length";
    return *wrong ? 0 : *header_size + strtoull(length + sizeof length_header - 1, NULL, 10);
}

enum { ANSWER_STEP = 1 << 16 };

/* Makes room for ANSWER_STEP more bytes. False: no memory. */
static bool make_room(struct kvtel_buffer *buffer)
{
    if (buffer->capacity - buffer->size >= ANSWER_STEP)
        return true;
    size_t capacity = buffer->capacity * 2 + ANSWER_STEP;
    char *bytes = realloc(buffer->bytes, capacity);
    if (!bytes)
        return false;
    buffer->bytes = bytes;
    buffer->capacity = capacity;
    return true;
}

/* Reads an answer into `body`, which is empty. @return NULL, or what went wrong */
static const char *receive_answer(int fd, struct kvtel_buffer *body)
{
    struct kvtel_buffer answer = { 0 };
    const char *wrong = NULL;
    size_t header_size = 0, size = 0;
    while (!wrong && (size == 0 || answer.size < size)) {
        if (answer.size > ANSWER_LIMIT || !make_room(&answer)) {
            wrong = "its answer is too long";
            break;
        }
        ssize_t got = recv(fd, answer.bytes + answer.size, ANSWER_STEP, 0);
        if (got < 0 && errno != EINTR)
            wrong = strerror(errno);
        else if (got == 0)
            wrong = "its answer is not complete";
        answer.size += got > 0 ? (size_t)got : 0;
        if (!wrong && size == 0)
            size = answer_size(&answer, &header_size, &wrong);
    }
    if (wrong) {
        kvtel_buffer_free(&answer);
        return wrong;
    }
    memmove(answer.bytes, answer.bytes + header_size, size - header_size);
    answer.size = size - header_size;
    kvtel_buffer_free(body);
    *body = answer;
    return NULL;
}

/* Sends a GET request. @return NULL, or what went wrong */
static const char *get(const struct demo_exporter *exporter, const char *path, struct kvtel_buffer *body)
{
    char request[256];
    int size = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", path,
                        exporter->address);
    int fd = open_connection(exporter);
    const char *wrong = NULL;
    if (fd < 0 || send(fd, request, (size_t)size, MSG_NOSIGNAL) != size)
        wrong = strerror(errno);
    if (!wrong)
        wrong = receive_answer(fd, body);
    if (fd >= 0)
        close(fd);
    return wrong;
}

bool demo_exporter_metrics(const struct demo_exporter *exporter, struct kvtel_buffer *text)
{
    const char *wrong = get(exporter, "/metrics", text);
    if (wrong)
        demo_fail("http://%s/metrics: %s", exporter->address, wrong);
    return !wrong;
}

/* Runs in the child. */
static _Noreturn void become_exporter(const struct demo_exporter *exporter, const char *store_dir)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    setpgid(0, 0); /* Ctrl-C must reach the demo only, which needs the exporter a little longer */
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC),
        log = open(exporter->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (null >= 0 && log >= 0) {
        dup2(null, STDIN_FILENO);
        dup2(log, STDOUT_FILENO);
        dup2(log, STDERR_FILENO);
        execl(exporter->program, "kvtel", "serve", "--store.dir", store_dir, "--web.listen-address", exporter->address,
              (char *)NULL);
    }
    _exit(EXIT_FAILED);
}

/* Prints the exporter's log after it failed. */
static void print_log(const struct demo_exporter *exporter)
{
    char line[1024];
    FILE *log = fopen(exporter->log, "re");
    while (log && fgets(line, sizeof line, log))
        fprintf(stderr, "  %s", line);
    if (log)
        fclose(log);
}

/* Whether the exporter has ended. If so, it is reaped. */
static bool has_ended(struct demo_exporter *exporter, int *how)
{
    if (waitpid(exporter->pid, how, WNOHANG) != exporter->pid)
        return false;
    exporter->pid = 0;
    return true;
}

/* Finds the exporter: $KVTEL, or the program in the same directory. */
static bool find_program(char *path, size_t size)
{
    const char *given = getenv("KVTEL");
    if (given && *given)
        return (size_t)snprintf(path, size, "%s", given) < size && access(path, X_OK) == 0;
    ssize_t length = readlink("/proc/self/exe", path, size - 1);
    if (length <= 0)
        return false;
    path[length] = 0;
    char *slash = strrchr(path, '/');
    if (!slash || (size_t)(slash - path) + sizeof "/kvtel" > size)
        return false;
    memcpy(slash, "/kvtel", sizeof "/kvtel");
    return access(path, X_OK) == 0;
}

int demo_exporter_start(struct demo_exporter *exporter, const char *address, const char *store_dir, const char *dir)
{
    char wrong_address[256];
    if (!demo_address_probe(address, exporter->address, sizeof exporter->address, wrong_address, sizeof wrong_address))
        return demo_usage("--web.listen-address: %s", wrong_address);
    if (!find_program(exporter->program, sizeof exporter->program))
        return demo_fail("the program kvtel is neither beside kvtel-demo nor named by $KVTEL; "
                         "--web.listen-address=none runs without it");
    snprintf(exporter->log, sizeof exporter->log, "%s/exporter.log", dir);
    exporter->pid = fork();
    if (exporter->pid == 0)
        become_exporter(exporter, store_dir);
    if (exporter->pid < 0) {
        exporter->pid = 0;
        return demo_fail("the exporter cannot be started: %s", strerror(errno));
    }
    const char *wrong = "it ended at once";
    int how;
    for (int waited_ms = 0; waited_ms < START_MS && !has_ended(exporter, &how); waited_ms += STEP_MS) {
        struct kvtel_buffer ignored = { 0 };
        wrong = get(exporter, "/-/ready", &ignored);
        kvtel_buffer_free(&ignored);
        if (!wrong)
            return EXIT_GOOD;
        nap();
    }
    demo_fail("the exporter does not answer on http://%s: %s. It says:", exporter->address,
              exporter->pid ? wrong : "it has ended");
    print_log(exporter);
    return EXIT_FAILED;
}

bool demo_exporter_stop(struct demo_exporter *exporter)
{
    int how = 0;
    if (exporter->pid == 0)
        return true;
    kill(exporter->pid, SIGTERM);
    for (int waited_ms = 0; waited_ms < STOP_MS; waited_ms += STEP_MS) {
        if (has_ended(exporter, &how)) {
            if (WIFEXITED(how) && WEXITSTATUS(how) == EXIT_GOOD)
                return true;
            demo_fail("the exporter did not end well. It says:");
            print_log(exporter);
            return false;
        }
        nap();
    }
    kill(exporter->pid, SIGKILL);
    waitpid(exporter->pid, &how, 0);
    exporter->pid = 0;
    demo_fail("the exporter did not end within five seconds");
    return false;
}
