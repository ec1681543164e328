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
/* Memory in which a block is written again: its text, and what is reserved for the longest form of its last series. */
enum { BLOCK_ROOM = BLOCK_BYTES + (8 << 10) };
/* Smaller pieces are packed worse: of 16 KiB by 15 %, of this size not measurably. */
enum { PIECE_BYTES = 128 << 10 };
enum { END_MOST = 16 };

struct page_block {
    struct kvtel_buffer text;
    size_t first, count; /* series of the family */
    uint32_t *ends;      /* where the text of each ends */
    bool differs;        /* OpenMetrics has more lines: they are written for each reader, as few series have them */
    uint64_t written;    /* page->writes when the text was made */
};

/* A block of a family. The family's head stands before its first block, also if it has no series. */
struct kvtel_page_place {
    size_t family, block;
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
    page->family_count = page->piece_count = 0;
    page->valid = false;
}

void kvtel_page_free(struct kvtel_page *page)
{
    empty(page);
    free(page->families);
    free(page->pieces);
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

/* Makes room in the scratch memory, no more than a block takes: the block may keep it. */
static enum kvtel_status reserve_block(struct kvtel_page *page)
{
    page->scratch.size = 0;
    if (page->scratch.capacity >= BLOCK_ROOM)
        return KVTEL_OK;
    char *bytes = malloc(BLOCK_ROOM);
    if (!bytes)
        return KVTEL_E_NOMEM;
    free(page->scratch.bytes);
    page->scratch = (struct kvtel_buffer){ .bytes = bytes, .capacity = BLOCK_ROOM };
    return KVTEL_OK;
}

/* Replaces a block's text by the scratch memory, whose place its old memory takes, so that the text is not copied. It
 * is copied where the block would keep much more memory than its text takes. */
static enum kvtel_status take_text(struct kvtel_page *page, struct page_block *block)
{
    if (page->scratch.capacity > BLOCK_ROOM || page->scratch.size < BLOCK_BYTES)
        return set_text(&block->text, &page->scratch);
    const struct kvtel_buffer old = block->text;
    block->text = page->scratch;
    page->scratch = old;
    return KVTEL_OK;
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
    if (!block || set_text(&block->text, &page->scratch) != KVTEL_OK)
        return 0;
    block->written = page->writes;
    return end;
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

/* Goes on to the next block. */
static void advance(const struct kvtel_page *page, struct kvtel_page_place *place)
{
    if (++place->block >= page->families[place->family].block_count)
        *place = (struct kvtel_page_place){ place->family + 1, 0 };
}

/* The head that stands before a block, in any format; NULL: none does. */
static const struct kvtel_buffer *head_at(const struct kvtel_page *page, const struct kvtel_page_place *place,
                                          enum kvtel_exposition_format format)
{
    return place->block == 0 ? &page->families[place->family].heads[format] : NULL;
}

/* The block; NULL: the family has no series. */
static const struct page_block *block_at(const struct kvtel_page *page, const struct kvtel_page_place *place)
{
    const struct kvtel_page_family *family = &page->families[place->family];
    return place->block < family->block_count ? &family->blocks[place->block] : NULL;
}

static bool is_before(const struct kvtel_page_place *place, const struct kvtel_page_place *end)
{
    return place->family < end->family || (place->family == end->family && place->block < end->block);
}

/* Size of a block with the head before it. */
static size_t size_at(const struct kvtel_page *page, const struct kvtel_page_place *place,
                      enum kvtel_exposition_format format)
{
    const struct kvtel_buffer *head = head_at(page, place, format);
    const struct page_block *block = block_at(page, place);
    return (head ? head->size : 0) + (block ? block->text.size : 0);
}

static bool append_place(struct kvtel_page *page, size_t count, const struct kvtel_page_place *place)
{
    if (count == page->piece_room) {
        size_t room = page->piece_room ? page->piece_room * 2 : 16;
        struct kvtel_page_place *larger = realloc(page->pieces, room * sizeof *larger);
        if (!larger)
            return false;
        page->pieces = larger;
        page->piece_room = room;
    }
    page->pieces[count] = *place;
    return true;
}

/* Cuts the page into pieces. */
static enum kvtel_status cut(struct kvtel_page *page)
{
    const struct kvtel_page_place end = { page->family_count, 0 };
    struct kvtel_page_place place = { 0, 0 };
    size_t count = 0, size = PIECE_BYTES;
    for (; is_before(&place, &end); advance(page, &place)) {
        if (size >= PIECE_BYTES) {
            if (!append_place(page, count, &place))
                return KVTEL_E_NOMEM;
            count++;
            size = 0;
        }
        size += size_at(page, &place, KVTEL_FORMAT_TEXT);
    }
    if (!append_place(page, count, &end))
        return KVTEL_E_NOMEM;
    page->piece_count = count;
    page->built++;
    return KVTEL_OK;
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
    return cut(page);
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
    enum kvtel_status status = reserve_block(page);
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
    block->written = page->writes;
    return status == KVTEL_OK ? take_text(page, block) : status;
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
    page->writes++;
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

size_t kvtel_page_size(const struct kvtel_page *page, enum kvtel_exposition_format format)
{
    size_t size = format == KVTEL_FORMAT_OPENMETRICS ? sizeof "# EOF" : 0;
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

uint64_t kvtel_page_piece_state(const struct kvtel_page *page, size_t piece)
{
    uint64_t state = 0;
    for (struct kvtel_page_place at = page->pieces[piece]; is_before(&at, &page->pieces[piece + 1]);
         advance(page, &at)) {
        const struct page_block *block = block_at(page, &at);
        state = block && block->written > state ? block->written : state;
    }
    return state;
}

/* Appends what stands from one place to another. On failure `buffer` is unchanged. */
static enum kvtel_status write_places(const struct kvtel_page *page, struct kvtel_page_place at,
                                      const struct kvtel_page_place *end, enum kvtel_exposition_format format,
                                      struct kvtel_buffer *buffer)
{
    const size_t before = buffer->size;
    enum kvtel_status status = KVTEL_OK;
    for (; is_before(&at, end) && status == KVTEL_OK; advance(page, &at)) {
        const struct kvtel_buffer *head = head_at(page, &at, format);
        const struct page_block *block = block_at(page, &at);
        if (head)
            status = kvtel_buffer_append(buffer, head->bytes, head->size);
        if (status != KVTEL_OK || !block)
            continue;
        status = format == KVTEL_FORMAT_OPENMETRICS && block->differs
                     ? write_apart(page, &page->families[at.family], block, buffer)
                     : kvtel_buffer_append(buffer, block->text.bytes, block->text.size);
    }
    if (status == KVTEL_OK && end->family == page->family_count)
        status = kvtel_exposition_end(format, buffer);
    if (status != KVTEL_OK)
        buffer->size = before;
    return status;
}

enum kvtel_status kvtel_page_piece_write(const struct kvtel_page *page, size_t piece,
                                         enum kvtel_exposition_format format, struct kvtel_buffer *buffer)
{
    const struct kvtel_page_place *end = &page->pieces[piece + 1];
    size_t size = END_MOST;
    for (struct kvtel_page_place at = page->pieces[piece]; is_before(&at, end); advance(page, &at))
        size += size_at(page, &at, format);
    enum kvtel_status status = kvtel_buffer_reserve(buffer, size);
    return status == KVTEL_OK ? write_places(page, page->pieces[piece], end, format, buffer) : status;
}

enum kvtel_status kvtel_page_write(const struct kvtel_page *page, enum kvtel_exposition_format format,
                                   struct kvtel_buffer *buffer)
{
    enum kvtel_status status = kvtel_buffer_reserve(buffer, kvtel_page_size(page, format) + END_MOST);
    if (status != KVTEL_OK)
        return status;
    return write_places(page, (struct kvtel_page_place){ 0, 0 }, &(struct kvtel_page_place){ page->family_count, 0 },
                        format, buffer);
}
