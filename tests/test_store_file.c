/* SPDX-License-Identifier: Apache-2.0 */
/* Stores in files: directories in which a file cannot be made, and files that are not stores or are damaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <kvtel/reader.h>
#include <kvtel/recorder.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "collect/series.h"
#include "format/layout.h"

static const struct kvtel_transfer transfer = {
    .duration_ns = 3000000, .post_ns = 300000, .bytes = 262144, .descriptors = 2
};
static char dir[] = "/dev/shm/kvtel-test-XXXXXX";

static void take_warning(void *context, const char *message)
{
    (void)snprintf(context, 256, "%s", message);
}

static struct kvtel_store *record_into(const struct kvtel_store_options *options, int transfers)
{
    struct kvtel_store *store = kvtel_store_open(options);
    assert_non_null(store);
    struct kvtel_recorder *recorder = kvtel_recorder_create(store, kvtel_connector_find("NixlConnector"), NULL);
    for (int i = 0; i < transfers; i++)
        (void)kvtel_record_transfer(recorder, &transfer);
    kvtel_recorder_destroy(recorder);
    return store;
}

static void remove_store(struct kvtel_store *store)
{
    if (kvtel_store_path(store))
        assert_int_equal(unlink(kvtel_store_path(store)), 0);
    kvtel_store_close(store);
}

static uint64_t heap_count(const struct kvtel_store *store)
{
    struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
    assert_int_equal(kvtel_snapshot_add(snapshot, store), KVTEL_OK);
    uint64_t count = kvtel_snapshot_find(snapshot, "vllm:nixl_xfer_time_seconds")->series[0].count;
    kvtel_snapshot_destroy(snapshot);
    return count;
}

static void test_no_directory(void **state)
{
    (void)state;
    char warning[256] = "";
    const char *const paths[] = { "/dev/null/store", "/proc/nowhere", "/no/such/place" };
    for (size_t i = 0; i < 3; i++) {
        warning[0] = '\0';
        struct kvtel_store *store =
            record_into(KVTEL_STORE_OPTIONS(.dir = paths[i], .warn = take_warning, .warn_context = warning), 300);
        assert_null(kvtel_store_path(store));
        assert_non_null(strstr(warning, paths[i]));
        assert_int_equal(heap_count(store), 300);
        kvtel_store_close(store);
    }
}

static void test_modes(void **state)
{
    (void)state;
    char inner[64];
    struct stat status;
    (void)snprintf(inner, sizeof(inner), "%s/private", dir);
    struct kvtel_store *store = record_into(KVTEL_STORE_OPTIONS(.dir = inner), 1);
    assert_int_equal(stat(inner, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0700);
    assert_int_equal(stat(kvtel_store_path(store), &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    remove_store(store);
    assert_int_equal(rmdir(inner), 0);

    mode_t mask = umask(077);
    (void)snprintf(inner, sizeof(inner), "%s/shared", dir);
    store = record_into(KVTEL_STORE_OPTIONS(.dir = inner, .mode = 0644), 1);
    (void)umask(mask);
    assert_int_equal(stat(inner, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0755);
    assert_int_equal(stat(kvtel_store_path(store), &status), 0);
    assert_int_equal(status.st_mode & 07777, 0644);
    remove_store(store);
    assert_int_equal(rmdir(inner), 0);
}

/* Others never get the right to cut what is mapped here. */
static void test_others_may_read_at_most(void **state)
{
    (void)state;
    static const uint32_t modes[][2] = { { 0666, 0644 }, { 0777, 0644 }, { 0660, 0640 }, { 0640, 0640 },
                                         { 0044, 0644 }, { 0400, 0600 }, { 0622, 0600 } };
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        char warning[256] = "";
        struct stat status;
        struct kvtel_store *store = record_into(
            KVTEL_STORE_OPTIONS(.dir = dir, .mode = modes[i][0], .warn = take_warning, .warn_context = warning), 1);
        assert_int_equal(stat(kvtel_store_path(store), &status), 0);
        assert_int_equal(status.st_mode & 07777, modes[i][1]);
        assert_true((strstr(warning, "0644") != NULL) == ((modes[i][0] & ~0644u) != 0));
        remove_store(store);
    }
}

