/* SPDX-License-Identifier: Apache-2.0 */
/* Open transfers of writers that end: what is lost, at each instruction, and what a reader makes of files that others
 * wrote. */
#include "support/open_scene.h"

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

/* Runs a writer that begins 3 transfers, ends one, says so, and ends as `how` says. */
static void run_writer(const char *how, char path[256])
{
    int said[2];
    assert_int_equal(pipe(said), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct scene scene;
        open_scene(&scene, 4);
        struct kvtel_transfer_token token = begin(&scene, 1);
        (void)begin(&scene, 2);
        (void)begin(&scene, 3);
        (void)kvtel_transfer_end(&token, &(struct kvtel_transfer){ .duration_ns = 1 });
        (void)!write(said[1], kvtel_store_path(scene.store), strlen(kvtel_store_path(scene.store)) + 1);
        if (strcmp(how, "killed") == 0)
            (void)raise(SIGKILL);
        if (strcmp(how, "closed") == 0) {
            kvtel_recorder_destroy(scene.recorder);
            kvtel_store_close(scene.store);
        }
        if (strcmp(how, "exit") == 0)
            exit(0);
        _exit(0);
    }
    close(said[1]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(read(said[0], path, 255) > 0);
    close(said[0]);
}

static void test_a_writer_that_ends(void **state)
{
    static const struct {
        const char *how, *outcome;
    } cases[] = { { "killed", "lost" }, { "closed", "abandoned" } };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        static const char *const outcomes[] = { "failed", "lost", "abandoned" };
        char path[256] = "";
        run_writer(cases[i].how, path);
        struct kvtel_snapshot *snapshot = read_file(path);
        for (int k = 0; k < 3; k++)
            assert_int_equal(value_in(snapshot, "kvtel_unfinished_transfers", outcomes[k]),
                             strcmp(outcomes[k], cases[i].outcome) == 0 ? 2 : 0);
        assert_int_equal(value_in(snapshot, "vllm:nixl_xfer_time_seconds", NULL), 1);
        kvtel_snapshot_destroy(snapshot);
        assert_int_equal(unlink(path), 0);
    }
}

/* A reader that followed the store while it was live counts them once, when it has ended. */
static void test_a_reader_that_was_there_before(void **state)
{
    int said[2], wait_for[2];
    char path[256] = "", byte = 0;
    struct kvtel_store_reader *reader;
    (void)state;
    assert_int_equal(pipe(said), 0);
    assert_int_equal(pipe(wait_for), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct scene scene;
        open_scene(&scene, 4);
        (void)begin(&scene, 2);
        (void)!write(said[1], kvtel_store_path(scene.store), strlen(kvtel_store_path(scene.store)) + 1);
        close(wait_for[1]);
        (void)!read(wait_for[0], &byte, 1);
        (void)raise(SIGKILL);
    }
    assert_true(read(said[0], path, 255) > 0);
    struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
    assert_int_equal(kvtel_store_reader_open(path, &reader, NULL), KVTEL_OK);
    for (int i = 0; i < 5; i++) {
        kvtel_snapshot_reset(snapshot);
        assert_int_equal(kvtel_snapshot_add_reader(snapshot, reader, NULL), KVTEL_OK);
        assert_int_equal(value_in(snapshot, "kvtel_unfinished_transfers", "lost"), i >= 2);
        if (i == 1) {
            int status;
            close(wait_for[1]);
            assert_int_equal(waitpid(child, &status, 0), child);
        }
    }
    kvtel_store_reader_close(reader);
    kvtel_snapshot_destroy(snapshot);
    close(wait_for[0]);
    close(said[0]);
    close(said[1]);
    assert_int_equal(unlink(path), 0);
}

/* -- Each instruction -- */

/* Numbers of a store as if its writer had ended at this moment. */
static void read_as_ended(struct kvtel_store_reader *reader, uint64_t *ended_well, uint64_t *lost)
{
    struct kvtel_view view;
    struct kvtel_source source = { 0 };
    static struct kvtel_worker worker;
    *ended_well = *lost = 0;
    assert_int_equal(kvtel_store_reader_view(reader, &view, NULL), KVTEL_OK);
    view.ended = true;
    assert_int_equal(kvtel_source_refresh(&source, &view, &worker), KVTEL_OK);
    for (uint32_t i = 0; i < view.series_count; i++) {
        const char *name = view.strings + view.families[view.series[i].family].text_at;
        if (strcmp(name, "vllm:nixl_xfer_time_seconds") == 0)
            *ended_well += source.series[i].value.count;
        if (strcmp(name, "kvtel_unfinished_transfers") == 0 &&
            strcmp(kvtel_open_label(&view, &(struct kvtel_open_transfer){ .series = i }, "outcome"), "failed") == 0)
            *ended_well += (uint64_t)source.series[i].value.value;
        if (strcmp(name, "kvtel_unfinished_transfers") == 0 &&
            strcmp(kvtel_open_label(&view, &(struct kvtel_open_transfer){ .series = i }, "outcome"), "lost") == 0)
            *lost += (uint64_t)source.series[i].value.value;
    }
    kvtel_source_free(&source);
}

