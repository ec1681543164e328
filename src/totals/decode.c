/* SPDX-License-Identifier: Apache-2.0 */
/* Decoding the content of a file of totals: everything is checked, then indexed. */
#include "collect/series.h"
#include "totals/totals.h"

#include "base/error.h"
#include "base/varint.h"
#include "histogram/bins.h"
#include "totals/layout.h"
#include "collect/snapshot.h"
#include "record/store.h"

#include <math.h>
#include <stdlib.h>
#include <zlib.h>

enum { EXPONENTIAL_MAX = 512, EXPONENT_MAX = 1000 << KVTEL_BINS_SCHEMA };

/* The bytes not read yet. All reading goes through take(), so nothing past the end is read. */
struct cursor {
    const char *bytes;
    size_t at, end;
};

static bool take(struct cursor *cursor, void *into, size_t size)
{
    if (size > cursor->end - cursor->at)
        return false;
    memcpy(into, cursor->bytes + cursor->at, size);
    cursor->at += size;
    return true;
}

static bool take_varint(struct cursor *cursor, uint64_t *number)
{
    const uint8_t *bytes = (const uint8_t *)cursor->bytes, *at = bytes + cursor->at;
    const bool is_good = kvtel_varint_take(&at, bytes + cursor->end, number);
    cursor->at = (size_t)(at - bytes);
    return is_good;
}

/* Takes `count` texts, each followed by a NUL, of `size` bytes together. */
static bool take_texts(struct cursor *cursor, size_t size, size_t count)
{
    if (size > cursor->end - cursor->at)
        return false;
    const char *text = cursor->bytes + cursor->at;
    size_t found = 0;
    for (size_t i = 0; i < size; i++)
        found += text[i] == '\0';
    cursor->at += size;
    return found == count && (size == 0 || text[size - 1] == '\0');
}

/* Takes the next bin that is not 0. *next is the lowest index that it can have. */
static bool take_bin(struct cursor *cursor, uint64_t bin_count, uint64_t *next, uint64_t *value)
{
    uint64_t gap;
    if (!take_varint(cursor, &gap) || *next >= bin_count || gap >= bin_count - *next || !take_varint(cursor, value) ||
        *value == 0)
        return false;
    *next += gap + 1;
    return true;
}

static bool skip_values(struct cursor *cursor, const struct kvtel_layout_family *family)
{
    double value;
    uint64_t count, next = 0, bin, total = 0;
    if (!take(cursor, &value, sizeof value))
        return false;
    if (family->type == KVTEL_GAUGE)
        return take(cursor, &count, sizeof count);
    if (!(value >= 0 && value <= KVTEL_TOTAL_MAX))
        return false;
    if (family->type == KVTEL_COUNTER)
        return true;
    uint64_t bin_count = kvtel_bins_most(family->bound_count, family->exponential_first, family->exponential_count);
    if (!take_varint(cursor, &count) || count > bin_count)
        return false;
    for (uint64_t i = 0; i < count; i++, total += bin)
        if (!take_bin(cursor, bin_count, &next, &bin) || bin > UINT64_MAX - total)
            return false;
    return true;
}

static bool are_names(const char *text, uint32_t label_count)
{
    bool good = kvtel_is_name(text, true);
    text += strlen(text) + 1; /* help */
    for (uint32_t i = 0; i < label_count && good; i++) {
        text += strlen(text) + 1;
        good = kvtel_is_name(text, false);
    }
    return good;
}

static bool are_bounds(const double *bounds, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (!isfinite(bounds[i]) || signbit(bounds[i]) || (i > 0 && bounds[i] <= bounds[i - 1]))
            return false;
    return true;
}

static bool can_be(const struct totals_family *record)
{
    bool histogram = record->type == KVTEL_HISTOGRAM;
    return record->type <= KVTEL_HISTOGRAM && record->unit <= KVTEL_UNIT_RATIO &&
           record->label_count <= KVTEL_LAYOUT_LABELS && record->bound_count <= (histogram ? KVTEL_LAYOUT_BOUNDS : 0) &&
           record->exponential_count <= EXPONENTIAL_MAX && (record->exponential_count > 0) == histogram &&
           record->exponential_first >= -EXPONENT_MAX && record->exponential_first <= EXPONENT_MAX - EXPONENTIAL_MAX;
}

