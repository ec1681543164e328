/* SPDX-License-Identifier: Apache-2.0 */
/* The history's file. A history is lost rather than wrong: whatever does not fit together refuses the whole file. */
#include "history/state.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "base/buffer.h"
#include "base/error.h"

enum { MEASURES = 63 }; /* all bits of enum history_measure */

/* -- Writing -- */

static void put(struct kvtel_buffer *buffer, enum kvtel_status *status, const void *bytes, size_t size)
{
    if (*status == KVTEL_OK)
        *status = kvtel_buffer_append(buffer, bytes, size);
}

static void put_text(struct kvtel_buffer *buffer, enum kvtel_status *status, const char *text)
{
    put(buffer, status, text, strlen(text) + 1);
}

static void put_entry(struct kvtel_buffer *names, enum kvtel_status *status, uint32_t number,
                      const struct history_entry *entry)
{
    history_put_number(names, status, number + 1);
    put_text(names, status, entry->connector);
    put_text(names, status, entry->model);
    put_text(names, status, entry->engine);
    history_put_number(names, status, entry->flow_count);
    for (uint32_t i = 0; i < entry->flow_count; i++) {
        history_put_number(names, status, entry->flows[i].measures);
        put_text(names, status, entry->flows[i].name);
    }
    history_put_number(names, status, entry->class_count);
    for (uint32_t i = 0; i < entry->class_count; i++)
        put_text(names, status, entry->classes[i].name);
}

/* What precedes the bytes of each point, and the places where one's ends. */
struct heads {
    struct kvtel_buffer bytes;
    size_t ends[HISTORY_POINTS];
};

static void put_heads(const struct history *history, struct heads *heads, enum kvtel_status *status)
{
    for (size_t i = 0; i < history->count; i++) {
        const struct history_point *point = &history->points[i];
        history_put_number(&heads->bytes, status, (uint64_t)(point->end * 1e3 + 0.5));
        history_put_number(&heads->bytes, status, (uint64_t)(point->seconds * 1e3));
        history_put_number(&heads->bytes, status, point->size);
        heads->ends[i] = heads->bytes.size;
    }
}

static uint32_t checksum_of(const struct iovec *pieces, size_t count)
{
    uLong sum = crc32_z(0, NULL, 0);
    for (size_t i = 0; i < count; i++)
        sum = crc32_z(sum, pieces[i].iov_base, pieces[i].iov_len);
    return (uint32_t)sum;
}

/* Writes all pieces, and their checksum. */
static enum kvtel_status replace(struct history *history, const char *dir, struct iovec *pieces, size_t count,
                                 struct kvtel_error *error)
{
    struct totals_identity file;
    uint32_t checksum = checksum_of(pieces, count);
    pieces[count++] = (struct iovec){ .iov_base = &checksum, .iov_len = sizeof checksum };
    struct kvtel_error why = { 0 };
    enum kvtel_status status = totals_file_replace(dir, HISTORY_NAME_OF_FILE, "the history cannot be written", pieces,
                                                   count, &history->reserve, &file, &why);
    if (status == KVTEL_OK)
        return status;
    totals_reserve_free(&history->reserve);
    char path[TOTALS_PATH];
    if ((why.system_error == ENOSPC || why.system_error == EDQUOT) &&
        snprintf(path, sizeof path, "%s/" HISTORY_NAME_OF_FILE, dir) < (int)sizeof path)
        (void)unlink(path);
    if (error)
        *error = why;
    return status;
}

static enum kvtel_status save(struct history *history, const char *dir, struct heads *heads, struct kvtel_buffer *names,
                              struct kvtel_error *error)
{
    enum kvtel_status status = KVTEL_OK;
    struct history_header header = { .magic = HISTORY_MAGIC,
                                     .order = HISTORY_ORDER,
                                     .version = HISTORY_VERSION,
                                     .point_count = (uint32_t)history->count };
    for (uint32_t i = 0; i < history->entries.used; i++) {
        const struct history_entry *entry = &history->entries.all[i];
        if (!entry->connector)
            continue;
        header.entry_count++;
        put_entry(names, &status, i, entry);
    }
    put_heads(history, heads, &status);
    if (status != KVTEL_OK)
        return kvtel_fail(error, status, 0, "%s", kvtel_status_text(status));
    struct iovec pieces[2 * HISTORY_POINTS + 3] = { { &header, sizeof header }, { names->bytes, names->size } };
    size_t count = 2;
    for (size_t i = 0; i < history->count; i++) {
        const size_t begin = i > 0 ? heads->ends[i - 1] : 0;
        pieces[count++] = (struct iovec){ heads->bytes.bytes + begin, heads->ends[i] - begin };
        pieces[count++] = (struct iovec){ history->points[i].block->bytes, history->points[i].size };
    }
    header.size = sizeof(uint32_t);
    for (size_t i = 0; i < count; i++)
        header.size += pieces[i].iov_len;
    return header.entry_count > 0 && history->count > 0 ? replace(history, dir, pieces, count, error) : KVTEL_OK;
}

