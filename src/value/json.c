/* SPDX-License-Identifier: Apache-2.0 */
/* JSON: jansson parses a tree, which is converted into a struct kvtel_value. */
#include <jansson.h>
#include <limits.h>
#include <locale.h>
#include <string.h>

#include "base/buffer.h"
#include "base/error.h"
#include "value/codec.h"
#include "value/scan.h"

static enum kvtel_status convert(const json_t *json, unsigned depth, struct kvtel_arena *arena,
                                 struct kvtel_value *value);

/* jansson's iterators do not accept const. */
static json_t *mutable(const json_t *json)
{
    return (json_t *)(uintptr_t)json;
}

static struct kvtel_value *allocate_items(struct kvtel_arena *arena, size_t count)
{
    return count <= SIZE_MAX / sizeof(struct kvtel_value) ? kvtel_arena_alloc(arena, count * sizeof(struct kvtel_value))
                                                          : NULL;
}

static enum kvtel_status convert_array(const json_t *json, unsigned depth, struct kvtel_arena *arena,
                                       struct kvtel_value *value)
{
    size_t count = json_array_size(json);
    struct kvtel_value *items = allocate_items(arena, count);
    if (!items)
        return KVTEL_E_NOMEM;
    for (size_t i = 0; i < count; i++) {
        enum kvtel_status status = convert(json_array_get(json, i), depth, arena, &items[i]);
        if (status != KVTEL_OK)
            return status;
    }
    *value = (struct kvtel_value){ .kind = KVTEL_VALUE_ARRAY, .size = (uint32_t)count, .items = items };
    return KVTEL_OK;
}

static enum kvtel_status convert_object(const json_t *json, unsigned depth, struct kvtel_arena *arena,
                                        struct kvtel_value *value)
{
    size_t count = json_object_size(json);
    struct kvtel_value *items = allocate_items(arena, 2 * count);
    if (!items)
        return KVTEL_E_NOMEM;
    struct kvtel_value *pair = items;
    for (void *at = json_object_iter(mutable(json)); at; at = json_object_iter_next(mutable(json), at), pair += 2) {
        if (!kvtel_value_set_string(&pair[0], arena, json_object_iter_key(at), json_object_iter_key_len(at)))
            return KVTEL_E_NOMEM;
        enum kvtel_status status = convert(json_object_iter_value(at), depth, arena, &pair[1]);
        if (status != KVTEL_OK)
            return status;
    }
    *value = (struct kvtel_value){ .kind = KVTEL_VALUE_MAP, .size = (uint32_t)count, .items = items };
    return KVTEL_OK;
}

/* Converts a value. `depth`: number of containers around it. */
static enum kvtel_status convert(const json_t *json, unsigned depth, struct kvtel_arena *arena,
                                 struct kvtel_value *value)
{
    switch (json_typeof(json)) {
    case JSON_OBJECT:
        return depth < KVTEL_VALUE_DEPTH ? convert_object(json, depth + 1, arena, value) : KVTEL_E_DEPTH;
    case JSON_ARRAY:
        return depth < KVTEL_VALUE_DEPTH ? convert_array(json, depth + 1, arena, value) : KVTEL_E_DEPTH;
    case JSON_STRING:
        return kvtel_value_set_string(value, arena, json_string_value(json), json_string_length(json)) ? KVTEL_OK
                                                                                                       : KVTEL_E_NOMEM;
    case JSON_INTEGER:
        *value = (struct kvtel_value){ .kind = KVTEL_VALUE_INTEGER, .integer = json_integer_value(json) };
        break;
    case JSON_REAL:
        *value = (struct kvtel_value){ .kind = KVTEL_VALUE_DOUBLE, .number = json_real_value(json) };
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        *value = (struct kvtel_value){ .kind = KVTEL_VALUE_BOOL, .integer = json_is_true(json) };
        break;
    case JSON_NULL:
        *value = (struct kvtel_value){ .kind = KVTEL_VALUE_NIL };
        break;
    }
    return KVTEL_OK;
}

/* jansson stops behind the token that it refuses and quotes the token. Returns where the token begins; for a string,
 * the last byte read. */
static size_t refused_at(const json_error_t *failure)
{
    size_t offset = (size_t)failure->position;
    const char *quoted = strstr(failure->text, " near '");
    if (!quoted || json_error_code(failure) == json_error_invalid_utf8)
        return offset;
    quoted += strlen(" near '");
    size_t length = strlen(quoted) - 1;
    bool inside_string = quoted[0] == '"' && (length < 2 || quoted[length - 1] != '"');
    size_t back = inside_string ? 1 : length;
    return back <= offset ? offset - back : offset;
}

static enum kvtel_status fail(const json_error_t *failure, size_t size, struct kvtel_error *error)
{
    switch (json_error_code(failure)) {
    case json_error_stack_overflow:
        return KVTEL_E_DEPTH; /* the caller finds the place */
    case json_error_end_of_input_expected:
        return kvtel_fail(error, KVTEL_E_TRAILING, refused_at(failure), "%s", failure->text);
    case json_error_premature_end_of_input:
        return kvtel_fail(error, KVTEL_E_TRUNCATED, size, "the JSON value is not complete");
    case json_error_out_of_memory:
        return kvtel_fail(error, KVTEL_E_NOMEM, 0, "out of memory");
    default:
        /* in some places jansson reports an allocation failure by an empty message */
        if (failure->text[0] == '\0')
            return kvtel_fail(error, KVTEL_E_NOMEM, 0, "out of memory");
        return kvtel_fail(error, KVTEL_E_SYNTAX, refused_at(failure), "%s", failure->text);
    }
}