/* Takes the next family, without its series. */
static bool take_family(struct totals *totals, struct cursor *cursor, uint32_t *bound_count, uint32_t *series_count)
{
    struct totals_family record;
    if (!take(cursor, &record, sizeof record) || !can_be(&record))
        return false;
    size_t bounds_size = record.bound_count * sizeof(double);
    /* Each bound takes 8 bytes of the file, so `bounds` has room for as many as the file can contain. */

    if (!take(cursor, totals->bounds + *bound_count, bounds_size) ||
        !are_bounds(totals->bounds + *bound_count, record.bound_count))
        return false;
    struct kvtel_layout_family *family = &totals->families[totals->family_count];
    *family = (struct kvtel_layout_family){
        .type = record.type,
        .unit = record.unit,
        .label_count = record.label_count,
        .bound_count = record.bound_count,
        .bounds_at = *bound_count,
        .text_size = record.text_size,
        .text_at = cursor->at,
        .exponential_first = record.exponential_first,
        .exponential_count = record.exponential_count,
    };
    *bound_count += record.bound_count;
    *series_count = record.series_count;
    totals->family_count++;
    return take_texts(cursor, record.text_size, 2 + (size_t)record.label_count) &&
           are_names(cursor->bytes + family->text_at, record.label_count);
}

static bool take_series(struct totals *totals, struct cursor *cursor)
{
    uint32_t family = totals->family_count - 1, size;
    if (!take(cursor, &size, sizeof size))
        return false;
    totals->series[totals->series_count] =
        (struct kvtel_layout_series){ .family = family, .text_size = size, .text_at = cursor->at };
    if (!take_texts(cursor, size, totals->families[family].label_count) ||
        (totals->has_starts &&
         !take(cursor, &totals->series[totals->series_count].started_realtime_ns, sizeof(uint64_t))))
        return false;
    totals->values_at[totals->series_count++] = cursor->at;
    return skip_values(cursor, &totals->families[family]);
}

static enum kvtel_status check_header(const struct kvtel_buffer *bytes, struct totals_header *header,
                                      struct kvtel_error *error)
{
    uint32_t checksum;
    if (bytes->size < sizeof *header + sizeof checksum)
        return kvtel_fail(error, KVTEL_E_TRUNCATED, bytes->size, "it is cut short: %zu bytes", bytes->size);
    memcpy(header, bytes->bytes, sizeof *header);
    if (memcmp(header->magic, TOTALS_MAGIC, sizeof header->magic) != 0)
        return kvtel_fail(error, KVTEL_E_FORMAT, 0, "it does not begin as totals do");
    if (header->byte_order != TOTALS_ORDER)
        return kvtel_fail(error, KVTEL_E_FORMAT, offsetof(struct totals_header, byte_order),
                          "it is damaged, or of a machine with another byte order");
    if (header->version < TOTALS_VERSION_LEAST || header->version > TOTALS_VERSION)
        return kvtel_fail(error, KVTEL_E_FORMAT, offsetof(struct totals_header, version),
                          "it has version %u, this program knows versions %u to %u", (unsigned)header->version,
                          (unsigned)TOTALS_VERSION_LEAST, (unsigned)TOTALS_VERSION);
    if (header->size != bytes->size)
        return kvtel_fail(error, KVTEL_E_TRUNCATED, bytes->size, "it has %zu bytes where %llu were written",
                          bytes->size, (unsigned long long)header->size);
    size_t checked = bytes->size - sizeof checksum;
    memcpy(&checksum, bytes->bytes + checked, sizeof checksum);
    if (crc32_z(0, (const unsigned char *)bytes->bytes, checked) != checksum)
        return kvtel_fail(error, KVTEL_E_FORMAT, checked, "its checksum is wrong");
    return KVTEL_OK;
}

static bool make_tables(struct totals *totals, const struct totals_header *header)
{
    totals->families = calloc((size_t)header->family_count + 1, sizeof *totals->families);
    totals->series = calloc((size_t)header->series_count + 1, sizeof *totals->series);
    totals->values_at = calloc((size_t)header->series_count + 1, sizeof *totals->values_at);
    totals->bounds = malloc(totals->bytes.size + sizeof(double));
    return totals->families && totals->series && totals->values_at && totals->bounds;
}

