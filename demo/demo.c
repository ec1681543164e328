/* SPDX-License-Identifier: Apache-2.0 */
/* kvtel-demo: a small prefill/decode engine that really moves KV blocks. Its transfers are recorded, exported and
 * compared with its own counts. */
#include "demo/fail.h"
#include "demo/engine.h"
#include "demo/exporter_process.h"
#include "demo/table.h"
#include "demo/totals.h"

#include <errno.h>
#include <ftw.h>
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char help[] =
    "usage: kvtel-demo [OPTION...]\n"
    "\n"
    "Runs a small engine. Prefill workers compute KV blocks, and decode workers fetch them over sockets and through "
    "shared\n"
    "memory. The least recently used blocks are offloaded to files and loaded back. Each block that arrives is "
    "checked,\n"
    "each move is recorded. At the end the engine's own counts are compared with the exporter's.\n"
    "\n"
    "  --duration=SECONDS            how long requests arrive (10)\n"
    "  --workers=COUNT               worker processes, 2 to 32: half of them prefill, the others decode (4)\n"
    "  --trace=FILE                  requests in the format of Mooncake's traces (a built-in trace)\n"
    "  --speed=FACTOR                how much faster than in the trace requests arrive (1)\n"
    "  --failure-rate=SHARE          share of transfers and stores that fail on purpose, 0 to 1 (0)\n"
    "  --kill-worker=ROLE            the worker that is killed during the run, and replaced: decode, prefill or none\n"
    "                                (decode)\n"
    "  --store.dir=DIR               directory of the workers' stores (a directory that is removed at the end)\n"
    "  --web.listen-address=ADDRESS  host:port of the exporter, or none: without an exporter (127.0.0.1:0, a free "
    "port)\n"
    "  --help                        this text\n"
    "\n"
    "examples:\n"
    "  kvtel-demo\n"
    "  kvtel-demo --duration=600 --web.listen-address=127.0.0.1:9466    and a browser on http://127.0.0.1:9466/\n"
    "  kvtel-demo --failure-rate=0.1 --workers=8 --speed=4\n"
    "  kvtel-demo --trace=mooncake_trace.jsonl --speed=10\n"
    "\n"
    "exit codes: 0 the totals are equal, 1 they differ or something failed, 2 wrong usage\n";

enum option_id {
    OPTION_DURATION = 256,
    OPTION_WORKERS,
    OPTION_TRACE,
    OPTION_SPEED,
    OPTION_FAILURE_RATE,
    OPTION_KILL_WORKER,
    OPTION_STORE_DIR,
    OPTION_LISTEN_ADDRESS,
    OPTION_HELP
};

struct demo {
    struct demo_engine_options options;
    const char *trace_path, *listen_address;
    bool help;
    struct demo_trace trace;
    struct demo_engine engine;
    struct demo_exporter exporter;
    struct demo_table table;
    char token[32], dir[256], stores[300];
};

/* Reads a number from `low` to `high`. @return -1: go on; else the exit code for wrong usage */
static int read_number(const char *option, const char *text, double low, double high, double *number)
{
    char *end;
    errno = 0;
    double value = strtod(text, &end);
    if (end == text || *end || errno != 0 || !(value >= low && value <= high))
        return demo_usage("--%s: \"%s\" is not a number from %g to %g", option, text, low, high);
    *number = value;
    return EXIT_GOOD;
}

static int read_workers(const char *text, uint32_t *counts)
{
    double number = 0;
    int code = read_number("workers", text, 2, DEMO_WORKERS, &number);
    if (code == EXIT_GOOD && number != floor(number))
        code = demo_usage("--workers: \"%s\" is not a whole number", text);
    if (code == EXIT_GOOD) {
        counts[DEMO_PREFILL] = (uint32_t)number / 2;
        counts[DEMO_DECODE] = (uint32_t)number - counts[DEMO_PREFILL];
    }
    return code;
}

static int read_killed(const char *text, struct demo_engine_options *options)
{
    options->kill = strcmp(text, "none") != 0;
    options->killed_role = strcmp(text, "prefill") == 0 ? DEMO_PREFILL : DEMO_DECODE;
    if (!options->kill || options->killed_role == DEMO_PREFILL || strcmp(text, "decode") == 0)
        return EXIT_GOOD;
    return demo_usage("--kill-worker: \"%s\" is none of decode, prefill and none", text);
}

