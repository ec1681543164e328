/* SPDX-License-Identifier: Apache-2.0 */
/* What telemetry adds to a transfer of a real NIXL, for nixl_posts.py: load_nixl_posts LIBNIXL_CAPI ROUNDS [PLUGIN]
 * reads variants from its standard input, "NAME VARIABLE=VALUE...", and prints for each "NAME MEDIAN QUARTILE
 * QUARTILE", in nanoseconds that a transfer takes longer than with the first variant.
 *
 * Each variant posts the same requests again and again. With PLUGIN it makes a request for each transfer and releases
 * it, as vLLM does; and a variant whose name begins with "kvtel" tells PLUGIN, which is kvtel's, what became of them.
 *
 * All variants are agents of this one process, and take turns: each chunk of transfers of one is compared with the
 * chunk of the first variant beside it. */
#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { VARIANTS = 16, REQUESTS = 24, BYTES = 64, ROUNDS_MOST = 100000, READ = 0, DRAM = 0, IN_PROGRESS = 1 };

/* NIXL's C interface, as far as it is used here; all objects but the configuration are opaque. */
struct config {
    bool has_progress_thread, has_listen_thread;
    uint16_t listen_port;
    int thread_sync;
    unsigned workers;
    uint64_t progress_delay_us, listen_delay_us;
    bool captures_telemetry;
};
static struct {
    int (*create_configured_agent)(const char *name, const struct config *config, void **agent);
    int (*create_backend)(void *agent, const char *plugin, void *params, void **backend);
    int (*get_plugin_params)(void *agent, const char *plugin, void **memory, void **params);
    int (*create_reg_dlist)(int memory, void **list, bool sorted);
    int (*reg_dlist_add_desc)(void *list, uintptr_t at, size_t size, uint64_t device, const void *data,
                              size_t data_size);
    int (*register_mem)(void *agent, void *list, void *options);
    int (*create_opt_args)(void **options);
    int (*opt_args_add_backend)(void *options, void *backend);
    int (*get_local_md)(void *agent, void **data, size_t *size);
    int (*load_remote_md)(void *agent, const void *data, size_t size, char **name);
    int (*create_xfer_dlist)(int memory, void **list, bool sorted);
    int (*xfer_dlist_add_desc)(void *list, uintptr_t at, size_t size, uint64_t device);
    int (*create_xfer_req)(void *agent, int operation, void *local, void *remote, const char *peer, void **request,
                           void *options);
    int (*post_xfer_req)(void *agent, void *request, void *options);
    int (*get_xfer_status)(void *agent, void *request);
    int (*prep_xfer_dlist)(void *agent, const char *name, void *list, void **prepared, void *options);
    int (*make_xfer_req)(void *agent, int operation, void *local, const int *local_indices, size_t local_count,
                         void *remote, const int *remote_indices, size_t remote_count, void **request, void *options);
    int (*release_xfer_req)(void *agent, void *request);
    int (*destroy_xfer_req)(void *request);
} nixl;

/* kvtel's plug-in; all NULL: a request is used for many transfers. */
static struct {
    void (*outcome)(uint64_t handle, int status);
    uint64_t (*post)(uint64_t handle);
    void (*released)(uint64_t handle, uint64_t post);
} plugin;

static void fail(const char *what)
{
    fprintf(stderr, "load_nixl_posts: %s failed\n", what);
    exit(1);
}

static void load(const char *path)
{
    static const char *const names[] = { "create_configured_agent", "create_backend",       "get_plugin_params",
                                         "create_reg_dlist",        "reg_dlist_add_desc",   "register_mem",
                                         "create_opt_args",         "opt_args_add_backend", "get_local_md",
                                         "load_remote_md",          "create_xfer_dlist",    "xfer_dlist_add_desc",
                                         "create_xfer_req",         "post_xfer_req",        "get_xfer_status",
                                         "prep_xfer_dlist",         "make_xfer_req",        "release_xfer_req",
                                         "destroy_xfer_req" };
    void *library = dlopen(path, RTLD_NOW);
    if (!library)
        fail(dlerror());
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char name[64];
        (void)snprintf(name, sizeof(name), "nixl_capi_%s", names[i]);
        void *function = dlsym(library, name);
        if (!function)
            fail(name);
        memcpy((char *)&nixl + i * sizeof(function), &function, sizeof(function));
    }
}