static enum kvtel_status index_all(struct totals *totals, const struct totals_header *header, struct kvtel_error *error)
{
    struct cursor cursor = { totals->bytes.bytes, sizeof *header, totals->bytes.size - sizeof(uint32_t) };
    uint32_t bound_count = 0, series_count;
    /* a family and a series each take at least this many bytes of the file */
    if (header->family_count > cursor.end / sizeof(struct totals_family) ||
        header->series_count > cursor.end / sizeof(uint32_t))
        return kvtel_fail(error, KVTEL_E_FORMAT, offsetof(struct totals_header, family_count),
                          "a count that cannot be");
    if (!make_tables(totals, header))
        return kvtel_fail(error, KVTEL_E_NOMEM, 0, "%s", kvtel_status_text(KVTEL_E_NOMEM));
    totals->stores = totals->bytes.bytes + cursor.at;
    totals->store_count = header->store_count;
    bool good = take_texts(&cursor, header->stores_size, header->store_count);
    while (good && totals->family_count < header->family_count) {
        good = take_family(totals, &cursor, &bound_count, &series_count) &&
               series_count <= header->series_count - totals->series_count;
        for (uint32_t i = 0; good && i < series_count; i++)
            good = take_series(totals, &cursor);
    }
    if (!good || cursor.at != cursor.end || totals->series_count != header->series_count)
        return kvtel_fail(error, KVTEL_E_FORMAT, cursor.at, "a record that cannot be");
    double *bounds = realloc(totals->bounds, (bound_count + 1) * sizeof *bounds);
    totals->bounds = bounds ? bounds : totals->bounds;
    return KVTEL_OK;
}

/* Adds the totals to an empty snapshot. Only this shows a family or a label set that occurs twice. */
static enum kvtel_status try_out(const struct totals *totals, struct kvtel_error *error)
{
    struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
    enum kvtel_status status = snapshot ? totals_add_to(totals, snapshot) : KVTEL_E_NOMEM;
    size_t families = status == KVTEL_OK ? kvtel_snapshot_family_count(snapshot) : 0, series = 0;
    for (size_t i = 0; i < families; i++)
        series += kvtel_snapshot_family(snapshot, i)->series_count;
    kvtel_snapshot_destroy(snapshot);
    if (status == KVTEL_E_NOMEM)
        return kvtel_fail(error, status, 0, "%s", kvtel_status_text(status));
    if (status != KVTEL_OK || families != totals->family_count || series != totals->series_count)
        return kvtel_fail(error, KVTEL_E_FORMAT, 0,
                          "a family or a label set is there twice, or a bin that there is not");
    return KVTEL_OK;
}

enum kvtel_status totals_decode(struct kvtel_buffer *bytes, struct totals *totals, struct kvtel_error *error)
{
    struct totals_header header;
    *totals = (struct totals){ .bytes = *bytes };
    *bytes = (struct kvtel_buffer){ 0 };
    enum kvtel_status status = check_header(&totals->bytes, &header, error);
    if (status == KVTEL_OK) {
        uint64_t boot = kvtel_boot_hash();
        totals->by_rank = header.by_rank != 0;
        totals->has_starts = header.version > TOTALS_VERSION_LEAST;
        totals->earlier_boot = boot != 0 && header.boot_hash != 0 && header.boot_hash != boot;
        status = index_all(totals, &header, error);
    }
    if (status == KVTEL_OK)
        status = try_out(totals, error);
    if (status != KVTEL_OK)
        totals_free(totals);
    return status;
}

bool totals_include(const struct totals *totals, const char *store)
{
    const char *included = totals->stores;
    for (uint32_t i = 0; i < totals->store_count; i++, included += strlen(included) + 1)
        if (strcmp(included, store) == 0)
            return true;
    return false;
}

void totals_free(struct totals *totals)
{
    kvtel_buffer_free(&totals->bytes);
    kvtel_relabel_free(&totals->relabel);
    free(totals->families);
    free(totals->series);
    free(totals->values_at);
    free(totals->bounds);
    kvtel_source_free(&totals->source);
    *totals = (struct totals){ 0 };
}

static struct kvtel_view view_of(const struct totals *totals)
{
    return (struct kvtel_view){
        .families = totals->families,
        .bounds = totals->bounds,
        .series = totals->series,
        .strings = totals->bytes.bytes,
        .family_count = totals->family_count,
        .series_count = totals->series_count,
    };
}

enum kvtel_status totals_add_label(struct totals *totals, const char *name)
{
    struct kvtel_view view = view_of(totals);
    totals->relabel.name = name;
    return kvtel_relabel_view(&totals->relabel, &view);
}

/* Decodes the numbers of a series, which were checked when the file was indexed. KVTEL_OK, KVTEL_E_NOMEM,
 * KVTEL_E_FORMAT. */
