/* SPDX-License-Identifier: Apache-2.0 */
/* Worker processes: fork, kill, replace, reap. */
#include "demo/processes.h"

#include "demo/fail.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STOP_MS = 5000 };

static const char *const role_names[DEMO_ROLES] = { "prefill", "decode" };

/* Runs in the child: closes everything of the engine's but the socket to it. */
static _Noreturn void become_worker(struct demo_worker *worker, int control)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    worker->control = dup2(control, STDERR_FILENO + 1);
    close_range((unsigned)worker->control + 1, ~0U, 0);
    demo_worker_run(worker);
}

static bool spawn(struct demo_engine *engine, enum demo_role role, uint32_t index)
{
    int ends[2];
    struct demo_process *process = &engine->processes[engine->process_count];
    *process = (struct demo_process){ .control = -1, .ledger = &engine->ledgers[engine->process_count] };
    snprintf(process->file, sizeof process->file, "%s/%s-%u.%u.blocks", engine->options.dir, role_names[role], index,
             engine->process_count);
    process->worker = (struct demo_worker){
        .role = role,
        .index = index,
        .engine = role == DEMO_PREFILL ? 0 : index + 1, /* the prefill workers are the ranks of one engine */
        .rank = role == DEMO_PREFILL ? index : 0,
        .ledger = process->ledger,
        .token = engine->options.token,
        .file = process->file,
        .store_dir = engine->options.store_dir,
        .failure_rate = engine->options.failure_rate,
        .seed = engine->process_count + 1,
    };
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0) {
        process->pid = fork();
        if (process->pid == 0)
            become_worker(&process->worker, ends[1]);
        close(ends[1]);
        process->control = ends[0];
        if (process->pid > 0) {
            engine->process_count++;
            engine->current[role][index] = process;
            return true;
        }
        close(ends[0]);
    }
    demo_fail("a worker cannot be started: %s", strerror(errno));
    return false;
}

bool demo_processes_spawn(struct demo_engine *engine)
{
    void *shared =
        mmap(NULL, DEMO_PROCESSES * sizeof *engine->ledgers, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) {
        demo_fail("%s", strerror(errno));
        return false;
    }
    engine->ledgers = shared;
    for (enum demo_role role = 0; role < DEMO_ROLES; role++)
        for (uint32_t index = 0; index < engine->options.counts[role]; index++)
            if (!spawn(engine, role, index))
                return false;
    return true;
}

bool demo_process_ready(struct demo_process *process, const struct demo_reply *reply)
{
    struct kvtel_error error = { 0 };
    process->ready = true;
    if (!reply->path[0])
        return false; /* the worker has printed why there is no file */
    if (kvtel_store_reader_open(reply->path, &process->reader, &error) == KVTEL_OK)
        return true;
    demo_fail("%s: %s", reply->path, error.message);
    return false;
}

/* Waits for a process that is dead or dying. @return its status, as from waitpid() */
static int reap(struct demo_process *process)
{
    int how = 0;
    while (waitpid(process->pid, &how, 0) < 0 && errno == EINTR)
        continue;
    close(process->control);
    process->control = -1;
    process->pid = 0;
    process->busy = 0;
    return how;
}

bool demo_process_kill(struct demo_process *process)
{
    kill(process->pid, SIGKILL);
    int how = reap(process);
    process->killed = WIFSIGNALED(how) && WTERMSIG(how) == SIGKILL;
    if (!process->killed)
        demo_fail("%s worker %u had ended before it was killed", role_names[process->worker.role],
                  process->worker.index);
    return process->killed;
}

bool demo_process_replace(struct demo_engine *engine, const struct demo_process *gone)
{
    return spawn(engine, gone->worker.role, gone->worker.index);
}

/* False, after printing a message: it did not end well. */
static bool ended_well(const struct demo_process *process, int how)
{
    if (WIFEXITED(how) && WEXITSTATUS(how) == EXIT_GOOD)
        return true;
    if (WIFSIGNALED(how))
        demo_fail("%s worker %u was ended by signal %d", role_names[process->worker.role], process->worker.index,
                  WTERMSIG(how));
    else
        demo_fail("%s worker %u failed", role_names[process->worker.role], process->worker.index);
    return false;
}

void demo_process_gone(struct demo_process *process)
{
    kill(process->pid, SIGKILL); /* in case the worker is alive and sent a wrong message */
    if (ended_well(process, reap(process)))
        demo_fail("%s worker %u ended too early", role_names[process->worker.role], process->worker.index);
}

bool demo_engine_stop(struct demo_engine *engine)
{
    bool good = true;
    uint64_t limit_ns = kvtel_now_ns() + STOP_MS * UINT64_C(1000000);
    for (uint32_t i = 0; i < engine->process_count; i++)
        if (engine->processes[i].pid > 0)
            shutdown(engine->processes[i].control, SHUT_WR); /* tells the worker that there are no more orders */
    for (uint32_t i = 0; i < engine->process_count; i++) {
        struct demo_process *process = &engine->processes[i];
        if (process->pid == 0)
            continue;
        uint64_t now_ns = kvtel_now_ns();
        struct pollfd polled = { .fd = process->control };
        /* POLLHUP: the worker's end is closed. */
        if (poll(&polled, 1, now_ns < limit_ns ? (int)((limit_ns - now_ns) / 1000000) : 0) <= 0)
            kill(process->pid, SIGKILL);
        good = ended_well(process, reap(process)) && good;
    }
    return good;
}

void demo_engine_close(struct demo_engine *engine)
{
    for (uint32_t i = 0; i < engine->process_count; i++)
        kvtel_store_reader_close(engine->processes[i].reader);
    if (engine->ledgers)
        munmap(engine->ledgers, DEMO_PROCESSES * sizeof *engine->ledgers);
}