static void load_plugin(const char *path)
{
    static const char *const names[] = { "kvtel_nixl_outcome", "kvtel_nixl_post", "kvtel_nixl_released" };
    void *library = dlopen(path, RTLD_NOW);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        void *function = library ? dlsym(library, names[i]) : NULL;
        if (!function)
            fail(names[i]);
        memcpy((char *)&plugin + i * sizeof(function), &function, sizeof(function));
    }
}

struct agent {
    void *self, *options;
    char memory[REQUESTS * BYTES];
};

/* The target answers by a thread of its own. Others have none: threads that wait beside each transfer would make one
 * agent differ from another by more than telemetry does. */
static void make_agent(struct agent *agent, const char *name, bool is_target)
{
    void *params, *types, *backend, *list;
    const struct config config = { .has_progress_thread = is_target };
    if (nixl.create_configured_agent(name, &config, &agent->self) != 0)
        fail(name);
    if (nixl.get_plugin_params(agent->self, "UCX", &types, &params) != 0 ||
        nixl.create_backend(agent->self, "UCX", params, &backend) != 0 || nixl.create_opt_args(&agent->options) != 0 ||
        nixl.opt_args_add_backend(agent->options, backend) != 0 || nixl.create_reg_dlist(DRAM, &list, false) != 0 ||
        nixl.reg_dlist_add_desc(list, (uintptr_t)agent->memory, sizeof(agent->memory), 0, NULL, 0) != 0 ||
        nixl.register_mem(agent->self, list, agent->options) != 0)
        fail("an agent's memory");
}

struct variant {
    char name[64];
    struct agent agent;
    void *requests[REQUESTS];
    void *local, *remote; /* prepared lists, of all requests */
    bool is_told;
    double times[ROUNDS_MOST];
};

/* One list of all pieces on each side, of which a request names one. */
static void prepare(struct variant *variant, const struct agent *target, const char *peer)
{
    void *local, *remote;
    if (nixl.create_xfer_dlist(DRAM, &local, false) != 0 || nixl.create_xfer_dlist(DRAM, &remote, false) != 0)
        fail("a list");
    for (size_t i = 0; i < REQUESTS; i++)
        if (nixl.xfer_dlist_add_desc(local, (uintptr_t)variant->agent.memory + i * BYTES, BYTES, 0) != 0 ||
            nixl.xfer_dlist_add_desc(remote, (uintptr_t)target->memory + i * BYTES, BYTES, 0) != 0)
            fail("a list's piece");
    if (nixl.prep_xfer_dlist(variant->agent.self, "", local, &variant->local, variant->agent.options) != 0 ||
        nixl.prep_xfer_dlist(variant->agent.self, peer, remote, &variant->remote, variant->agent.options) != 0)
        fail("preparing a list");
}

/* Each request reads another piece of the target's memory. */
static void make_requests(struct variant *variant, struct agent *target)
{
    void *data, *local, *remote;
    size_t size;
    char *peer;
    if (nixl.get_local_md(target->self, &data, &size) != 0 ||
        nixl.load_remote_md(variant->agent.self, data, size, &peer) != 0)
        fail("the target's metadata");
    prepare(variant, target, peer);
    for (size_t i = 0; i < REQUESTS; i++) {
        if (nixl.create_xfer_dlist(DRAM, &local, false) != 0 || nixl.create_xfer_dlist(DRAM, &remote, false) != 0 ||
            nixl.xfer_dlist_add_desc(local, (uintptr_t)variant->agent.memory + i * BYTES, BYTES, 0) != 0 ||
            nixl.xfer_dlist_add_desc(remote, (uintptr_t)target->memory + i * BYTES, BYTES, 0) != 0 ||
            nixl.create_xfer_req(variant->agent.self, READ, local, remote, peer, &variant->requests[i],
                                 variant->agent.options) != 0)
            fail("a request");
    }
}

static uint64_t now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* NIXL's own handle of a request: the interface's object has nothing else. */
static uint64_t handle_of(void *request)
{
    uint64_t handle;
    memcpy(&handle, request, sizeof(handle));
    return handle;
}