static void test_mode_from_environment(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint32_t asked;
        uint32_t got;
        const char *warning;
    } cases[] = { { "0640", 0, 0640, "" },         { "", 0, 0600, "" },          { "0640", 0600, 0600, "" },
                  { "0666", 0, 0644, "0644" },     { "rw", 0, 0600, "octal" },   { "-1", 0, 0600, "octal" },
                  { "7777777", 0, 0600, "octal" }, { "0640 ", 0, 0600, "octal" } };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char warning[256] = "";
        struct stat status;
        assert_int_equal(setenv("KVTEL_STORE_MODE", cases[i].text, 1), 0);
        struct kvtel_store *store = record_into(
            KVTEL_STORE_OPTIONS(.dir = dir, .mode = cases[i].asked, .warn = take_warning, .warn_context = warning), 1);
        assert_int_equal(unsetenv("KVTEL_STORE_MODE"), 0);
        assert_int_equal(stat(kvtel_store_path(store), &status), 0);
        assert_int_equal(status.st_mode & 07777, cases[i].got);
        assert_true(*cases[i].warning ? strstr(warning, cases[i].warning) != NULL : !*warning);
        remove_store(store);
    }
}

static void test_directory_from_environment(void **state)
{
    (void)state;
    char path[256];
    assert_int_equal(setenv("KVTEL_STORE_DIR", dir, 1), 0);
    assert_int_equal(kvtel_store_default_dir(NULL, path, sizeof(path)), strlen(dir));
    struct kvtel_store *store = record_into(NULL, 1);
    assert_int_equal(strncmp(kvtel_store_path(store), dir, strlen(dir)), 0);
    remove_store(store);
    assert_int_equal(kvtel_store_default_dir("", path, sizeof(path)), strlen(dir)); /* an empty name is none */
    store = record_into(KVTEL_STORE_OPTIONS(.dir = ""), 1);
    assert_int_equal(strncmp(kvtel_store_path(store), dir, strlen(dir)), 0);
    remove_store(store);
    assert_int_equal(unsetenv("KVTEL_STORE_DIR"), 0);
    assert_true(kvtel_store_default_dir(NULL, path, sizeof(path)) > 0);
    assert_int_equal(strncmp(path, "/dev/shm/kvtel-", 15), 0);
    assert_int_equal(kvtel_store_default_dir("too long", path, 4), 0);
}

static size_t count_entries(const char *path)
{
    DIR *listing = opendir(path);
    size_t count = 0;
    while (listing && readdir(listing))
        count++;
    if (listing)
        closedir(listing);
    return count;
}

/* Recording on a full disk or past the process's limit: never a signal, and what fits stays. */
static int record_without_room(const char *where)
{
    struct kvtel_store *store = kvtel_store_open(KVTEL_STORE_OPTIONS(.dir = where));
    if (!store)
        return 1;
    struct kvtel_recorder *recorder = kvtel_recorder_create(store, kvtel_connector_find("NixlConnector"), NULL);
    struct kvtel_lane *lanes[64];
    size_t opened = 0;
    for (int i = 0; i < 1000; i++)
        (void)kvtel_record_transfer(recorder, &transfer);
    while (opened < 64 && kvtel_lane_open(store, &lanes[opened]) == KVTEL_OK) {
        for (int i = 0; i < 1000; i++)
            (void)kvtel_lane_record(lanes[opened], kvtel_recorder_operation(recorder, NULL, NULL), &transfer);
        opened++;
    }
    struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
    if (kvtel_snapshot_add(snapshot, store) != KVTEL_OK)
        return 2;
    struct kvtel_store_info info;
    kvtel_store_describe(store, &info);
    const struct kvtel_snapshot_family *family = kvtel_snapshot_find(snapshot, "vllm:nixl_xfer_time_seconds");
    uint64_t counted = family && family->series_count > 0 ? family->series[0].count : 0;
    uint64_t recorded = opened * 1000 + (info.lanes > opened ? 1000 : 0);
    bool all_heap = !kvtel_store_path(store);
    if (all_heap ? counted != 65000 : counted != recorded && counted != 0)
        return 3;
    return all_heap ? 4 : 5;
}

