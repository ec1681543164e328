/* SPDX-License-Identifier: Apache-2.0 */
/* Recordings, passed through a whole session. The input is one byte with the number of bytes for each read, then the
 * recording. */
#include "contract.h"

#include <kvtel/exposition.h>
#include <kvtel/store.h>

#include "recording/session.h"

struct source {
    const uint8_t *bytes;
    size_t size, step;
};

static size_t read_source(void *context, void *bytes, size_t size)
{
    struct source *source = context;
    size_t n = size < source->step ? size : source->step;
    n = n < source->size ? n : source->size;
    memcpy(bytes, source->bytes, n);
    source->bytes += n;
    source->size -= n;
    return n;
}

static void ignore_line(void *context, const char *line)
{
    (void)context;
    MUST(!strchr(line, '\n'));
}

static void play(struct kvtel_session **session, const struct kvtel_record *record,
                 const struct kvtel_metric_types *types, struct kvtel_diagnostics *diagnostics)
{
    const struct kvtel_stats *stats;
    struct kvtel_session *next;
    switch (record->kind) {
    case KVTEL_RECORD_HEADER:
        MUST(record->model_name && record->engine_count <= 65536);
        MUST(kvtel_session_create(record, types, KVTEL_LOG_DEFAULT, diagnostics, &next) == KVTEL_OK);
        kvtel_session_destroy(*session);
        *session = next;
        break;
    case KVTEL_RECORD_PAYLOADS:
        MUST(*session && (record->payload_count == 1 || record->from_workers));
        MUST(kvtel_session_observe(*session, record, &stats) == KVTEL_OK);
        break;
    case KVTEL_RECORD_LOG:
        MUST(*session && kvtel_session_log(*session, ignore_line, NULL) == KVTEL_OK);
        break;
    case KVTEL_RECORD_END:
        MUST(false);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct source source = { .bytes = data + 1, .size = size - 1, .step = (size_t)data[0] + 1 };
    struct kvtel_recording *recording = kvtel_recording_open(read_source, &source);
    struct kvtel_store *store = kvtel_store_create(KVTEL_STORE_OPTIONS(.max_series = 8));
    struct kvtel_diagnostics *diagnostics = kvtel_diagnostics_create(NULL, NULL);
    struct kvtel_metric_types types;
    struct kvtel_session *session = NULL;
    size_t last = 0;
    MUST(kvtel_store_metric_types(store, &types) == KVTEL_OK);
    for (size_t objects = 0;; objects++) {
        struct kvtel_record record;
        struct kvtel_error error = { 0 };
        enum kvtel_status status = kvtel_recording_next(recording, &record, &error);
        MUST(objects <= size);
        if (status == KVTEL_OK && record.kind == KVTEL_RECORD_END)
            break;
        if (status == KVTEL_OK) {
            MUST(error.status == KVTEL_OK && record.offset >= last && record.offset + record.size <= size - 1);
            last = record.offset + record.size;
            play(&session, &record, &types, diagnostics);
        } else {
            must_explain(status, &error, kvtel_recording_format(recording), size - 1);
            MUST(error.offset >= last);
        }
    }
    struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
    struct kvtel_buffer text = { 0 };
    MUST(kvtel_snapshot_add(snapshot, store) == KVTEL_OK);
    MUST(kvtel_exposition_text(snapshot, &text) == KVTEL_OK);
    kvtel_buffer_free(&text);
    kvtel_snapshot_destroy(snapshot);
    kvtel_session_destroy(session);
    kvtel_recording_close(recording);
    kvtel_diagnostics_destroy(diagnostics);
    kvtel_store_close(store);
    return 0;
}