enum kvtel_status history_save(struct history *history, const char *dir, struct kvtel_error *error)
{
    struct heads heads = { 0 };
    struct kvtel_buffer names = { 0 };
    pthread_mutex_lock(&history->lock);
    enum kvtel_status status = save(history, dir, &heads, &names, error);
    pthread_mutex_unlock(&history->lock);
    kvtel_buffer_free(&heads.bytes);
    kvtel_buffer_free(&names);
    return status;
}

/* -- Reading -- */

static const char *take_text(struct history_bytes *bytes)
{
    const uint8_t *end = memchr(bytes->at, 0, (size_t)(bytes->end - bytes->at));
    const char *text = (const char *)bytes->at;
    if (!end || end - bytes->at > HISTORY_NAME)
        return NULL;
    bytes->at = end + 1;
    return text;
}

static enum kvtel_status load_flows(struct history *history, struct history_entry *entry, struct history_bytes *bytes)
{
    uint64_t count, measures;
    uint32_t number;
    bool made = true;
    if (!history_take_number(bytes, &count) || count > HISTORY_FLOWS)
        return KVTEL_E_FORMAT;
    for (uint64_t i = 0; i < count; i++) {
        const char *name = history_take_number(bytes, &measures) && measures <= MEASURES ? take_text(bytes) : NULL;
        if (!name)
            return KVTEL_E_FORMAT;
        enum kvtel_status status = history_flow_find(&history->entries, entry, name, &number, &made);
        if (status != KVTEL_OK || !made)
            return status == KVTEL_E_NOMEM ? status : KVTEL_E_FORMAT;
        entry->flows[number].measures = (unsigned)measures;
    }
    if (!history_take_number(bytes, &count) || count > HISTORY_CLASSES)
        return KVTEL_E_FORMAT;
    for (uint64_t i = 0; i < count; i++) {
        const char *name = take_text(bytes);
        enum kvtel_status status =
            name ? history_class_find(&history->entries, entry, name, &number, &made) : KVTEL_E_FORMAT;
        if (status != KVTEL_OK || !made)
            return status == KVTEL_E_NOMEM ? status : KVTEL_E_FORMAT;
    }
    return KVTEL_OK;
}

/* Entries are made in the order of their numbers, with free numbers between them where the file has none. */
static enum kvtel_status load_entry(struct history *history, struct history_bytes *bytes, uint32_t *last)
{
    struct history_entries *entries = &history->entries;
    uint64_t key;
    uint32_t number;
    if (!history_take_number(bytes, &key) || key <= *last || key > HISTORY_ENTRIES)
        return KVTEL_E_FORMAT;
    const char *connector = take_text(bytes), *model = connector ? take_text(bytes) : NULL,
               *engine = model ? take_text(bytes) : NULL;
    const struct history_name name = { connector, model, engine, .is_rest = key > HISTORY_OWN };
    if (!engine || history_entry_find(entries, &name, 0) != HISTORY_ENTRIES)
        return KVTEL_E_FORMAT;
    enum kvtel_status status = history_entry_make(entries, &name, -INFINITY, &number);
    if (status != KVTEL_OK)
        return status == KVTEL_E_NOMEM ? status : KVTEL_E_FORMAT;
    if (number + 1 != key) { /* the first free number was taken */
        entries->all[key - 1] = entries->all[number];
        entries->all[number] = (struct history_entry){ 0 };
        entries->used = (uint32_t)key;
    }
    *last = (uint32_t)key;
    return load_flows(history, &entries->all[key - 1], bytes);
}