static int read_option(struct demo *demo, int option)
{
    switch (option) {
    case OPTION_DURATION:
        return read_number("duration", optarg, 0.1, 1e6, &demo->options.duration);
    case OPTION_WORKERS:
        return read_workers(optarg, demo->options.counts);
    case OPTION_TRACE:
        demo->trace_path = optarg;
        return EXIT_GOOD;
    case OPTION_SPEED:
        return read_number("speed", optarg, 1e-3, 1e3, &demo->options.speed);
    case OPTION_FAILURE_RATE:
        return read_number("failure-rate", optarg, 0, 1, &demo->options.failure_rate);
    case OPTION_KILL_WORKER:
        return read_killed(optarg, &demo->options);
    case OPTION_STORE_DIR:
        demo->options.store_dir = optarg;
        return *optarg ? EXIT_GOOD : demo_usage("--store.dir: name a directory");
    case OPTION_LISTEN_ADDRESS:
        demo->listen_address = strcmp(optarg, "none") == 0 ? NULL : optarg;
        return EXIT_GOOD;
    case OPTION_HELP:
    case 'h':
        demo->help = true;
        return EXIT_GOOD;
    default:
        return EXIT_USAGE; /* said already */
    }
}

/* Says what is wrong with the flag that getopt_long() refused, in the words of the commands of kvtel. */
static int refuse_option(const struct option *options, int refused, const char *given)
{
    const struct option *known = options;
    while (known->name && (!optopt || known->val != optopt))
        known++;
    if (refused == ':' && known->name)
        return demo_usage("option '--%s' requires an argument", known->name);
    if (known->name)
        return demo_usage("option '--%s' doesn't allow an argument", known->name);
    if (optopt)
        return demo_usage("invalid option -- '%c'", optopt);
    return demo_usage("unrecognized option '%.*s'", (int)strcspn(given, "="), given);
}

static int read_options(struct demo *demo, int argc, char **argv)
{
    static const struct option options[] = {
        { "duration", required_argument, NULL, OPTION_DURATION },
        { "workers", required_argument, NULL, OPTION_WORKERS },
        { "trace", required_argument, NULL, OPTION_TRACE },
        { "speed", required_argument, NULL, OPTION_SPEED },
        { "failure-rate", required_argument, NULL, OPTION_FAILURE_RATE },
        { "kill-worker", required_argument, NULL, OPTION_KILL_WORKER },
        { "store.dir", required_argument, NULL, OPTION_STORE_DIR },
        { "web.listen-address", required_argument, NULL, OPTION_LISTEN_ADDRESS },
        { "help", no_argument, NULL, OPTION_HELP },
        { 0 },
    };
    int option, code = EXIT_GOOD;
    opterr = 0;
    while (code == EXIT_GOOD && !demo->help && (option = getopt_long(argc, argv, ":h", options, NULL)) != -1)
        code = option == '?' || option == ':' ? refuse_option(options, option, argv[optind - 1])
                                              : read_option(demo, option);
    if (code == EXIT_GOOD && !demo->help && optind < argc)
        code = demo_usage("it takes no argument: \"%s\"", argv[optind]);
    return code;
}

/* Makes the run's name and its directory. */
static bool make_place(struct demo *demo)
{
    uint32_t number;
    const char *parent = getenv("TMPDIR");
    if (getrandom(&number, sizeof number, 0) != sizeof number)
        number = (uint32_t)kvtel_now_ns() ^ (uint32_t)getpid();
    snprintf(demo->token, sizeof demo->token, "kvtel-demo-%08" PRIx32, number);
    int size = snprintf(demo->dir, sizeof demo->dir, "%s/kvtel-demo.XXXXXX", parent && *parent ? parent : "/tmp");
    if (size >= (int)sizeof demo->dir || !mkdtemp(demo->dir)) {
        demo_fail("%s: no directory can be made there: %s", demo->dir,
                  strerror(size >= (int)sizeof demo->dir ? ENAMETOOLONG : errno));
        demo->dir[0] = '\0';
        return false;
    }
    snprintf(demo->stores, sizeof demo->stores, "%s/stores", demo->dir);
    demo->options.token = demo->token;
    demo->options.dir = demo->dir;
    if (!demo->options.store_dir)
        demo->options.store_dir = demo->stores;
    return true;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *place)
{
    (void)status;
    (void)type;
    (void)place;
    return remove(path);
}

/* Opens a file descriptor for Ctrl-C and SIGTERM, so that they do not interrupt system calls. */
static int open_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Fetches the text to compare with: from the exporter, or from the stores. */
static bool fetch(struct demo *demo, struct kvtel_buffer *text)
{
    text->size = 0;
    if (demo->exporter.pid > 0)
        return demo_exporter_metrics(&demo->exporter, text);
    if (!demo_table_collect(&demo->table, &demo->engine))
        return false;
    enum kvtel_status status = kvtel_exposition_text(demo->table.snapshot, text);
    if (status != KVTEL_OK)
        demo_fail("%s", kvtel_status_text(status));
    return status == KVTEL_OK;
}

