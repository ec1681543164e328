/* SPDX-License-Identifier: Apache-2.0 */
/* Asking the exporter: whether it answers, what it says of itself, and who reads it. */
#include "doctor/doctor.h"

#include "base/buffer.h"
#include "value/value.h"

#include <kvtel/recorder.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
    OK = 200,
    WANTS_USER = 401,
    FORBIDDEN = 403,
    NOT_FOUND = 404,
    TOO_MANY = 429,
    SERVER_ERROR = 500,
    UNAVAILABLE = 503
};
static const double SKEW_SECONDS = 5;

struct answer {
    long status; /* 0: none */
    struct kvtel_buffer body;
    struct kvtel_error error;
};

/* Waits for the answer to GET; libcurl's time limits bound the wait. */
static void ask(const struct doctor *doctor, const char *path, bool with_user, struct answer *answer)
{
    char url[DOCTOR_URL + 64];
    struct top_remote_options options = doctor->options.remote;
    struct top_source source = { 0 };
    enum top_reading state;
    (void)snprintf(url, sizeof url, "%s%s", doctor->options.url, path);
    options.url = url;
    if (!with_user)
        options.user = options.password = NULL;
    *answer = (struct answer){ 0 };
    if (top_remote_open(&options, &source, &answer->error) != KVTEL_OK) {
        answer->status = -1;
        return;
    }
    source.begin(source.context);
    while ((state = source.go_on(source.context, &answer->body, &answer->error)) == TOP_PENDING)
        source.wait(source.context, NULL, 0, 1000);
    answer->status = top_remote_status(&source);
    source.close(source.context);
}

/* Adds a finding for an answer that is not 200. False: it is. */
static bool tell_status(struct doctor *doctor, const char *path, const struct answer *answer)
{
    static const struct {
        long status;
        enum doctor_kind kind;
    } kinds[] = { { 0, DOCTOR_EXPORTER_UNREACHABLE },
                  { TOO_MANY, DOCTOR_EXPORTER_BUSY },
                  { WANTS_USER, DOCTOR_EXPORTER_REFUSES },
                  { FORBIDDEN, DOCTOR_EXPORTER_REFUSES },
                  { SERVER_ERROR, DOCTOR_EXPORTER_MISCONFIGURED },
                  { UNAVAILABLE, DOCTOR_EXPORTER_BUSY } };
    enum doctor_kind kind = DOCTOR_EXPORTER_OTHER;
    if (answer->status == OK)
        return false;
    if (answer->status < 0) { /* libcurl was there before */
        doctor->no_memory = true;
        return true;
    }
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (kinds[i].status == answer->status)
            kind = kinds[i].kind;
    if (!doctor_has(doctor, kind))
        doctor_find(doctor, kind, "%s%s: %s", doctor->options.url, path, answer->error.message);
    return true;
}

/* False: nothing answers there. */
static bool check_health(struct doctor *doctor)
{
    struct answer answer;
    ask(doctor, "/-/healthy", false, &answer);
    const char *url = doctor->options.url;
    if (answer.status < 0 && answer.error.status == KVTEL_E_NOMEM)
        doctor->no_memory = true;
    else if (answer.status < 0)
        doctor_find(doctor, DOCTOR_EXPORTER_UNKNOWN, "%s", answer.error.message);
    else if (answer.status == 0)
        doctor_find(doctor, doctor->options.has_url ? DOCTOR_EXPORTER_UNREACHABLE : DOCTOR_EXPORTER_ABSENT,
                    doctor->in_use ? "%s: %s; an exporter runs, at another address" : "%s: %s", url,
                    answer.error.message);
    else if (answer.status == WANTS_USER)
        doctor_find(doctor, DOCTOR_PROBES_REFUSED, "%s/-/healthy answers 401", url);
    else if (answer.status == UNAVAILABLE)
        doctor_find(doctor, DOCTOR_EXPORTER_STUCK, "%s/-/healthy answers 503", url);
    kvtel_buffer_free(&answer.body);
    return answer.status > 0;
}

/* -- The summary -- */

static double number_of(const struct kvtel_value *summary, const char *key)
{
    double number = NAN;
    const struct kvtel_value *value = kvtel_value_get(summary, key);
    return value && kvtel_value_number(value, &number) ? number : NAN;
}

static double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* `asked`: when the summary was asked for. An answer that came late is no skew. */
static void check_clock(struct doctor *doctor, double theirs, double asked)
{
    const double now = seconds_now(), skew = theirs > now ? theirs - now : theirs < asked ? theirs - asked : 0;
    if (fabs(skew) > SKEW_SECONDS)
        doctor_find(doctor, DOCTOR_CLOCK_SKEW, "the exporter's clock is %.0f s %s", fabs(skew),
                    skew > 0 ? "ahead" : "behind");
}

static void read_summary(struct doctor *doctor, const struct kvtel_value *summary, double asked)
{
    const struct kvtel_value *version = kvtel_value_get(summary, "version");
    const char *text = version && version->kind == KVTEL_VALUE_STRING ? version->text : "";
    const double uptime = number_of(summary, "uptime_seconds"), recording = number_of(summary, "recording");
    if (!*text || isnan(uptime)) {
        doctor_find(doctor, DOCTOR_EXPORTER_OTHER, "%s: its summary is not one of kvtel", doctor->options.url);
        return;
    }
    doctor_find(doctor, DOCTOR_EXPORTER, "%s: version %s, for %.0f s", doctor->options.url, text, uptime);
    doctor->uptime_seconds = uptime;
    doctor->exporter_time = number_of(summary, "time");
    if (strcmp(text, kvtel_version()) != 0)
        doctor_find(doctor, DOCTOR_EXPORTER_VERSION, "the exporter is %s, this program is %s", text, kvtel_version());
    if (recording == 0)
        doctor_find(doctor, DOCTOR_NOBODY_RECORDS, "%s: no source records", doctor->options.url);
    if (!isnan(doctor->exporter_time))
        check_clock(doctor, doctor->exporter_time, asked);
}

static void check_summary(struct doctor *doctor)
{
    struct answer answer;
    struct kvtel_arena arena = { 0 };
    struct kvtel_value summary;
    const double asked = seconds_now();
    ask(doctor, "/api/v1/summary", true, &answer);
    if (!tell_status(doctor, "/api/v1/summary", &answer)) {
        if (kvtel_value_decode(KVTEL_JSON, answer.body.bytes, answer.body.size, &arena, &summary, NULL) != KVTEL_OK ||
            summary.kind != KVTEL_VALUE_MAP)
            doctor_find(doctor, DOCTOR_EXPORTER_OTHER, "%s: its summary is not JSON", doctor->options.url);
        else
            read_summary(doctor, &summary, asked);
    }
    kvtel_arena_free(&arena);
    kvtel_buffer_free(&answer.body);
}

void doctor_check_exporter(struct doctor *doctor)
{
    struct answer answer;
    doctor->exporter_time = NAN;
    if (!check_health(doctor))
        return;
    check_summary(doctor);
    ask(doctor, "/metrics", true, &answer);
    if (answer.status == NOT_FOUND && doctor_has(doctor, DOCTOR_EXPORTER))
        doctor_find(doctor, DOCTOR_OWN_METRICS_OFF, "%s/metrics answers 404 (--web.telemetry-path?)",
                    doctor->options.url);
    else if (!tell_status(doctor, "/metrics", &answer) && kvtel_buffer_append_byte(&answer.body, 0) == KVTEL_OK) {
        doctor->metrics = answer.body;
        return;
    }
    kvtel_buffer_free(&answer.body);
}
