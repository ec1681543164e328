/* SPDX-License-Identifier: Apache-2.0 */
/* A page in pieces: for each family a head in each format, and blocks of series. A block is the least that is written
 * again. */
#include "exposition/page.h"

#include "base/buffer.h"
#include "collect/catalog.h"
#include "collect/series.h"
#include "exposition/exposition.h"
#include "exposition/text.h"

#include <stdlib.h>

/* A block takes series up to this size. Smaller ones are less to write again, larger ones are less to look after. */
enum { BLOCK_BYTES = 32 << 10 };

struct page_block {
    struct kvtel_buffer text;
    size_t first, count; /* series of the family */
    uint32_t *ends;      /* where the text of each ends */
    bool differs;        /* OpenMetrics has more lines: they are written for each reader, as few series have them */
};

struct kvtel_page_family {
    struct kvtel_page_choice choice;
    struct kvtel_snapshot_family shown;
    struct kvtel_family_text text;
    struct kvtel_buffer heads[KVTEL_PAGE_FORMATS];
    struct page_block *blocks;
    size_t block_count, block_room;
};

static void free_family(struct kvtel_page_family *family)
{
    for (size_t i = 0; i < KVTEL_PAGE_FORMATS; i++)
        kvtel_buffer_free(&family->heads[i]);
    for (size_t i = 0; i < family->block_count; i++) {
        kvtel_buffer_free(&family->blocks[i].text);
        free(family->blocks[i].ends);
    }
    free(family->blocks);
    kvtel_family_text_free(&family->text);
    *family = (struct kvtel_page_family){ 0 };
}

static void empty(struct kvtel_page *page)
{
    for (size_t i = 0; i < page->family_count; i++)
        free_family(&page->families[i]);
    page->family_count = 0;
    page->valid = false;
}

void kvtel_page_free(struct kvtel_page *page)
{
    empty(page);
    free(page->families);
    kvtel_buffer_free(&page->scratch);
    *page = (struct kvtel_page){ 0 };
}

/* Copies a text into memory of about its size. */
static enum kvtel_status set_text(struct kvtel_buffer *into, const struct kvtel_buffer *text)
{
    if (into->capacity < text->size) {
        size_t room = text->size + text->size / 16;
        char *bytes = malloc(room);
        if (!bytes)
            return KVTEL_E_NOMEM;
        free(into->bytes);
        *into = (struct kvtel_buffer){ .bytes = bytes, .capacity = room };
    }
    into->size = 0;
    return kvtel_buffer_append(into, text->bytes, text->size);
}

/* -- Building anew -- */

static enum kvtel_status add_heads(struct kvtel_page *page, struct kvtel_page_family *family)
{
    enum kvtel_status status = KVTEL_OK;
    for (int format = 0; format < KVTEL_PAGE_FORMATS && status == KVTEL_OK; format++) {
        page->scratch.size = 0;
        status = kvtel_text_head(&family->shown, format == KVTEL_FORMAT_OPENMETRICS, &page->scratch);
        if (status == KVTEL_OK)
            status = set_text(&family->heads[format], &page->scratch);
    }
    return status;
}

static struct page_block *append_block(struct kvtel_page_family *family, size_t first)
{
    if (family->block_count == family->block_room) {
        size_t room = family->block_room ? family->block_room * 2 : 1;
        struct page_block *larger = realloc(family->blocks, room * sizeof *larger);
        if (!larger)
            return NULL;
        family->blocks = larger;
        family->block_room = room;
    }
    family->blocks[family->block_count] = (struct page_block){ .first = first };
    return &family->blocks[family->block_count++];
}

/* Makes the block that begins with the series `first`. Returns the series behind it; 0: no memory. */
static size_t add_block(struct kvtel_page *page, struct kvtel_page_family *family, size_t first)
{
    struct page_block *block = append_block(family, first);
    size_t room = 0, end = first;
    page->scratch.size = 0;
    while (block && end < family->shown.series_count && page->scratch.size < BLOCK_BYTES) {
        if (block->count == room) {
            room = room ? room * 2 : 16;
            uint32_t *ends = realloc(block->ends, room * sizeof *ends);
            if (!ends)
                return 0;
            block->ends = ends;
        }
        if (kvtel_text_series(&family->text, &family->shown.series[end], &page->scratch) != KVTEL_OK ||
            page->scratch.size > UINT32_MAX)
            return 0;
        block->ends[block->count++] = (uint32_t)page->scratch.size;
        block->differs |= kvtel_openmetrics_differs(&family->shown, &family->shown.series[end], page->created);
        end++;
    }
    return block && set_text(&block->text, &page->scratch) == KVTEL_OK ? end : 0;
}

static enum kvtel_status add_family(struct kvtel_page *page, const struct kvtel_snapshot_family *of,
                                    const struct kvtel_page_choice *choice)
{
    struct kvtel_page_family *family = &page->families[page->family_count++];
    *family = (struct kvtel_page_family){ .choice = *choice, .shown = *of };
    if (*choice->name)
        family->shown.name = family->choice.name;
    if (!choice->shown)
        return KVTEL_OK;
    enum kvtel_status status = kvtel_family_text_init(&family->text, &family->shown);
    if (status == KVTEL_OK)
        status = add_heads(page, family);
    for (size_t i = 0; i < family->shown.series_count && status == KVTEL_OK;)
        if ((i = add_block(page, family, i)) == 0)
            status = KVTEL_E_NOMEM;
    return status;
}