/* Compares the books with the text. The exporter has three seconds to notice the last stores. */
static bool compare(struct demo *demo)
{
    struct kvtel_buffer text = { 0 };
    const char *source = demo->exporter.pid > 0 ? "exporter" : "stores";
    bool fetched = false;
    unsigned differences = 0;
    for (int attempt = 0; attempt < 12; attempt++) {
        fetched = fetch(demo, &text);
        differences = fetched ? demo_totals_compare(&demo->engine, &text, source, false) : 0;
        if (!fetched || differences == 0)
            break;
        nanosleep(&(struct timespec){ .tv_nsec = 250000000 }, NULL);
    }
    if (fetched)
        demo_totals_compare(&demo->engine, &text, source, true);
    kvtel_buffer_free(&text);
    if (fetched && differences == 0)
        printf("\nAll totals are equal.\n");
    else if (fetched)
        demo_fail("%u totals differ", differences);
    return fetched && differences == 0;
}

/* Prints the received blocks of each worker by checksum. */
static bool print_blocks(const struct demo_engine *engine)
{
    uint64_t checked = 0, bad = 0, on_purpose = 0;
    for (uint32_t i = 0; i < engine->process_count; i++) {
        checked += atomic_load_explicit(&engine->processes[i].ledger->checked, memory_order_relaxed);
        bad += atomic_load_explicit(&engine->processes[i].ledger->bad, memory_order_relaxed);
        on_purpose += atomic_load_explicit(&engine->processes[i].ledger->bad_on_purpose, memory_order_relaxed);
    }
    printf("\n%" PRIu64 " requests done", engine->done);
    if (demo_engine_killed(engine))
        printf(", %" PRIu64 " of them begun again after a worker was killed", engine->again);
    printf(". %" PRIu64 " blocks arrived and were checked, %" PRIu64 " were wrong (%" PRIu64 " on purpose).\n", checked,
           bad, on_purpose);
    if (bad != on_purpose)
        demo_fail("%" PRIu64 " blocks arrived that were not what was sent", bad - on_purpose);
    return bad == on_purpose;
}

/* Runs the engine, from the start of the workers to the last comparison. */
static bool run_engine(struct demo *demo, int signals)
{
    bool good = demo_engine_start(&demo->engine, &demo->options, signals);
    if (good) {
        printf("%" PRIu32 " prefill and %" PRIu32 " decode workers, model \"%s\", stores in %s\n",
               demo->options.counts[DEMO_PREFILL], demo->options.counts[DEMO_DECODE], demo->token,
               demo->options.store_dir);
        if (demo->exporter.pid > 0)
            printf("exporter: http://%s/ (metrics: http://%s/metrics)\n", demo->exporter.address,
                   demo->exporter.address);
        putchar('\n');
        fflush(stdout);
        good = demo_engine_run(&demo->engine, demo_table_show, &demo->table);
    }
    good = demo_engine_stop(&demo->engine) && good;
    if (demo->engine.start_ns > 0) {
        good = print_blocks(&demo->engine) && good;
        good = compare(demo) && good;
    }
    demo_engine_close(&demo->engine);
    return good;
}

static int run(struct demo *demo)
{
    int code = make_place(demo) ? EXIT_GOOD : EXIT_FAILED;
    int signals = code == EXIT_GOOD ? open_signals() : -1;
    if (code == EXIT_GOOD && demo->listen_address)
        code = demo_exporter_start(&demo->exporter, demo->listen_address, demo->options.store_dir, demo->dir);
    if (code == EXIT_GOOD && !demo_table_open(&demo->table))
        code = EXIT_FAILED;
    if (code == EXIT_GOOD && !run_engine(demo, signals))
        code = EXIT_FAILED;
    demo_table_close(&demo->table);
    if (!demo_exporter_stop(&demo->exporter) && code == EXIT_GOOD)
        code = EXIT_FAILED;
    if (demo->dir[0] && nftw(demo->dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS) != 0)
        code = demo_fail("%s: cannot be removed: %s", demo->dir, strerror(errno));
    if (signals >= 0)
        close(signals);
    return code;
}

int main(int argc, char **argv)
{
    struct demo *demo = calloc(1, sizeof *demo);
    if (!demo)
        return demo_fail("%s", kvtel_status_text(KVTEL_E_NOMEM));
    demo->options = (struct demo_engine_options){
        .duration = 10, .speed = 1, .counts = { 2, 2 }, .kill = true, .killed_role = DEMO_DECODE, .trace = &demo->trace
    };
    demo->listen_address = "127.0.0.1:0";
    int code = read_options(demo, argc, argv);
    if (demo->help) {
        fputs(help, stdout);
    } else if (code == EXIT_GOOD) {
        bool good = demo->trace_path ? demo_trace_read(&demo->trace, demo->trace_path) : demo_trace_make(&demo->trace);
        code = good ? run(demo) : EXIT_FAILED;
    }
    demo_trace_free(&demo->trace);
    free(demo);
    if (!demo_close_output())
        code = EXIT_FAILED;
    return code;
}