/* Makes, posts and releases a request, as vLLM's connector does with kvtel's Python package. */
static void move_anew(const struct variant *variant, int i)
{
    void *request, *agent = variant->agent.self;
    if (nixl.make_xfer_req(agent, READ, variant->local, &i, 1, variant->remote, &i, 1, &request,
                           variant->agent.options) != 0)
        fail("a new request");
    const uint64_t handle = handle_of(request);
    int status = nixl.post_xfer_req(agent, request, NULL);
    if (variant->is_told)
        plugin.outcome(handle, status);
    while (status == IN_PROGRESS) {
        status = nixl.get_xfer_status(agent, request);
        if (variant->is_told)
            plugin.outcome(handle, status);
    }
    const uint64_t post = variant->is_told ? plugin.post(handle) : 0;
    if (status != 0 || nixl.release_xfer_req(agent, request) != 0 || nixl.destroy_xfer_req(request) != 0)
        fail("a transfer of a new request");
    if (variant->is_told)
        plugin.released(handle, post);
}

/* Posts each request and looks at it until it is done. */
static void move(const struct variant *variant)
{
    for (int i = 0; plugin.outcome && i < REQUESTS; i++)
        move_anew(variant, i);
    if (plugin.outcome)
        return;
    for (size_t i = 0; i < REQUESTS; i++) {
        int status = nixl.post_xfer_req(variant->agent.self, variant->requests[i], NULL);
        while (status == IN_PROGRESS)
            status = nixl.get_xfer_status(variant->agent.self, variant->requests[i]);
        if (status != 0)
            fail("a transfer");
    }
}

/* Nanoseconds of a transfer, when another agent's turn is forgotten. */
static double time_of(const struct variant *variant)
{
    move(variant);
    const uint64_t began = now_ns();
    move(variant);
    return (double)(now_ns() - began) / REQUESTS;
}

static int compare(const void *a, const void *b)
{
    const double one = *(const double *)a, other = *(const double *)b;
    return (one > other) - (one < other);
}

static void print(struct variant *variant, size_t rounds)
{
    qsort(variant->times, rounds, sizeof(variant->times[0]), compare);
    printf("%s %.1f %.1f %.1f\n", variant->name, variant->times[rounds / 2], variant->times[rounds / 4],
           variant->times[rounds * 3 / 4]);
}

/* "NAME VARIABLE=VALUE...": the variables are NIXL's while the agent is made. */
static void make_variant(struct variant *variant, char *line, struct agent *target)
{
    char *rest, *names[16];
    size_t count = 0;
    const char *name = strtok_r(line, " \n", &rest);
    (void)snprintf(variant->name, sizeof(variant->name), "%s", name ? name : "?");
    variant->is_told = strncmp(variant->name, "kvtel", 5) == 0;
    for (char *word; count < 16 && (word = strtok_r(NULL, " \n", &rest)); count++) {
        char *value = strchr(word, '=');
        if (!value)
            fail(word);
        *value = 0;
        if (setenv(word, value + 1, 1) != 0)
            fail(word);
        names[count] = word;
    }
    make_agent(&variant->agent, variant->name, false);
    make_requests(variant, target);
    while (count > 0)
        (void)unsetenv(names[--count]);
}

int main(int argc, char **argv)
{
    static struct variant variants[VARIANTS];
    static struct agent target;
    static double plain[ROUNDS_MOST];
    char line[1024];
    size_t count = 0;
    const size_t rounds = argc == 3 || argc == 4 ? strtoul(argv[2], NULL, 10) : 0;
    if (rounds == 0 || rounds > ROUNDS_MOST)
        fail("usage: load_nixl_posts LIBNIXL_CAPI ROUNDS [PLUGIN]");
    load(argv[1]);
    if (argc == 4)
        load_plugin(argv[3]);
    make_agent(&target, "target", true);
    for (; count < VARIANTS && fgets(line, sizeof(line), stdin); count++)
        make_variant(&variants[count], line, &target);
    for (size_t i = 0; i < count; i++) /* connections are made */
        for (int again = 0; again < 50; again++)
            move(&variants[i]);
    for (size_t round = 0; round < rounds; round++) {
        for (size_t i = 0; i < count; i++) {
            const double before = time_of(&variants[0]), own = time_of(&variants[i]);
            variants[i].times[round] = own - before;
            if (i == 0)
                plain[round] = own;
        }
    }
    for (size_t i = 0; i < count; i++)
        print(&variants[i], rounds);
    qsort(plain, rounds, sizeof(plain[0]), compare);
    printf("transfer %.1f %.1f %.1f\n", plain[rounds / 2], plain[rounds / 4], plain[rounds * 3 / 4]);
    (void)fflush(stdout);
    _Exit(0); /* NIXL's agents are not destroyed */
}