static enum kvtel_status build(struct kvtel_page *page, const struct kvtel_snapshot *snapshot,
                               kvtel_page_choose_fn choose, void *context)
{
    size_t count = kvtel_snapshot_family_count(snapshot);
    empty(page);
    if (count > page->family_room) {
        struct kvtel_page_family *larger = realloc(page->families, count * sizeof *larger);
        if (!larger)
            return KVTEL_E_NOMEM;
        page->families = larger;
        page->family_room = count;
    }
    for (size_t i = 0; i < count; i++) {
        struct kvtel_page_choice choice = { .shown = true };
        choose(context, kvtel_snapshot_family(snapshot, i), &choice);
        if (add_family(page, kvtel_snapshot_family(snapshot, i), &choice) != KVTEL_OK) {
            empty(page);
            return KVTEL_E_NOMEM;
        }
    }
    return KVTEL_OK;
}

/* -- Refreshing -- */

/* Whether the page has the families and series of the snapshot, each as it is to be shown. */
static bool is_current(const struct kvtel_page *page, const struct kvtel_snapshot *snapshot,
                       kvtel_page_choose_fn choose, void *context)
{
    if (!page->valid || page->structure != kvtel_snapshot_structure(snapshot))
        return false;
    for (size_t i = 0; i < page->family_count; i++) {
        const struct kvtel_page_choice *known = &page->families[i].choice;
        struct kvtel_page_choice choice = { .shown = true };
        choose(context, kvtel_snapshot_family(snapshot, i), &choice);
        if (choice.shown != known->shown || strcmp(choice.name, known->name) != 0)
            return false;
    }
    return true;
}

/* Writes a block again if a series of it changed; the text of those that did not is copied. */
static enum kvtel_status refresh_block(struct kvtel_page *page, const struct kvtel_page_family *family,
                                       struct page_block *block)
{
    const struct kvtel_snapshot_series *series = family->shown.series + block->first;
    size_t i = 0;
    while (i < block->count && series[i].changed <= page->state)
        i++;
    if (i == block->count)
        return KVTEL_OK;
    enum kvtel_status status = KVTEL_OK;
    page->scratch.size = 0;
    size_t from = 0; /* where the text of series i begins */
    for (i = 0; i < block->count && status == KVTEL_OK; i++) {
        size_t end = block->ends[i];
        status = series[i].changed > page->state
                     ? kvtel_text_series(&family->text, &series[i], &page->scratch)
                     : kvtel_buffer_append(&page->scratch, block->text.bytes + from, end - from);
        if (page->scratch.size > UINT32_MAX)
            return KVTEL_E_NOMEM;
        block->differs |= kvtel_openmetrics_differs(&family->shown, &series[i], page->created);
        block->ends[i] = (uint32_t)page->scratch.size;
        from = end;
    }
    return status == KVTEL_OK ? set_text(&block->text, &page->scratch) : status;
}

static enum kvtel_status refresh(struct kvtel_page *page)
{
    for (size_t i = 0; i < page->family_count; i++) {
        struct kvtel_page_family *family = &page->families[i];
        for (size_t k = 0; k < family->block_count; k++)
            if (refresh_block(page, family, &family->blocks[k]) != KVTEL_OK)
                return KVTEL_E_NOMEM;
    }
    return KVTEL_OK;
}

enum kvtel_status kvtel_page_refresh(struct kvtel_page *page, const struct kvtel_snapshot *snapshot,
                                     kvtel_page_choose_fn choose, void *context)
{
    bool current = is_current(page, snapshot, choose, context);
    enum kvtel_status status = current ? refresh(page) : build(page, snapshot, choose, context);
    if (status != KVTEL_OK) {
        empty(page);
        return status;
    }
    page->structure = kvtel_snapshot_structure(snapshot);
    page->state = kvtel_snapshot_state(snapshot);
    page->valid = true;
    return KVTEL_OK;
}

/* -- Writing -- */

static size_t size_of(const struct kvtel_page *page, enum kvtel_exposition_format format)
{
    size_t size = 0;
    for (size_t i = 0; i < page->family_count; i++) {
        const struct kvtel_page_family *family = &page->families[i];
        size += family->heads[format].size;
        for (size_t k = 0; k < family->block_count; k++)
            size += family->blocks[k].text.size;
    }
    return size;
}

/* Writes a block in OpenMetrics where its lines differ from those of the text. */
static enum kvtel_status write_apart(const struct kvtel_page *page, const struct kvtel_page_family *family,
                                     const struct page_block *block, struct kvtel_buffer *buffer)
{
    enum kvtel_status status = KVTEL_OK;
    for (size_t i = 0; i < block->count && status == KVTEL_OK; i++)
        status =
            kvtel_openmetrics_series(&family->text, &family->shown.series[block->first + i], page->created, buffer);
    return status;
}

enum kvtel_status kvtel_page_write(const struct kvtel_page *page, enum kvtel_exposition_format format,
                                   struct kvtel_buffer *buffer)
{
    enum { END_MOST = 16 };
    enum kvtel_status status = kvtel_buffer_reserve(buffer, size_of(page, format) + END_MOST);
    if (status != KVTEL_OK)
        return status;
    const size_t before = buffer->size;
    for (size_t i = 0; i < page->family_count && status == KVTEL_OK; i++) {
        const struct kvtel_page_family *family = &page->families[i];
        status = kvtel_buffer_append(buffer, family->heads[format].bytes, family->heads[format].size);
        for (size_t k = 0; k < family->block_count && status == KVTEL_OK; k++) {
            const struct page_block *block = &family->blocks[k];
            status = format == KVTEL_FORMAT_OPENMETRICS && block->differs
                         ? write_apart(page, family, block, buffer)
                         : kvtel_buffer_append(buffer, block->text.bytes, block->text.size);
        }
    }
    if (status == KVTEL_OK)
        status = kvtel_exposition_end(format, buffer);
    if (status != KVTEL_OK)
        buffer->size = before;
    return status;
}