static enum kvtel_status fill(const struct totals *totals, uint32_t i, struct kvtel_arena *arena,
                              struct kvtel_collected *series)
{
    const struct kvtel_layout_family *family = &totals->families[totals->series[i].family];
    struct cursor cursor = { totals->bytes.bytes, totals->values_at[i], totals->bytes.size };
    double value = 0;
    uint64_t count = 0, next = 0, bin = 0;
    (void)take(&cursor, &value, sizeof value);
    if (family->type != KVTEL_HISTOGRAM) {
        series->value = value;
        if (family->type == KVTEL_GAUGE)
            (void)take(&cursor, &series->stamp, sizeof series->stamp);
        if (totals->earlier_boot)
            series->stamp = series->stamp > 0;
        return KVTEL_OK;
    }
    series->sum = value;
    (void)take_varint(&cursor, &count);
    struct cursor last = cursor;
    for (uint64_t k = 0; k < count; k++) {
        (void)take_bin(&last, UINT64_MAX, &next, &bin);
        series->first = k == 0 ? (uint32_t)next - 1 : series->first;
    }
    series->bin_count = count > 0 ? (uint32_t)next - series->first : 0;
    if (count == 0)
        return KVTEL_OK;
    if (next > (uint64_t)series->layout->bound_count + 1)
        return KVTEL_E_FORMAT;
    series->bins = kvtel_arena_alloc(arena, series->bin_count * sizeof *series->bins);
    if (!series->bins)
        return KVTEL_E_NOMEM;
    memset(series->bins, 0, series->bin_count * sizeof *series->bins);
    next = 0;
    for (uint64_t k = 0; k < count; k++) {
        (void)take_bin(&cursor, UINT64_MAX, &next, &bin);
        series->bins[next - 1 - series->first] = bin;
        series->count += bin;
    }
    return KVTEL_OK;
}

static struct kvtel_view shown_view(const struct totals *totals)
{
    struct kvtel_view view = view_of(totals);
    if (totals->relabel.name) {
        view.families = (const void *)totals->relabel.families.bytes;
        view.series = (const void *)totals->relabel.series.bytes;
        view.strings = totals->relabel.strings.bytes;
    }
    return view;
}

enum kvtel_status totals_add_to(const struct totals *totals, struct kvtel_snapshot *snapshot)
{
    struct kvtel_view view = shown_view(totals);
    struct kvtel_addition addition = { .view = &view };
    struct kvtel_arena *arena = kvtel_snapshot_arena(snapshot);
    enum kvtel_status status = kvtel_snapshot_begin(snapshot, &addition);
    for (uint32_t i = 0; i < view.series_count && status == KVTEL_OK; i++)
        if (addition.places[i] != KVTEL_INDEX_NONE)
            status = fill(totals, i, arena, &addition.collected[i]);
    return kvtel_snapshot_finish(snapshot, &addition, status);
}

/* Decodes the numbers of all series. */
static enum kvtel_status fill_all(struct totals *totals, const struct kvtel_view *view)
{
    struct kvtel_arena arena = { 0 };
    struct kvtel_bins *layouts = NULL;
    struct kvtel_collected *series = calloc(view->series_count + (size_t)1, sizeof *series);
    enum kvtel_status status = series ? KVTEL_OK : KVTEL_E_NOMEM;
    for (uint32_t i = 0; i < view->series_count && status == KVTEL_OK; i++) {
        const struct kvtel_layout_family *family = &view->families[view->series[i].family];
        if (family->type == KVTEL_HISTOGRAM)
            series[i].layout =
                kvtel_bins_get(&layouts, family->bound_count > 0 ? view->bounds + family->bounds_at : NULL,
                               family->bound_count, family->exponential_first, family->exponential_count);
        status =
            family->type == KVTEL_HISTOGRAM && !series[i].layout ? KVTEL_E_NOMEM : fill(totals, i, &arena, &series[i]);
    }
    if (status == KVTEL_OK)
        status = kvtel_source_set(&totals->source, series, view->series_count);
    free(series);
    kvtel_arena_free(&arena);
    kvtel_bins_free(layouts);
    return status;
}

enum kvtel_status totals_follow(struct totals *totals, struct kvtel_followed *followed)
{
    *followed = (struct kvtel_followed){ .source = &totals->source, .view = shown_view(totals) };
    return totals->source.valid ? KVTEL_OK : fill_all(totals, &followed->view);
}
