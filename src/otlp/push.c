/* SPDX-License-Identifier: Apache-2.0 */
/* The push's thread: at each interval the numbers of then, again and again until they are taken or the next are due. */
#include "otlp/push.h"

#include "base/error.h"
#include "otlp/sender.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const uint64_t MS_NS = 1000000u, FIRST_DELAY_NS = 500000000u, MOST_DELAY_NS = 30000000000u,
                      LAST_PUSH_NS = 3000000000u;

struct otlp_push {
    struct otlp_push_options options;
    struct otlp_sender *sender;
    pthread_t thread;
    struct kvtel_buffer request;
    unsigned attempts; /* in a row that were not taken */
    uint64_t random;
    atomic_bool failing; /* the last attempt was not taken */
    char said[256];      /* why, as the log has it */
    bool said_partial;
    pthread_mutex_t lock; /* guards `counts` */
    struct otlp_push_counts counts;
};

struct otlp_push_counts otlp_push_counts(struct otlp_push *push)
{
    pthread_mutex_lock(&push->lock);
    struct otlp_push_counts counts = push->counts;
    pthread_mutex_unlock(&push->lock);
    return counts;
}

/* -- What is said of it: the first of equal failures in a row, and their end -- */

static void say(struct otlp_push *push, const struct otlp_answer *answer)
{
    const struct web_log *log = &push->options.log;
    const char *place = push->options.settings->place;
    if (answer->outcome == OTLP_TAKEN) {
        if (atomic_load(&push->failing))
            web_log_printf(log, WEB_LOG_INFO, "metrics are pushed to %s again", place);
        if (answer->reason.message[0] && !push->said_partial)
            web_log_printf(log, WEB_LOG_WARN, "metrics are pushed to %s only in part, which is said once: %s", place,
                           answer->reason.message);
        push->said_partial |= answer->reason.message[0] != '\0';
        push->said[0] = '\0';
        return;
    }
    if (strcmp(push->said, answer->reason.message) != 0)
        web_log_printf(log, WEB_LOG_WARN, "metrics cannot be pushed to %s: %s; the push is tried again", place,
                       answer->reason.message);
    snprintf(push->said, sizeof push->said, "%s", answer->reason.message);
}

static void count(struct otlp_push *push, const struct otlp_answer *answer, bool again, double seconds)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    pthread_mutex_lock(&push->lock);
    struct otlp_push_counts *counts = &push->counts;
    counts->bytes += answer->bytes;
    counts->rejected += answer->rejected;
    counts->retries += again;
    counts->taken += answer->outcome == OTLP_TAKEN;
    counts->failed += answer->outcome == OTLP_REFUSED;
    counts->seconds = seconds;
    if (answer->outcome == OTLP_TAKEN)
        counts->last_success = (double)now.tv_sec + (double)now.tv_nsec / 1e9;
    pthread_mutex_unlock(&push->lock);
}

static void count_failed(struct otlp_push *push)
{
    pthread_mutex_lock(&push->lock);
    push->counts.failed++;
    pthread_mutex_unlock(&push->lock);
}

/* -- Sending -- */

/* How long to wait after an attempt that was not taken: twice as long as the time before, give or take a half, so that
 * exporters that failed together do not come back together. */
static uint64_t delay_of(struct otlp_push *push, const struct otlp_answer *answer)
{
    uint64_t delay = FIRST_DELAY_NS;
    for (unsigned i = 1; i < push->attempts && delay < MOST_DELAY_NS; i++)
        delay *= 2;
    delay = delay < MOST_DELAY_NS ? delay : MOST_DELAY_NS;
    push->random = push->random * 6364136223846793005u + 1442695040888963407u;
    delay = delay / 2 + (push->random >> 32) % delay;
    return delay > answer->after_ns ? delay : answer->after_ns;
}

static enum otlp_outcome attempt(struct otlp_push *push, bool again, uint64_t *delay_ns)
{
    struct otlp_answer answer;
    uint64_t began = otlp_now_ns();
    otlp_sender_send(push->sender, push->request.bytes, push->request.size, &answer);
    if (answer.outcome != OTLP_TAKEN && otlp_sender_has_ended(push->sender))
        return answer.outcome; /* the exporter ends: nobody needs to know */
    count(push, &answer, again, (double)(otlp_now_ns() - began) / 1e9);
    say(push, &answer);
    atomic_store(&push->failing, answer.outcome != OTLP_TAKEN);
    push->attempts = answer.outcome == OTLP_AGAIN ? push->attempts + 1 : 0;
    *delay_ns = answer.outcome == OTLP_AGAIN ? delay_of(push, &answer) : 0;
    return answer.outcome;
}

/* Takes the numbers of now for the next request. */
static bool take_numbers(struct otlp_push *push)
{
    push->request.size = 0;
    return push->options.write(push->options.context, &push->request) == KVTEL_OK;
}

static void *run(void *context)
{
    struct otlp_push *push = context;
    const uint64_t interval = (uint64_t)push->options.settings->interval_ms * MS_NS;
    bool pending = false;
    for (uint64_t due = otlp_now_ns(), wait_until; !otlp_sender_has_ended(push->sender);
         otlp_sender_wait(push->sender, wait_until)) {
        uint64_t now = otlp_now_ns(), delay = 0;
        bool again = pending && now < due;
        if (!again) {
            due = now + interval;
            if (pending)
                count_failed(push);
            pending = take_numbers(push);
            if (!pending)
                count_failed(push);
        }
        if (pending)
            pending = attempt(push, again, &delay) == OTLP_AGAIN;
        wait_until = pending ? otlp_now_ns() + delay : due;
    }
    if (!atomic_load(&push->failing) && take_numbers(push))
        attempt(push, false, &(uint64_t){ 0 });
    return NULL;
}

struct otlp_push *otlp_push_start(const struct otlp_push_options *options, struct kvtel_error *error)
{
    struct otlp_push *push = calloc(1, sizeof *push);
    if (!push) {
        kvtel_fail(error, KVTEL_E_NOMEM, 0, "%s", kvtel_status_text(KVTEL_E_NOMEM));
        return NULL;
    }
    push->options = *options;
    push->random = otlp_now_ns();
    push->sender = otlp_sender_create(options->settings, error);
    if (push->sender) {
        pthread_mutex_init(&push->lock, NULL);
        int failed = pthread_create(&push->thread, NULL, run, push);
        if (failed == 0)
            return push;
        kvtel_fail_system(error, failed, 0, "the thread of the push cannot be started");
        pthread_mutex_destroy(&push->lock);
        otlp_sender_destroy(push->sender);
    }
    free(push);
    return NULL;
}

void otlp_push_stop(struct otlp_push *push)
{
    if (!push)
        return;
    uint64_t now = otlp_now_ns();
    otlp_sender_end(push->sender, atomic_load(&push->failing) ? now : now + LAST_PUSH_NS);
    pthread_join(push->thread, NULL);
    otlp_sender_destroy(push->sender);
    pthread_mutex_destroy(&push->lock);
    kvtel_buffer_free(&push->request);
    free(push);
}