/* Whether all that a point names is there. */
static bool is_point(const struct history *history, struct history_bytes bytes, double end)
{
    struct history_growth growth;
    for (uint64_t key = 0;;) {
        if (!history_take_key(&bytes, HISTORY_ENTRIES, &key))
            return false;
        if (key == 0)
            return bytes.at == bytes.end;
        if (key > history->entries.used || !history->entries.all[key - 1].connector ||
            !history_take_growth(&bytes, &growth))
            return false;
        struct history_entry *entry = &history->entries.all[key - 1];
        for (uint32_t i = entry->flow_count; i < HISTORY_FLOWS; i++)
            if (growth.flows[i].is_there)
                return false;
        for (uint32_t i = entry->class_count; i < HISTORY_CLASSES; i++)
            if (growth.failures[i] > 0)
                return false;
        entry->last_seen = end;
    }
}

static enum kvtel_status load_points(struct history *history, struct history_bytes bytes, uint32_t count)
{
    double last = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t end, covered, size;
        if (!history_take_number(&bytes, &end) || !history_take_number(&bytes, &covered) ||
            !history_take_number(&bytes, &size) || size == 0 || size > (uint64_t)(bytes.end - bytes.at))
            return KVTEL_E_FORMAT;
        const double seconds = (double)end / 1e3;
        const struct history_bytes point = { bytes.at, bytes.at + size };
        if (!(seconds > last) || (double)covered / 1e3 > seconds || !is_point(history, point, seconds))
            return KVTEL_E_FORMAT;
        if (history_point_add(history, seconds, (double)covered / 1e3, point.at, (size_t)size) != KVTEL_OK)
            return KVTEL_E_NOMEM;
        last = seconds;
        bytes.at += size;
    }
    return bytes.at == bytes.end ? KVTEL_OK : KVTEL_E_FORMAT;
}

static enum kvtel_status decode(struct history *history, const struct kvtel_buffer *bytes, struct kvtel_error *error)
{
    struct history_header header;
    uint32_t checksum, last = 0;
    if (bytes->size < sizeof header + sizeof checksum)
        return kvtel_fail(error, KVTEL_E_TRUNCATED, bytes->size, "it is too short");
    const size_t end = bytes->size - sizeof checksum;
    memcpy(&header, bytes->bytes, sizeof header);
    memcpy(&checksum, bytes->bytes + end, sizeof checksum);
    if (memcmp(header.magic, HISTORY_MAGIC, sizeof header.magic) != 0 || header.order != HISTORY_ORDER)
        return kvtel_fail(error, KVTEL_E_FORMAT, 0, "it is not a history of this kind of machine");
    if (header.version != HISTORY_VERSION)
        return kvtel_fail(error, KVTEL_E_FORMAT, 16, "it is of version %u", (unsigned)header.version);
    if (header.size != bytes->size)
        return kvtel_fail(error, KVTEL_E_TRUNCATED, 32, "it is not as long as it says");
    const struct iovec all = { bytes->bytes, end };
    if (checksum_of(&all, 1) != checksum)
        return kvtel_fail(error, KVTEL_E_FORMAT, end, "its checksum is wrong");
    struct history_bytes rest = { (const uint8_t *)bytes->bytes + sizeof header, (const uint8_t *)bytes->bytes + end };
    enum kvtel_status status =
        header.entry_count > HISTORY_ENTRIES || header.point_count > HISTORY_POINTS ? KVTEL_E_FORMAT : KVTEL_OK;
    for (uint32_t i = 0; i < header.entry_count && status == KVTEL_OK; i++)
        status = load_entry(history, &rest, &last);
    if (status == KVTEL_OK)
        status = load_points(history, rest, header.point_count);
    if (status == KVTEL_OK)
        return status;
    return kvtel_fail(error, status, 0, "%s",
                      status == KVTEL_E_NOMEM ? kvtel_status_text(status) : "it contradicts itself");
}

enum kvtel_status history_load(struct history *history, const char *dir, double time, struct kvtel_error *error)
{
    struct kvtel_buffer bytes = { 0 };
    struct totals_identity file;
    enum kvtel_status status = totals_file_read_bytes(dir, HISTORY_NAME_OF_FILE, HISTORY_MEMORY, &bytes, &file, error);
    if (status == KVTEL_OK && file.inode != 0) {
        pthread_mutex_lock(&history->lock);
        history_forget(history);
        status = decode(history, &bytes, error);
        if (status == KVTEL_OK)
            history_age(history, time);
        else
            history_forget(history);
        pthread_mutex_unlock(&history->lock);
    }
    kvtel_buffer_free(&bytes);
    return status;
}