static int in_child(int (*run)(const char *where), const char *where, rlim_t limit)
{
    pid_t child = fork();
    if (child == 0) {
        struct rlimit files = { limit, limit };
        if (limit != RLIM_INFINITY && setrlimit(RLIMIT_FSIZE, &files) != 0)
            _exit(1);
        _exit(run(where));
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFEXITED(status))
        fail_msg("ended by signal %d", WTERMSIG(status));
    return WEXITSTATUS(status);
}

/* Whether a process that may write no file can read one of /proc. qemu-user writes some of these as files of its own,
 * so there the limit ends the emulator. */
static bool reads_below_limit(void)
{
    pid_t child = fork();
    if (child == 0) {
        const struct rlimit none = { 0, 0 };
        (void)signal(SIGXFSZ, SIG_IGN);
        _exit(setrlimit(RLIMIT_FSIZE, &none) != 0 || open("/proc/self/stat", O_RDONLY) < 0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status == 0;
}

static void remove_all(const char *path)
{
    char command[256];
    (void)snprintf(command, sizeof(command), "rm -rf '%s'/*", path);
    assert_int_equal(system(command), 0);
}

static void test_file_size_limit(void **state)
{
    (void)state;
    if (!reads_below_limit()) {
        print_message("skipped: /proc cannot be read under a limit on files, as under qemu-user\n");
        skip();
    }
    const rlim_t limits[] = { 0, 4096, 100000, 25u << 20, 31u << 20, 100u << 20, 200u << 20 };
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        int result = in_child(record_without_room, dir, limits[i]);
        if (result != 4 && result != 5)
            fail_msg("limit %llu: %d", (unsigned long long)limits[i], result);
        remove_all(dir);
    }
}

/* Needs the right to mount; where it is missing the limit above has to do. */
static void test_full_disk(void **state)
{
    (void)state;
    static const char *const sizes[] = { "size=4k", "size=16k", "size=48k", "size=100k", "size=200k", "size=1m" };
    char place[64];
    (void)snprintf(place, sizeof(place), "%s/full", dir);
    assert_int_equal(mkdir(place, 0700), 0);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        if (mount("tmpfs", place, "tmpfs", 0, sizes[i]) != 0) {
            assert_int_equal(rmdir(place), 0);
            skip();
        }
        int result = in_child(record_without_room, place, RLIM_INFINITY);
        size_t left = count_entries(place);
        assert_int_equal(umount2(place, MNT_DETACH), 0); /* also while something looks into it */
        if (result != 4 && result != 5)
            fail_msg("%s: %d", sizes[i], result);
        assert_int_equal(left, result == 4 ? 2 : 3); /* . and .., and no temporary file */
    }
    assert_int_equal(rmdir(place), 0);
}

/* Opens and reads; a failure must give a reason. */
static enum kvtel_status read_path(const char *path)
{
    struct kvtel_store_reader *reader;
    struct kvtel_error error = { 0 };
    struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
    enum kvtel_status status = kvtel_store_reader_open(path, &reader, &error);
    if (status == KVTEL_OK) {
        status = kvtel_snapshot_add_reader(snapshot, reader, &error);
        if (status != KVTEL_OK)
            assert_int_equal(kvtel_snapshot_family_count(snapshot), 0);
        kvtel_store_reader_close(reader);
    }
    kvtel_snapshot_destroy(snapshot);
    if (status != KVTEL_OK) {
        assert_int_equal(error.status, status);
        assert_true(error.message[0] != '\0');
    }
    return status;
}