/* jansson reads numbers in the thread's locale, and aborts if that locale's decimal point has several bytes. So the
 * text is read in the C locale, which in glibc needs no memory. */
static json_t *load_flags(const char *text, size_t size, size_t flags, json_error_t *failure)
{
    memset(failure, 0, sizeof(*failure));
    locale_t c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (c_locale == (locale_t)0)
        return NULL; /* leaves the message empty, as after an allocation failure */
    locale_t before = uselocale(c_locale);
    json_t *json = json_loadb(text, size, flags, failure);
    (void)uselocale(before);
    freelocale(c_locale);
    return json;
}

static json_t *load(const char *text, size_t size, json_error_t *failure)
{
    return load_flags(text, size, JSON_DECODE_ANY | JSON_ALLOW_NUL, failure);
}

/* Loads text with "e0" appended to each integer that does not fit int64_t, so that jansson reads a real. Places in
 * errors are those in `text`. */
static json_t *load_wide(const char *text, size_t size, json_error_t *failure)
{
    struct kvtel_buffer wide = { 0 };
    size_t at = 0, end;
    json_t *json = NULL;
    while (kvtel_json_wide_integer(text, size, at, &end)) {
        if (kvtel_buffer_append(&wide, text + at, end - at) != KVTEL_OK ||
            kvtel_buffer_append_text(&wide, "e0") != KVTEL_OK)
            goto no_memory;
        at = end;
    }
    if (kvtel_buffer_append(&wide, text + at, size - at) != KVTEL_OK || wide.size > INT_MAX)
        goto no_memory;
    json = load(wide.bytes, wide.size, failure);
    int inserted = 0;
    for (at = 0; kvtel_json_wide_integer(text, size, at, &end) && (int)end + inserted < failure->position; at = end)
        inserted += 2;
    failure->position -= inserted;
    kvtel_buffer_free(&wide);
    return json;

no_memory:
    kvtel_buffer_free(&wide);
    memset(failure, 0, sizeof(*failure));
    return NULL;
}

static enum kvtel_status check_size(const char *text, size_t size, size_t count, struct kvtel_error *error)
{
    if (size >= INT_MAX) /* jansson counts bytes in an int */
        return kvtel_fail(error, KVTEL_E_LIMIT, 0, "a JSON value of 2 GiB or more");
    size_t at = kvtel_json_too_many(text, size, count);
    if (at == size)
        return KVTEL_OK;
    kvtel_fail(error, KVTEL_E_LIMIT, at, KVTEL_TOO_MANY_VALUES, count);
    if (error)
        kvtel_error_place(error, text, size);
    return KVTEL_E_LIMIT;
}

/* Whether an odd number of backslashes stands before `at`. */
static bool is_escaped(const char *text, size_t at)
{
    bool escaped = false;
    while (at-- > 0 && text[at] == '\\')
        escaped = !escaped;
    return escaped;
}

bool kvtel_json_keys_differ(const char *text, size_t size, struct kvtel_error *error)
{
    json_error_t failure;
    json_t *json = load_flags(text, size, JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &failure);
    bool twice = !json && json_error_code(&failure) == json_error_duplicate_key;
    json_decref(json);
    if (!twice)
        return true;
    /* jansson's position is behind the key's closing quote */
    size_t end = (size_t)failure.position, at = end > 0 ? end - 1 : 0;
    do
        at -= at > 0;
    while (at > 0 && (text[at] != '"' || is_escaped(text, at)));
    kvtel_fail(error, KVTEL_E_TYPE, at, KVTEL_KEY_TWICE, "", (int)(end - at < 80 ? end - at : 80), text + at, "");
    kvtel_error_place(error, text, size);
    return false;
}

enum kvtel_status kvtel_json_decode(const char *text, size_t size, size_t count, struct kvtel_arena *arena,
                                    struct kvtel_value *value, struct kvtel_error *error)
{
    if (size == 0)
        text = "";
    enum kvtel_status fits = check_size(text, size, count, error);
    if (fits != KVTEL_OK)
        return fits;
    const char *nul =
        /* A NUL is refused here: behind a number jansson would ignore it, elsewhere it would end the text. */
        memchr(text, '\0', size);
    size_t length = nul ? (size_t)(nul - text) : size;
    json_error_t failure;
    json_t *json = load(text, length, &failure);
    if (!json && json_error_code(&failure) == json_error_numeric_overflow)
        json = load_wide(text, length, &failure);
    struct kvtel_value decoded;
    enum kvtel_status status;
    if (nul && (json || json_error_code(&failure) == json_error_premature_end_of_input))
        status = kvtel_fail(error, KVTEL_E_SYNTAX, length, "NUL byte");
    else if (!json)
        status = fail(&failure, length, error);
    else if ((status = convert(json, 0, arena, &decoded)) == KVTEL_OK)
        *value = decoded;
    else
        kvtel_fail(error, status, 0, "out of memory");
    json_decref(json);
    if (status == KVTEL_E_DEPTH)
        kvtel_fail(error, status, kvtel_json_too_deep(text, size), "nested more than %d levels deep",
                   KVTEL_VALUE_DEPTH);
    if (status != KVTEL_OK && error)
        kvtel_error_place(error, text, size);
    return status;
}
