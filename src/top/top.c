/* SPDX-License-Identifier: Apache-2.0 */
/* kvtel top: a live table in a terminal, or one table for a pipe. */
#include "command/command.h"
#include "top/options.h"
#include "top/parts.h"
#include "top/screen.h"
#include "top/view.h"

#include "base/buffer.h"
#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <kvtel/recorder.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ONCE_WIDTH = 160, ONE_MS = 1000000 };

struct top {
    struct top_options options;
    struct top_source source;
    struct top_history history;
    struct top_view view;
    struct top_page page;
    struct kvtel_buffer json, parts; /* the last answer; with --json: those before it, each with a NUL at its end */
    size_t part_count;               /* answers that the reading has so far */
    bool reading;
    uint64_t due_ns;  /* CLOCK_MONOTONIC: the next reading */
    uint64_t good_ns; /* the last one that was good */
};

/* -- Signals -- */

/* A handler writes the signal's number into a pipe, which the loop waits for. */
static int signal_pipe[2] = { -1, -1 };

static void note_signal(int number)
{
    const int saved = errno;
    const unsigned char byte = (unsigned char)number;
    (void)!write(signal_pipe[1], &byte, 1);
    errno = saved;
}

static bool catch_signals(void)
{
    static const int caught[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM, SIGWINCH, SIGTSTP };
    struct sigaction action = { .sa_handler = note_signal, .sa_flags = SA_RESTART };
    if (pipe2(signal_pipe, O_CLOEXEC | O_NONBLOCK) != 0)
        return false;
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof caught / sizeof *caught; i++)
        sigaction(caught[i], &action, NULL);
    return true;
}

/* Acts on the signals that came. False: end. */
static bool take_signals(void)
{
    unsigned char number;
    bool go_on = true;
    while (read(signal_pipe[0], &number, 1) == 1) {
        if (number == SIGWINCH) {
            top_screen_resize();
        } else if (number == SIGTSTP) {
            top_screen_close();
            (void)raise(SIGSTOP);
            top_screen_resume();
        } else {
            go_on = false;
        }
    }
    return go_on;
}

/* -- Readings -- */

static const char *source_name(const struct top *top)
{
    return top->options.is_remote ? top->options.shown_url : top->options.store_dir;
}

static void begin_reading(struct top *top)
{
    top->source.begin(top->source.context);
    top->part_count = top->parts.size = 0;
    top->reading = true;
    top->due_ns = kvtel_now_ns() + (uint64_t)(top->options.interval * 1e9);
}

/* Takes an answer: a summary, or the first or a further part of one. TOP_PENDING: the next part was asked for. */
static enum top_reading take_answer(struct top *top, struct kvtel_error *error)
{
    struct top_history *history = &top->history;
    enum kvtel_status status = (top->part_count++ == 0 ? top_history_begin : top_history_more)(history, top->json.bytes,
                                                                                               top->json.size, error);
    const size_t missing = status == KVTEL_OK ? top_history_missing(history) : 0;
    if (missing > 0 && top->source.begin_part) {
        if (top->options.json && (kvtel_buffer_append(&top->parts, top->json.bytes, top->json.size) != KVTEL_OK ||
                                  kvtel_buffer_append_byte(&top->parts, '\0') != KVTEL_OK))
            return (void)kvtel_fail(error, KVTEL_E_NOMEM, 0, "%s", kvtel_status_text(KVTEL_E_NOMEM)), TOP_FAILED;
        top->source.begin_part(top->source.context, missing);
        return TOP_PENDING;
    }
    status = status == KVTEL_OK ? top_history_end(history, error) : status;
    return status == KVTEL_OK ? TOP_DONE : TOP_FAILED;
}

/* Goes on with the reading. TOP_DONE: the history has it. */
static enum top_reading go_on_reading(struct top *top, struct kvtel_error *error)
{
    enum top_reading state;
    bool is_part;
    do {
        state = top->source.go_on(top->source.context, &top->json, error);
        is_part = state == TOP_DONE && (state = take_answer(top, error)) == TOP_PENDING;
    } while (is_part);
    top->reading = state == TOP_PENDING;
    return state;
}

/* Reads the first summary. False: a message was printed, or `*ended`: a signal came. */
static bool read_first(struct top *top, bool *ended)
{
    struct pollfd fds[] = { { .fd = signal_pipe[0], .events = POLLIN } };
    struct kvtel_error error = { 0 };
    enum top_reading state;
    begin_reading(top);
    while ((state = go_on_reading(top, &error)) == TOP_PENDING) {
        top->source.wait(top->source.context, fds, signal_pipe[0] >= 0, 1000);
        *ended = !take_signals();
        if (*ended)
            return false;
    }
    if (state == TOP_FAILED)
        (void)command_fail("%s: %s", source_name(top), error.message);
    top->good_ns = kvtel_now_ns();
    return state == TOP_DONE;
}

/* Reads what happened before, if an exporter keeps it. Without it the window begins now. False: a signal came. */
static bool read_past(struct top *top)
{
    struct pollfd fds[] = { { .fd = signal_pipe[0], .events = POLLIN } };
    struct kvtel_error error = { 0 };
    enum top_reading state;
    if (!top->source.begin_past)
        return true;
    top->source.begin_past(top->source.context);
    while ((state = top->source.go_on(top->source.context, &top->json, &error)) == TOP_PENDING) {
        top->source.wait(top->source.context, fds, 1, 1000);
        if (!take_signals())
            return false;
    }
    if (state == TOP_DONE)
        top_history_add_past(&top->history, top->json.bytes, top->json.size);
    return true;
}

/* -- Once -- */