static void test_not_a_store(void **state)
{
    (void)state;
    char path[128];
    assert_int_equal(read_path("/no/such/file"), KVTEL_E_IO);
    assert_int_equal(read_path(dir), KVTEL_E_FORMAT);
    assert_int_equal(read_path("/dev/null"), KVTEL_E_FORMAT);
    (void)snprintf(path, sizeof(path), "%s/pipe.kvtel", dir);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(read_path(path), KVTEL_E_FORMAT);
    assert_int_equal(unlink(path), 0);
    (void)snprintf(path, sizeof(path), "%s/text.kvtel", dir);
    FILE *file = fopen(path, "w");
    for (int i = 0; i < 1000; i++)
        fputs("This is a text. ", file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(read_path(path), KVTEL_E_FORMAT);
    assert_int_equal(truncate(path, 10), 0);
    assert_int_equal(read_path(path), KVTEL_E_TRUNCATED);
    assert_int_equal(truncate(path, 0), 0);
    assert_int_equal(read_path(path), KVTEL_E_TRUNCATED);
    assert_int_equal(unlink(path), 0);
}

static void test_other_headers(void **state)
{
    (void)state;
    struct kvtel_store *store = record_into(KVTEL_STORE_OPTIONS(.dir = dir), 1000);
    const char *path = kvtel_store_path(store);
    int file = open(path, O_RDWR | O_CLOEXEC);
    struct kvtel_layout_header header, damaged;
    assert_int_equal(read_path(path), KVTEL_OK);
    assert_int_equal(pread(file, &header, sizeof(header), 0), sizeof(header));
    damaged = header;
    damaged.version = 1; /* the layout before this one */
    assert_int_equal(pwrite(file, &damaged, sizeof(damaged), 0), sizeof(damaged));
    assert_int_equal(read_path(path), KVTEL_E_FORMAT);
    damaged = header;
    damaged.byte_order = __builtin_bswap64(damaged.byte_order);
    assert_int_equal(pwrite(file, &damaged, sizeof(damaged), 0), sizeof(damaged));
    assert_int_equal(read_path(path), KVTEL_E_FORMAT);
    damaged = header;
    damaged.lane_count = UINT64_MAX;
    assert_int_equal(pwrite(file, &damaged, sizeof(damaged), 0), sizeof(damaged));
    assert_int_equal(read_path(path), KVTEL_E_FORMAT);
    assert_int_equal(pwrite(file, &header, sizeof(header), 0), sizeof(header));
    assert_int_equal(read_path(path), KVTEL_OK);
    (void)close(file);
    remove_store(store);
}

static void test_cut_short(void **state)
{
    (void)state;
    struct kvtel_store *store = record_into(KVTEL_STORE_OPTIONS(.dir = dir), 1000);
    char copy[128], command[512];
    struct stat status;
    (void)snprintf(copy, sizeof(copy), "%s/copy.kvtel", dir);
    (void)snprintf(command, sizeof(command), "cp --sparse=always '%s' '%s'", kvtel_store_path(store), copy);
    assert_int_equal(system(command), 0);
    assert_int_equal(read_path(copy), KVTEL_OK);
    assert_int_equal(stat(copy, &status), 0);
    for (off_t size = status.st_size - 1; size > 0; size -= 1 + size / 37) {
        assert_int_equal(truncate(copy, size), 0);
        enum kvtel_status result = read_path(copy);
        if (result != KVTEL_OK && result != KVTEL_E_TRUNCATED) /* OK: nothing that is used was cut off */
            fail_msg("cut to %lld: %d", (long long)size, result);
    }
    assert_int_equal(read_path(copy), KVTEL_E_TRUNCATED);
    assert_int_equal(unlink(copy), 0);
    remove_store(store);
}

static _Atomic bool stop;

static void *cut_and_restore(void *path)
{
    struct stat status;
    if (stat(path, &status) != 0)
        abort();
    for (unsigned i = 0; !atomic_load(&stop); i++) {
        if (truncate(path, (off_t)(i * 7919 % (unsigned)status.st_size)) != 0)
            abort();
        if (truncate(path, status.st_size) != 0)
            abort();
    }
    return NULL;
}

/* Somebody cuts the file while it is read. */
static void test_cut_while_read(void **state)
{
    (void)state;
    struct kvtel_store *store = record_into(KVTEL_STORE_OPTIONS(.dir = dir), 1000);
    char copy[128], command[512];
    pthread_t thread;
    (void)snprintf(copy, sizeof(copy), "%s/copy.kvtel", dir);
    (void)snprintf(command, sizeof(command), "cp --sparse=always '%s' '%s'", kvtel_store_path(store), copy);
    assert_int_equal(system(command), 0);
    assert_int_equal(pthread_create(&thread, NULL, cut_and_restore, copy), 0);
    for (int i = 0; i < 3000; i++)
        (void)read_path(copy);
    atomic_store(&stop, true);
    pthread_join(thread, NULL);
    assert_int_equal(unlink(copy), 0);
    remove_store(store);
}

/* CLOCK_MONOTONIC begins anew with the machine: what was set before it started is older than anything since. */
static void test_gauges_of_an_earlier_boot(void **state)
{
    (void)state;
    const struct kvtel_family_spec spec = { .name = "level", .type = KVTEL_GAUGE, .help = "A level." };
    struct kvtel_store *stores[2];
    struct kvtel_store_reader *readers[2];
    for (int i = 0; i < 2; i++) {
        uint32_t family, series;
        struct kvtel_lane *lane;
        stores[i] = kvtel_store_open(KVTEL_STORE_OPTIONS(.dir = dir));
        assert_int_equal(kvtel_store_family(stores[i], &spec, &family), KVTEL_OK);
        assert_int_equal(kvtel_store_series(stores[i], family, NULL, 0, &series), KVTEL_OK);
        assert_int_equal(kvtel_lane_open(stores[i], &lane), KVTEL_OK);
        assert_true(kvtel_lane_set(lane, series, i + 1));
    }
    for (int earlier = 0; earlier < 2; earlier++) {
        struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
        uint64_t other = 12345;
        int fd = open(kvtel_store_path(stores[1]), O_WRONLY);
        if (earlier)
            assert_int_equal(pwrite(fd, &other, sizeof(other), offsetof(struct kvtel_layout_header, boot_hash)),
                             sizeof(other));
        (void)close(fd);
        for (int i = 0; i < 2; i++) {
            assert_int_equal(kvtel_store_reader_open(kvtel_store_path(stores[i]), &readers[i], NULL), KVTEL_OK);
            assert_int_equal(kvtel_snapshot_add_reader(snapshot, readers[i], NULL), KVTEL_OK);
            kvtel_store_reader_close(readers[i]);
        }
        assert_true(kvtel_snapshot_find(snapshot, "level")->series[0].value == (earlier ? 1 : 2));
        kvtel_snapshot_destroy(snapshot);
    }
    remove_store(stores[0]);
    remove_store(stores[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_directory),
        cmocka_unit_test(test_modes),
        cmocka_unit_test(test_mode_from_environment),
        cmocka_unit_test(test_others_may_read_at_most),
        cmocka_unit_test(test_directory_from_environment),
        cmocka_unit_test(test_file_size_limit),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_not_a_store),
        cmocka_unit_test(test_other_headers),
        cmocka_unit_test(test_gauges_of_an_earlier_boot),
        cmocka_unit_test(test_cut_short),
        cmocka_unit_test(test_cut_while_read),
    };
    if (!mkdtemp(dir))
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    (void)rmdir(dir);
    return failed;
}
