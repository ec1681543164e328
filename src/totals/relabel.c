/* SPDX-License-Identifier: Apache-2.0 */
/* One more label on every series of a view. */
#include "totals/relabel.h"

#include "base/buffer.h"

static bool has_label(const char *text, uint32_t label_count, const char *name)
{
    text += strlen(text) + 1; /* the family's name */
    for (uint32_t i = 0; i < label_count; i++) {
        text += strlen(text) + 1;
        if (strcmp(text, name) == 0)
            return true;
    }
    return false;
}

/* Appends a record and its text. `more` (may be NULL) is appended to the text. */
static enum kvtel_status append(struct kvtel_relabel *relabel, const char *text, size_t size, const char *more,
                                struct kvtel_buffer *records, const void *record, size_t record_size)
{
    enum kvtel_status status = kvtel_buffer_append(&relabel->strings, text, size);
    if (status == KVTEL_OK && more)
        status = kvtel_buffer_append(&relabel->strings, more, strlen(more) + 1);
    return status == KVTEL_OK ? kvtel_buffer_append(records, record, record_size) : status;
}

static enum kvtel_status append_family(struct kvtel_relabel *relabel, const struct kvtel_view *view, uint32_t i)
{
    struct kvtel_layout_family family = view->families[i];
    const char *text = view->strings + family.text_at, *more = NULL;
    size_t size = family.text_size;
    if (family.label_count < KVTEL_LAYOUT_LABELS && !has_label(text, family.label_count, relabel->name)) {
        more = relabel->name;
        family.label_count++;
        family.text_size += (uint32_t)strlen(more) + 1;
    }
    family.text_at = relabel->strings.size;
    return append(relabel, text, size, more, &relabel->families, &family, sizeof family);
}

static enum kvtel_status append_series(struct kvtel_relabel *relabel, const struct kvtel_view *view, uint32_t i)
{
    const struct kvtel_layout_family *families = (const void *)relabel->families.bytes;
    struct kvtel_layout_series series = view->series[i];
    const char *text = view->strings + series.text_at, *more = NULL;
    size_t size = series.text_size;
    if (families[series.family].label_count > view->families[series.family].label_count) {
        more = relabel->value;
        series.text_size += (uint32_t)strlen(more) + 1;
    }
    series.text_at = relabel->strings.size;
    return append(relabel, text, size, more, &relabel->series, &series, sizeof series);
}

/* Takes over which series were removed since. */
static void follow_removed(struct kvtel_relabel *relabel, const struct kvtel_view *view)
{
    struct kvtel_layout_series *series = (void *)relabel->series.bytes;
    for (size_t i = 0; i < relabel->series.size / sizeof *series && i < view->series_count; i++)
        atomic_store_explicit(&series[i].removed, (uint32_t)kvtel_layout_is_removed(&view->series[i]),
                              memory_order_relaxed);
    relabel->removed_count = view->removed_count;
}

enum kvtel_status kvtel_relabel_view(void *context, struct kvtel_view *view)
{
    struct kvtel_relabel *relabel = context;
    enum kvtel_status status = KVTEL_OK;
    uint32_t families = (uint32_t)(relabel->families.size / sizeof *view->families);
    uint32_t series = (uint32_t)(relabel->series.size / sizeof *view->series);
    while (families < view->family_count && (status = append_family(relabel, view, families)) == KVTEL_OK)
        families++;
    while (status == KVTEL_OK && series < view->series_count &&
           (status = append_series(relabel, view, series)) == KVTEL_OK)
        series++;
    if (relabel->removed_count != view->removed_count)
        follow_removed(relabel, view);
    view->families = (const void *)relabel->families.bytes;
    view->series = (const void *)relabel->series.bytes;
    view->strings = relabel->strings.bytes;
    return status;
}

void kvtel_relabel_free(struct kvtel_relabel *relabel)
{
    kvtel_buffer_free(&relabel->families);
    kvtel_buffer_free(&relabel->series);
    kvtel_buffer_free(&relabel->strings);
}
