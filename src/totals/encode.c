/* SPDX-License-Identifier: Apache-2.0 */
/* Encoding a snapshot as the content of a file of totals. */
#include "collect/series.h"
#include "totals/totals.h"

#include "base/varint.h"
#include "totals/layout.h"
#include "record/store.h"

#include <stdlib.h>
#include <time.h>
#include <zlib.h>

/* The output and the first failure. After a failure, appending does nothing, so callers need not check each step. */
struct encoder {
    struct kvtel_buffer *bytes;
    enum kvtel_status status;
    const struct totals_contents *contents;
    size_t room; /* number of new label sets that all families together may still add */
    uint64_t folded;
    uint32_t family_count, series_count;
};

/* The sum of a family's label sets beyond the limit. */
struct rest {
    struct kvtel_snapshot_series sum;
    uint64_t *bins; /* all bins of the family; NULL: nothing was added yet */
};

static void put(struct encoder *encoder, const void *bytes, size_t size)
{
    if (encoder->status == KVTEL_OK)
        encoder->status = kvtel_buffer_append(encoder->bytes, bytes, size);
}

static void put_varint(struct encoder *encoder, uint64_t number)
{
    uint8_t bytes[KVTEL_VARINT];
    put(encoder, bytes, kvtel_varint_put(bytes, number));
}

static void put_texts(struct encoder *encoder, const char *const *texts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        put(encoder, texts[i], strlen(texts[i]) + 1);
}

static size_t texts_size(const char *const *texts, size_t count)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++)
        size += strlen(texts[i]) + 1;
    return size;
}

static void put_bins(struct encoder *encoder, const struct kvtel_snapshot_series *series)
{
    uint64_t used = 0, zeros = series->first_bin;
    for (uint32_t i = 0; i < series->bin_count; i++)
        used += series->bins[i] != 0;
    put_varint(encoder, used);
    for (uint32_t i = 0; i < series->bin_count; i++, zeros++) {
        if (series->bins[i] == 0)
            continue;
        put_varint(encoder, zeros);
        put_varint(encoder, series->bins[i]);
        zeros = UINT64_MAX; /* 0 after the step */
    }
}

static void put_series(struct encoder *encoder, const struct kvtel_snapshot_family *family,
                       const struct kvtel_snapshot_series *series)
{
    size_t size = texts_size(series->values, family->label_count);
    uint32_t text_size = (uint32_t)size;
    if (size > UINT32_MAX)
        encoder->status = KVTEL_E_LIMIT;
    put(encoder, &text_size, sizeof text_size);
    put_texts(encoder, series->values, family->label_count);
    put(encoder, &series->started, sizeof series->started);
    put(encoder, family->type == KVTEL_HISTOGRAM ? &series->sum : &series->value, sizeof series->value);
    if (family->type == KVTEL_GAUGE)
        put(encoder, &series->stamp, sizeof series->stamp);
    if (family->type == KVTEL_HISTOGRAM)
        put_bins(encoder, series);
    encoder->series_count++;
}

static bool is_other(const struct kvtel_snapshot_family *family, const struct kvtel_snapshot_series *series)
{
    for (size_t i = 0; i < family->label_count; i++)
        if (strcmp(series->values[i], TOTALS_OTHER) != 0)
            return false;
    return family->label_count > 0;
}

static enum kvtel_status fold(struct rest *rest, const struct kvtel_snapshot_family *family,
                              const struct kvtel_snapshot_series *series)
{
    if (!rest->bins && !(rest->bins = calloc(family->bound_count + 1, sizeof *rest->bins)))
        return KVTEL_E_NOMEM;
    rest->sum.sum += series->sum;
    rest->sum.started = series->started < rest->sum.started ? series->started : rest->sum.started;
    if (family->type == KVTEL_COUNTER) {
        rest->sum.value += series->value;
    } else if (family->type == KVTEL_GAUGE && series->stamp >= rest->sum.stamp) {
        rest->sum.value = series->value;
        rest->sum.stamp = series->stamp;
    }
    for (uint32_t i = 0; i < series->bin_count; i++)
        rest->bins[series->first_bin + i] += series->bins[i];
    return KVTEL_OK;
}

static bool is_separate(const struct totals_contents *contents, const struct kvtel_snapshot_family *family)
{
    return contents->separate && strncmp(family->name, contents->separate, strlen(contents->separate)) == 0;
}

/* Writes label sets while there is room, then one label set with the sum of the others. `old`: number of label sets
 * that were in the totals before. */