/* Writes all of it to standard output. A reader that went away is no error. */
static int write_out(const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t written = write(STDOUT_FILENO, bytes, size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return errno == EPIPE ? EXIT_GOOD : command_fail("standard output: writing failed: %s", strerror(errno));
        bytes += written;
        size -= (size_t)written;
    }
    return EXIT_GOOD;
}

/* Removes the styles, and the blanks at the ends of lines. */
static void make_plain(struct kvtel_buffer *text)
{
    size_t kept = 0;
    for (size_t i = 0; i < text->size; i++) {
        if (text->bytes[i] == '\n')
            while (kept > 0 && text->bytes[kept - 1] == ' ')
                kept--;
        if (text->bytes[i] == '\n' || (unsigned char)text->bytes[i] >= TOP_STYLES)
            text->bytes[kept++] = text->bytes[i];
    }
    text->size = kept;
}

static int print_once(struct top *top)
{
    if (top->options.json) {
        if (top->parts.size > 0 && top_parts_join(&top->parts, &top->json) != KVTEL_OK)
            return command_fail("%s", kvtel_status_text(KVTEL_E_NOMEM));
        if (kvtel_buffer_append_byte(&top->json, '\n') != KVTEL_OK)
            return command_fail("%s", kvtel_status_text(KVTEL_E_NOMEM));
        return write_out(top->json.bytes, top->json.size);
    }
    top->page.width = ONCE_WIDTH;
    top_view_once(&top->view, &top->history, &top->page);
    if (top->page.failed)
        return command_fail("%s", kvtel_status_text(KVTEL_E_NOMEM));
    make_plain(&top->page.text);
    return write_out(top->page.text.bytes, top->page.text.size);
}

/* -- Live -- */

static void say_failure(struct top *top, const struct kvtel_error *error)
{
    (void)snprintf(top->view.message, sizeof top->view.message, "numbers of %.0f s ago: %s",
                   (double)(kvtel_now_ns() - top->good_ns) / 1e9, error->message);
}

/* Begins or goes on with a reading that is due. True: there is something new to show. */
static bool read_due(struct top *top)
{
    struct kvtel_error error = { 0 };
    if (!top->reading && kvtel_now_ns() < top->due_ns)
        return false;
    if (!top->reading)
        begin_reading(top);
    enum top_reading state = go_on_reading(top, &error);
    if (state == TOP_DONE) {
        top->good_ns = kvtel_now_ns();
        top->view.message[0] = '\0';
    } else if (state == TOP_FAILED) {
        say_failure(top, &error);
    }
    return state != TOP_PENDING;
}

static void draw(struct top *top)
{
    top->page.width = top_screen_width();
    top_view_draw(&top->view, &top->history, &top->page, top_screen_height());
    top_screen_show(&top->page);
}

static int wait_ms(const struct top *top)
{
    const uint64_t now_ns = kvtel_now_ns();
    if (top->reading || now_ns >= top->due_ns)
        return top->reading ? 1000 : 0;
    return (int)fmin((double)(top->due_ns - now_ns) / ONE_MS + 1, 1000);
}

static void run(struct top *top)
{
    struct pollfd fds[] = { { .fd = STDIN_FILENO, .events = POLLIN }, { .fd = signal_pipe[0], .events = POLLIN } };
    draw(top);
    for (;;) {
        bool changed = false;
        top->source.wait(top->source.context, fds, 2, wait_ms(top));
        if (fds[1].revents && !take_signals())
            return;
        changed = fds[1].revents != 0;
        for (uint32_t key; (key = top_screen_key()) != 0; changed = true)
            if (!top_view_key(&top->view, &top->history, key))
                return;
        if (fds[0].revents & (POLLHUP | POLLERR | POLLNVAL))
            return; /* the terminal went away; Linux says POLLIN, too */
        if (read_due(top) || changed)
            draw(top);
    }
}

static int run_live(struct top *top)
{
    struct kvtel_error error = { 0 };
    if (top_screen_open(&error) != KVTEL_OK)
        return command_fail("top: %s", error.message);
    run(top);
    top_screen_close();
    return EXIT_GOOD;
}

/* -- The command -- */

static int run_top(struct top *top)
{
    struct kvtel_error error = { 0 };
    bool ended = false;
    const struct top_options *options = &top->options;
    enum kvtel_status status = options->is_remote ? top_remote_open(&options->remote, &top->source, &error)
                                                  : top_local_open(&options->local, &top->source, &error);
    if (status != KVTEL_OK)
        return command_fail("%s", error.message);
    top->history.whole = options->once;
    top->page.utf8 = top_screen_is_utf8() && !options->ascii;
    top_view_init(&top->view, source_name(top));
    top->view.table.sort = options->sort;
    if (options->filter)
        (void)snprintf(top->view.table.filter, sizeof top->view.table.filter, "%s", options->filter);
    if (!options->once && !catch_signals()) /* --once ends by a signal as any program, also while its output blocks */
        return command_fail("%s", strerror(errno));
    if (!read_first(top, &ended))
        return ended ? EXIT_GOOD : EXIT_FAILED;
    if (options->once)
        return print_once(top);
    return read_past(top) ? run_live(top) : EXIT_GOOD;
}

int command_top(int argc, char **argv)
{
    struct top *top = calloc(1, sizeof *top);
    if (!top)
        return command_fail("%s", kvtel_status_text(KVTEL_E_NOMEM));
    int code = top_options_parse(argc, argv, &top->options);
    if (code < 0) {
        command_load_connector_path();
        code = run_top(top);
    }
    if (top->source.close)
        top->source.close(top->source.context);
    top_history_close(&top->history);
    top_view_close(&top->view);
    kvtel_buffer_free(&top->page.text);
    kvtel_buffer_free(&top->json);
    kvtel_buffer_free(&top->parts);
    free(top);
    return code;
}
