/* SPDX-License-Identifier: Apache-2.0 */
/* kvtel doctor: looks at a machine, and prints what it found. */
#include "doctor/doctor.h"

#include "base/buffer.h"
#include "base/python.h"
#include "command/command.h"
#include "value/value.h"

#include <stdlib.h>
#include <string.h>

static void (*const checks[])(struct doctor *doctor) = {
    doctor_check_directory, doctor_check_stores,   doctor_check_rings,   doctor_check_nixl,
    doctor_check_processes, doctor_check_exporter, doctor_check_metrics, doctor_check_limits,
};

/* -- Text -- */

static void print_text(const struct doctor *doctor)
{
    struct kvtel_buffer line = { 0 };
    for (size_t i = 0; i < doctor->count; i++) {
        const struct doctor_finding *finding = &doctor->findings[i];
        const struct doctor_kind_text *kind = &doctor_kinds[finding->kind];
        line.size = 0;
        printf("%-8s %s: ", doctor_state_text(kind->state), kind->name);
        if (kvtel_python_line(&line, finding->seen, strlen(finding->seen)) == KVTEL_OK)
            fwrite(line.bytes, 1, line.size, stdout);
        putchar('\n');
        if (i + 1 < doctor->count && doctor->findings[i + 1].kind == finding->kind)
            continue; /* what it means is printed once, after the last of them */
        if (kind->state != DOCTOR_OK)
            printf("         %s\n", kind->means);
        if (*kind->next)
            printf("         Next: %s\n", kind->next);
    }
    kvtel_buffer_free(&line);
}

static void print_list(void)
{
    for (int i = 0; i < DOCTOR_KINDS; i++)
        printf("%-8s %s\n         %s\n%s%s%s", doctor_state_text(doctor_kinds[i].state), doctor_kinds[i].name,
               doctor_kinds[i].means, *doctor_kinds[i].next ? "         Next: " : "", doctor_kinds[i].next,
               *doctor_kinds[i].next ? "\n" : "");
}

/* -- JSON -- */

static void put(struct kvtel_writer *writer, const char *key, const char *text)
{
    kvtel_writer_text(writer, key);
    kvtel_writer_text(writer, text);
}

static int print_json(const struct doctor *doctor, const size_t counts[DOCTOR_STATES])
{
    struct kvtel_buffer json = { 0 };
    struct kvtel_writer writer;
    kvtel_writer_init(&writer, KVTEL_JSON, &json);
    kvtel_writer_map(&writer, 2 + DOCTOR_STATES);
    put(&writer, "version", kvtel_version());
    for (int state = 0; state < DOCTOR_STATES; state++) {
        kvtel_writer_text(&writer, doctor_state_text((enum doctor_state)state));
        kvtel_writer_integer(&writer, (int64_t)counts[state]);
    }
    kvtel_writer_text(&writer, "findings");
    kvtel_writer_array(&writer, doctor->count);
    for (size_t i = 0; i < doctor->count; i++) {
        const struct doctor_kind_text *kind = &doctor_kinds[doctor->findings[i].kind];
        kvtel_writer_map(&writer, 5);
        put(&writer, "state", doctor_state_text(kind->state));
        put(&writer, "name", kind->name);
        put(&writer, "seen", doctor->findings[i].seen);
        put(&writer, "means", kind->means);
        put(&writer, "next", kind->next);
    }
    const enum kvtel_status status = kvtel_writer_finish(&writer);
    if (status == KVTEL_OK) {
        fwrite(json.bytes, 1, json.size, stdout);
        putchar('\n');
    }
    kvtel_buffer_free(&json);
    return status == KVTEL_OK ? EXIT_GOOD : command_fail("%s", kvtel_status_text(status));
}

/* -- The command -- */

static int examine(struct doctor *doctor)
{
    size_t counts[DOCTOR_STATES] = { 0 };
    int code = EXIT_GOOD;
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++)
        checks[i](doctor);
    for (size_t i = 0; i < doctor->count; i++)
        counts[doctor_kinds[doctor->findings[i].kind].state]++;
    if (doctor->options.json)
        code = print_json(doctor, counts);
    else
        print_text(doctor);
    if (!doctor->options.json)
        printf("%zu ok, %zu notes, %zu problems\n", counts[DOCTOR_OK], counts[DOCTOR_NOTE], counts[DOCTOR_PROBLEM]);
    if (doctor->no_memory)
        code = command_fail("%s: some findings are missing", kvtel_status_text(KVTEL_E_NOMEM));
    if (!command_close(stdout, "standard output"))
        code = EXIT_FAILED;
    return counts[DOCTOR_PROBLEM] > 0 ? EXIT_FAILED : code;
}

int command_doctor(int argc, char **argv)
{
    struct doctor *doctor = calloc(1, sizeof *doctor);
    if (!doctor)
        return command_fail("%s", kvtel_status_text(KVTEL_E_NOMEM));
    int code = doctor_options_parse(argc, argv, &doctor->options);
    if (code < 0 && doctor->options.list) {
        print_list();
        code = command_close(stdout, "standard output") ? EXIT_GOOD : EXIT_FAILED;
    } else if (code < 0) {
        code = examine(doctor);
    }
    for (size_t i = 0; i < doctor->count; i++)
        free(doctor->findings[i].seen);
    free(doctor->findings);
    kvtel_buffer_free(&doctor->metrics);
    free(doctor);
    return code;
}