static void put_all_series(struct encoder *encoder, const struct kvtel_snapshot_family *family, size_t old)
{
    const struct totals_contents *contents = encoder->contents;
    bool separate = is_separate(contents, family);
    size_t limit = separate ? SIZE_MAX : contents->limit, kept = 0;
    struct rest rest = { .sum.started = UINT64_MAX };
    for (size_t i = 0; i < family->series_count && encoder->status == KVTEL_OK; i++) {
        const struct kvtel_snapshot_series *series = &family->series[i];
        if (contents->keep && !contents->keep(contents->context, family, series))
            continue;
        bool beyond = limit > 0 && i >= old && family->label_count > 0 && (kept >= limit || encoder->room == 0);
        if (separate && beyond) {
            encoder->folded++;
        } else if (limit > 0 && !separate && is_other(family, series)) {
            encoder->status = fold(&rest, family, series);
        } else if (beyond) {
            encoder->status = fold(&rest, family, series);
            encoder->folded++;
        } else {
            put_series(encoder, family, series);
            encoder->room -= i >= old && encoder->room > 0;
            kept++;
        }
    }
    if (encoder->status == KVTEL_OK && rest.bins) {
        const char *values[KVTEL_LAYOUT_LABELS];
        for (size_t i = 0; i < family->label_count; i++)
            values[i] = TOTALS_OTHER;
        rest.sum.values = values;
        rest.sum.bins = rest.bins;
        rest.sum.bin_count = family->type == KVTEL_HISTOGRAM ? (uint32_t)family->bound_count + 1 : 0;
        put_series(encoder, family, &rest.sum);
    }
    free(rest.bins);
}

static void put_family(struct encoder *encoder, const struct kvtel_snapshot_family *family, size_t old)
{
    const char *const texts[] = { family->name, family->help };
    size_t at = encoder->bytes->size,
           text_size = texts_size(texts, 2) + texts_size(family->labelnames, family->label_count);
    uint32_t before = encoder->series_count;
    struct totals_family record = {
        .type = (uint8_t)family->type,
        .unit = (uint8_t)family->unit,
        .label_count = (uint16_t)family->label_count,
        .bound_count = (uint32_t)family->explicit_count,
        .exponential_first = family->exponential_first,
        .exponential_count = (uint32_t)family->exponential_count,
        .text_size = (uint32_t)text_size,
    };
    if (text_size > UINT32_MAX)
        encoder->status = KVTEL_E_LIMIT;
    put(encoder, &record, sizeof record);
    for (size_t i = 0; i < family->explicit_count; i++)
        put(encoder, &family->bounds[family->explicit_bins[i]], sizeof(double));
    put_texts(encoder, texts, 2);
    put_texts(encoder, family->labelnames, family->label_count);
    put_all_series(encoder, family, old);
    record.series_count = encoder->series_count - before;
    if (encoder->status != KVTEL_OK)
        return;
    /* a family without series is left out, so that another definition may take its name */
    if (record.series_count == 0) {
        encoder->bytes->size = at;
        return;
    }
    memcpy(encoder->bytes->bytes + at, &record, sizeof record);
    encoder->family_count++;
}

/* The place of the old totals in the snapshot. They were added first, so the snapshot's families and label sets
 * begin with theirs. */
struct old {
    const struct totals *totals; /* NULL: there were no totals */
    uint32_t family, series;
};

/* Number of label sets in the next family that were in the old totals. */
static size_t next_old(struct old *old)
{
    size_t count = 0;
    for (; old->totals && old->series < old->totals->series_count &&
           old->totals->series[old->series].family == old->family;
         count++)
        old->series++;
    old->family++;
    return count;
}

static void put_header(struct encoder *encoder, struct totals_header *header)
{
    const struct totals_contents *contents = encoder->contents;
    size_t stores_size = texts_size(contents->stores, contents->store_count);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (stores_size > UINT32_MAX)
        encoder->status = KVTEL_E_LIMIT;
    *header = (struct totals_header){
        .magic = TOTALS_MAGIC,
        .byte_order = TOTALS_ORDER,
        .version = TOTALS_VERSION,
        .by_rank = contents->by_rank,
        .written_realtime_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec,
        .boot_hash = kvtel_boot_hash(),
        .store_count = (uint32_t)contents->store_count,
        .stores_size = (uint32_t)stores_size,
    };
    put(encoder, header, sizeof *header);
    put_texts(encoder, contents->stores, contents->store_count);
}

enum kvtel_status totals_encode(const struct totals_contents *contents, const struct totals *old,
                                struct kvtel_buffer *bytes, uint64_t *folded)
{
    struct encoder encoder = { .bytes = bytes, .contents = contents };
    struct totals_header header;
    struct old before = { .totals = old };
    size_t start = bytes->size, family_count = kvtel_snapshot_family_count(contents->snapshot),
           known = old ? old->series_count : 0;
    encoder.room = known < TOTALS_SERIES ? TOTALS_SERIES - known : 0;
    if (family_count > TOTALS_FAMILIES)
        return KVTEL_E_LIMIT;
    put_header(&encoder, &header);
    for (size_t i = 0; i < family_count; i++)
        put_family(&encoder, kvtel_snapshot_family(contents->snapshot, i), next_old(&before));
    header.family_count = encoder.family_count;
    header.series_count = encoder.series_count;
    header.size = bytes->size - start + sizeof(uint32_t);
    if (encoder.status == KVTEL_OK)
        memcpy(bytes->bytes + start, &header, sizeof header);
    uint32_t checksum = (uint32_t)crc32_z(0, (const unsigned char *)bytes->bytes + start, bytes->size - start);
    put(&encoder, &checksum, sizeof checksum);
    if (folded)
        *folded = encoder.folded;
    return encoder.status;
}