/* Begins and ends a transfer when the tracer is there, and stops before and after. */
static void run_traced(bool fails, const char *out)
{
    struct scene scene;
    open_scene(&scene, 4);
    struct kvtel_transfer_token token = begin(&scene, 1);
    (void)kvtel_transfer_end(&token, &(struct kvtel_transfer){ .duration_ns = 1 }); /* the thread has its lane */
    token = begin(&scene, 1);
    (void)kvtel_transfer_fail(&token, KVTEL_FAILED_TRANSFER);
    FILE *file = fopen(out, "w");
    if (!file || fputs(kvtel_store_path(scene.store), file) < 0 || fclose(file) != 0 ||
        ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
        _exit(1);
    (void)raise(SIGSTOP);
    token = begin(&scene, 1);
    if (fails)
        (void)kvtel_transfer_fail(&token, KVTEL_FAILED_TRANSFER);
    else
        (void)kvtel_transfer_end(&token, &(struct kvtel_transfer){ .duration_ns = 1 });
    (void)raise(SIGSTOP);
    _exit(0);
}

/* Whenever the writer is killed, the transfer is one of these: not begun, lost, ended. Only where a
 * compare-and-exchange is one instruction: a loop of exclusive loads and stores never ends when it is stepped through.
 */
static void step_through(bool fails)
{
    char out[64], path[256] = "";
    struct kvtel_store_reader *reader;
    int status;
    (void)snprintf(out, sizeof out, "%s/path", dir);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        run_traced(fails, out);
    assert_int_equal(waitpid(child, &status, 0), child);
    FILE *file = fopen(out, "r");
    assert_non_null(file);
    assert_non_null(fgets(path, sizeof path, file));
    (void)fclose(file);
    assert_int_equal(unlink(out), 0);
    if (!WIFSTOPPED(status) || ptrace(PTRACE_SINGLESTEP, child, NULL, NULL) != 0) { /* it cannot be traced here */
        (void)kill(child, SIGKILL);
        (void)waitpid(child, &status, 0);
        assert_int_equal(unlink(path), 0);
        skip();
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(kvtel_store_reader_open(path, &reader, NULL), KVTEL_OK);
    uint64_t lost, ended, was_lost = 0, was_ended = 2, seen_lost = 0;
    for (;;) {
        read_as_ended(reader, &ended, &lost);
        assert_true(ended + lost == 2 || ended + lost == 3);
        assert_true(ended >= was_ended && ended + lost >= was_ended + was_lost);
        was_lost = lost;
        was_ended = ended;
        seen_lost += lost;
        if (ptrace(PTRACE_SINGLESTEP, child, NULL, NULL) != 0)
            break;
        assert_int_equal(waitpid(child, &status, 0), child);
        if (!WIFSTOPPED(status) || WSTOPSIG(status) != SIGTRAP)
            break;
    }
    assert_int_equal(was_ended, 3);
    assert_int_equal(was_lost, 0);
    assert_true(seen_lost > 0);
    (void)kill(child, SIGKILL);
    (void)waitpid(child, &status, 0);
    kvtel_store_reader_close(reader);
    assert_int_equal(unlink(path), 0);
}

static void test_each_instruction_of_an_end(void **state)
{
    (void)state;
#ifndef __x86_64__
    skip();
#endif
    step_through(false);
}

static void test_each_instruction_of_a_failure(void **state)
{
    (void)state;
#ifndef __x86_64__
    skip();
#endif
    step_through(true);
}

/* -- What others write -- */

static void write_word(const char *path, uint64_t at, uint64_t value)
{
    FILE *file = fopen(path, "r+");
    assert_non_null(file);
    assert_int_equal(fseek(file, (long)at, SEEK_SET), 0);
    assert_int_equal(fwrite(&value, sizeof value, 1, file), 1);
    assert_int_equal(fclose(file), 0);
}

/* The number of places, and that of exemplars behind it. */
static void write_count(const char *path, uint32_t count)
{
    const uint32_t counts[2] = { count, 0 };
    uint64_t word;
    memcpy(&word, counts, sizeof word);
    write_word(path, offsetof(struct kvtel_layout_header, open_count), word);
}

/* The first series of a family. */
static uint32_t find_counter(const struct scene *scene, const char *family)
{
    const struct kvtel_view view = kvtel_store_view(scene->store);
    for (uint32_t i = 0; i < view.series_count; i++)
        if (strcmp(view.strings + view.families[view.series[i].family].text_at, family) == 0)
            return i;
    fail_msg("no series of %s", family);
    return 0;
}

static void test_hostile_places(void **state)
{
    struct scene scene;
    struct kvtel_store_reader *reader;
    struct kvtel_view view;
    struct kvtel_open_list list = { 0 };
    (void)state;
    open_scene(&scene, 4);
    (void)begin(&scene, 1);
    char path[256];
    (void)snprintf(path, sizeof path, "%s", kvtel_store_path(scene.store));
    const struct kvtel_layout_header *header = scene.store->header;
    const uint64_t at = header->lanes_at + header->open_at * 8, open_at = header->open_at;
    write_word(path, at + 8 * KVTEL_OPEN_OUTCOMES, UINT64_MAX);
    assert_int_equal(count_open(&scene), 0); /* it belongs to no series */
    write_word(path, at + 8 * KVTEL_OPEN_OUTCOMES, 0);
    assert_int_equal(count_open(&scene), 0); /* to one that counts no transfers */
    write_word(path, at + 8 * KVTEL_OPEN_OUTCOMES, find_counter(&scene, "vllm:nixl_num_failed_transfers"));
    assert_int_equal(count_open(&scene), 0); /* to a counter of something else */
    write_word(path, at + 8 * KVTEL_OPEN_OUTCOMES, find_counter(&scene, KVTEL_OPEN_FAMILY));
    assert_int_equal(count_open(&scene), 1);
    write_word(path, at + 8 * KVTEL_OPEN_OUTCOMES, 0);
    assert_int_equal(kvtel_store_reader_open(path, &reader, NULL), KVTEL_OK);
    assert_int_equal(kvtel_store_reader_view(reader, &view, NULL), KVTEL_OK);
    view.ended = true;
    static const uint64_t witnesses[] = {
        0, UINT64_MAX, UINT64_MAX - 1, UINT64_C(1) << 63 | 200, UINT32_MAX, UINT64_C(7) << 32, 1
    };
    struct kvtel_collected *series = calloc(view.series_count, sizeof *series);
    assert_non_null(series);
    write_word(path, at, 6);
    for (size_t i = 0; i < sizeof witnesses / sizeof *witnesses; i++) {
        write_word(path, at + 8 * KVTEL_OPEN_WITNESS, witnesses[i]);
        assert_int_equal(kvtel_open_add_lost(&view, NULL, series), KVTEL_OK);
    }
    free(series);
    kvtel_store_reader_close(reader);
    static const uint64_t places[] = { 0, 4, UINT64_MAX - 7, UINT64_MAX / 16 };
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        write_word(path, offsetof(struct kvtel_layout_header, open_at), places[i]);
        assert_int_equal(kvtel_store_reader_open(path, &reader, NULL), KVTEL_OK);
        assert_int_equal(kvtel_store_reader_view(reader, &view, NULL), KVTEL_E_FORMAT);
        kvtel_store_reader_close(reader);
    }
    write_word(path, offsetof(struct kvtel_layout_header, open_at), open_at);
    write_count(path, KVTEL_LAYOUT_OPEN_MOST + 1);
    assert_int_equal(kvtel_store_reader_open(path, &reader, NULL), KVTEL_OK);
    assert_int_equal(kvtel_store_reader_view(reader, &view, NULL), KVTEL_E_FORMAT);
    kvtel_store_reader_close(reader);
    write_count(path, 4);
    kvtel_open_list_free(&list);
    close_scene(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_writer_that_ends),
        cmocka_unit_test(test_a_reader_that_was_there_before),
        cmocka_unit_test(test_each_instruction_of_an_end),
        cmocka_unit_test(test_each_instruction_of_a_failure),
        cmocka_unit_test(test_hostile_places),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
