/* SPDX-License-Identifier: Apache-2.0 */
/* Converting payloads between Python objects and stats. */
#include "stats.h"

#include "connectors/learned.h"

#include <string.h>

/* --- The usual payload of a connector of columns: from Python's lists directly into columns. --- */

void kvtel_python_keys_close(struct kvtel_python_keys *keys)
{
    for (size_t i = 0; i < sizeof keys->places / sizeof *keys->places; i++) {
        PyObject *key = keys->places[i].key;
        keys->places[i].key = NULL;
        Py_XDECREF(key);
    }
}

/* Index of the field that the key at this place of a payload names; -1: unknown. Rarely called and not inlined, so
 * that the usual path keeps its registers. */
static __attribute__((noinline)) int find_field(struct kvtel_python_keys *keys, const struct kvtel_connector *table,
                                                size_t place, PyObject *key)
{
    PyObject *holder;
    if (!PyUnicode_Check(key) || Py_TYPE(key) != &PyUnicode_Type)
        return -1;
    const char *text = kvtel_python_text(key, &holder);
    if (!text) {
        (void)kvtel_python_is_wrong_value();
        return -1;
    }
    int field = kvtel_table_field_near(table, text, place);
    Py_DECREF(holder);
    if (field >= 0) {
        PyObject *old = keys->places[place].key;
        Py_INCREF(key);
        keys->places[place].key = key;
        keys->places[place].field = field;
        Py_XDECREF(old);
    }
    return field;
}

static bool fill_doubles(union kvtel_number *out, PyObject *list, PyObject *first, Py_ssize_t count,
                         const struct kvtel_number_range *range)
{
    const double least = range->least, most = range->most;
    PyObject *item = first;
    for (Py_ssize_t i = 0; item && Py_TYPE(item) == &PyFloat_Type; item = PyList_GetItem(list, i)) {
        double number = PyFloat_AsDouble(item);
        if (!(number >= least && number <= most))
            return false;
        out[i++].number = number;
        if (i == count)
            return true;
    }
    return false;
}

static bool fill_integers(union kvtel_number *out, PyObject *list, PyObject *first, Py_ssize_t count,
                          const struct kvtel_number_range *range)
{
    const int64_t least = range->least_integer, most = range->most_integer;
    PyObject *item = first;
    for (Py_ssize_t i = 0; item && Py_TYPE(item) == &PyLong_Type; item = PyList_GetItem(list, i)) {
        int overflow;
        long long number = PyLong_AsLongLongAndOverflow(item, &overflow);
        if (overflow != 0 || number < least || number > most)
            return false;
        out[i++].integer = number;
        if (i == count)
            return true;
    }
    return false;
}

/* Fills a column from a list of numbers that are all usable and of one kind. False: the list is different. */
static bool fill_column(struct kvtel_column *column, PyObject *list, Py_ssize_t count, const struct kvtel_field *field)
{
    const struct kvtel_number_range range = kvtel_number_range(field->kind, field->unit);
    if (column->capacity < (size_t)count && kvtel_column_reserve(column, (size_t)count, false) != KVTEL_OK)
        return false;
    PyObject *first = PyList_GetItem(list, 0);
    bool doubles = Py_TYPE(first) == &PyFloat_Type;
    column->type = doubles ? KVTEL_COLUMN_DOUBLES : KVTEL_COLUMN_INTEGERS;
    column->count = (size_t)count;
    return doubles ? fill_doubles(column->values, list, first, count, &range)
                   : fill_integers(column->values, list, first, count, &range);
}

/* Empties a column. Which memory is kept is decided as in kvtel_column_clear(). */
static void empty_column(struct kvtel_column *column)
{
    if (column->count > 0 || column->summary)
        kvtel_column_clear(column);
    column->present = false;
}

/* Replaces the content. False: the payload needs a closer look, and the content is undefined. */
static bool fill_content(struct kvtel_content *content, struct kvtel_python_keys *keys, PyObject *payload)
{
    const struct kvtel_field *fields = content->table->fields;
    struct kvtel_column_set *set = &content->sets[0];
    Py_ssize_t at = 0, rows[4] = { 0 };
    PyObject *key, *list;
    uint64_t seen = 0;
    content->samples = 0;
    content->summarised = false;
    for (size_t place = 0; PyDict_Next(payload, &at, &key, &list); place++) {
        if (place == sizeof keys->places / sizeof *keys->places)
            return false;
        int field =
            keys->places[place].key == key ? keys->places[place].field : find_field(keys, content->table, place, key);
        if (field < 0 || !kvtel_kind_is_samples(fields[field].kind) || Py_TYPE(list) != &PyList_Type)
            return false;
        struct kvtel_column *column = &set->columns[field];
        Py_ssize_t count = Py_SIZE(list);
        empty_column(column);
        column->present = true;
        seen |= UINT64_C(1) << field;
        if (count == 0)
            continue;
        unsigned row = fields[field].row;
        if (row > 0 && (row >= sizeof rows / sizeof *rows || (rows[row] > 0 && rows[row] != count)))
            return false;
        rows[row] = count;
        if (!fill_column(column, list, count, &fields[field]))
            return false;
        content->samples += (size_t)count;
    }
    for (size_t i = 0; seen != (UINT64_C(1) << set->column_count) - 1 && i < set->column_count; i++)
        if (!(seen >> i & 1))
            empty_column(&set->columns[i]);
    return true;
}

/* Does the same as kvtel_stats_decode_value() for a usual payload. False: call that function instead. The content is
 * then unchanged, unless `passing` is set: such stats are replaced by the next payload anyway. */
static bool decode_columns(struct kvtel_stats *stats, struct kvtel_python_keys *keys, PyObject *payload, bool passing)
{
    struct kvtel_content *content = passing ? &stats->content : &stats->spare;
    if (stats->connector->payload_kind != KVTEL_PAYLOAD_COLUMNS || content->table != stats->connector ||
        Py_TYPE(payload) != &PyDict_Type || content->sets[0].column_count >= 64 ||
        kvtel_learned_beside(stats->connector))
        return false;
    bool filled = fill_content(content, keys, payload);
    if (passing)
        return filled;
    if (filled) {
        struct kvtel_content replaced = stats->content;
        stats->content = stats->spare;
        stats->spare = replaced;
    }
    kvtel_content_clear(&stats->spare, false);
    return filled;
}

/* --- Any payload: Python objects as a tree of values. --- */

static int from_object(PyObject *object, struct kvtel_arena *arena, unsigned depth, struct kvtel_value *value);

static int from_bytes(PyObject *bytes, struct kvtel_arena *arena, struct kvtel_value *value)
{
    char *from;
    Py_ssize_t size;
    if (!bytes || PyBytes_AsStringAndSize(bytes, &from, &size) < 0)
        return -1;
    char *text = (size_t)size < UINT32_MAX ? kvtel_arena_alloc(arena, (size_t)size + 1) : NULL;
    if (!text) {
        PyErr_NoMemory();
        return -1;
    }
    memcpy(text, from, (size_t)size + 1);
    *value = (struct kvtel_value){ .kind = KVTEL_VALUE_STRING, .size = (uint32_t)size, .text = text };
    return 0;
}

static int from_text(PyObject *object, struct kvtel_arena *arena, struct kvtel_value *value)
{
    PyObject *bytes = PyUnicode_AsUTF8String(object);
    int result = from_bytes(bytes, arena, value);
    Py_XDECREF(bytes);
    return result;
}

/* Converts an integer. One that does not fit int64_t becomes a double, as in MessagePack; one beyond the range of
 * doubles becomes infinite, and is refused later. */
static int from_integer(PyObject *object, struct kvtel_value *value)
{
    int overflow;
    long long number = PyLong_AsLongLongAndOverflow(object, &overflow);
    if (overflow == 0) {
        *value = (struct kvtel_value){ .kind = KVTEL_VALUE_INTEGER, .integer = number };
        return number == -1 && PyErr_Occurred() ? -1 : 0;
    }
    double real = PyLong_AsDouble(object);
    if (real == -1.0 && PyErr_Occurred()) {
        if (!kvtel_python_is_wrong_value())
            return -1;
        real = overflow > 0 ? HUGE_VAL : -HUGE_VAL;
    }
    *value = (struct kvtel_value){ .kind = KVTEL_VALUE_DOUBLE, .number = real };
    return 0;
}

static struct kvtel_value *allocate(struct kvtel_arena *arena, size_t count)
{
    struct kvtel_value *items = count < UINT32_MAX ? kvtel_arena_alloc(arena, count * sizeof *items + 1) : NULL;
    if (!items)
        PyErr_NoMemory();
    return items;
}

/* Converts a list or tuple. Converting an element may run Python code that changes the sequence, so the length is
 * checked at each element. */
static int from_sequence(PyObject *sequence, struct kvtel_arena *arena, unsigned depth, struct kvtel_value *value)
{
    bool is_list = PyList_Check(sequence);
    Py_ssize_t count = is_list ? PyList_Size(sequence) : PyTuple_Size(sequence), i = 0;
    struct kvtel_value *items = count >= 0 ? allocate(arena, (size_t)count) : NULL;
    if (!items)
        return -1;
    for (; i < count && (!is_list || i < PyList_Size(sequence)); i++) {
        PyObject *item = is_list ? PyList_GetItem(sequence, i) : PyTuple_GetItem(sequence, i);
        if (!item)
            return -1;
        Py_INCREF(item);
        int result = from_object(item, arena, depth + 1, &items[i]);
        Py_DECREF(item);
        if (result < 0)
            return -1;
    }
    *value = (struct kvtel_value){ .kind = KVTEL_VALUE_ARRAY, .size = (uint32_t)i, .items = items };
    return 0;
}

static int from_dict(PyObject *dict, struct kvtel_arena *arena, unsigned depth, struct kvtel_value *value)
{
    Py_ssize_t count = PyDict_Size(dict), at = 0, i = 0;
    struct kvtel_value *items = allocate(arena, 2 * (size_t)count);
    PyObject *key, *item;
    if (!items)
        return -1;
    for (; i < count && PyDict_Next(dict, &at, &key, &item); i++) {
        Py_INCREF(key);
        Py_INCREF(item);
        int result = from_object(key, arena, depth + 1, &items[2 * i]);
        if (result == 0)
            result = from_object(item, arena, depth + 1, &items[2 * i + 1]);
        Py_DECREF(key);
        Py_DECREF(item);
        if (result < 0)
            return -1;
    }
    *value = (struct kvtel_value){ .kind = KVTEL_VALUE_MAP, .size = (uint32_t)i, .items = items };
    return 0;
}

/* The object's attribute `data`; NULL: there is none, or an exception is set. */
static PyObject *data_of(PyObject *object)
{
    PyObject *data = PyObject_GetAttrString(object, "data");
    if (!data && PyErr_ExceptionMatches(PyExc_AttributeError))
        PyErr_Clear();
    else if (!data)
        (void)kvtel_python_is_wrong_value();
    return data;
}

/* Converts numbers of other libraries, and vLLM's stats objects, whose payload is their `data`. Any other object
 * becomes nil, which no field accepts. */
static int from_other(PyObject *object, struct kvtel_arena *arena, unsigned depth, struct kvtel_value *value)
{
    PyObject *made = PyIndex_Check(object) ? PyNumber_Index(object) : NULL;
    int result = 0;
    *value = (struct kvtel_value){ .kind = KVTEL_VALUE_NIL };
    if (!made && !kvtel_python_is_wrong_value()) /* NumPy's arrays have the method but raise */
        return -1;
    if (made) {
        result = from_integer(made, value);
    } else if ((made = data_of(object)) && PyDict_Check(made)) {
        result = from_object(made, arena, depth + 1, value);
    } else if (PyErr_Occurred()) {
        return -1;
    } else {
        Py_XDECREF(made);
        made = PyNumber_Float(object);
        if (made)
            *value = (struct kvtel_value){ .kind = KVTEL_VALUE_DOUBLE, .number = PyFloat_AsDouble(made) };
        else
            result = kvtel_python_is_wrong_value() ? 0 : -1;
    }
    Py_XDECREF(made);
    return result;
}

static int from_object(PyObject *object, struct kvtel_arena *arena, unsigned depth, struct kvtel_value *value)
{
    if (PyFloat_Check(object)) {
        *value = (struct kvtel_value){ .kind = KVTEL_VALUE_DOUBLE, .number = PyFloat_AsDouble(object) };
        return 0;
    }
    if (PyBool_Check(object)) {
        *value = (struct kvtel_value){ .kind = KVTEL_VALUE_BOOL, .integer = object == Py_True };
        return 0;
    }
    if (PyLong_Check(object))
        return from_integer(object, value);
    if (PyUnicode_Check(object))
        return from_text(object, arena, value);
    if (depth >= KVTEL_VALUE_DEPTH) {
        kvtel_python_raise(KVTEL_E_DEPTH, NULL, NULL);
        return -1;
    }
    if (PyDict_Check(object))
        return from_dict(object, arena, depth, value);
    if (PyList_Check(object) || PyTuple_Check(object))
        return from_sequence(object, arena, depth, value);
    if (PyBytes_Check(object))
        return from_bytes(object, arena, value);
    if (object == Py_None) {
        *value = (struct kvtel_value){ .kind = KVTEL_VALUE_NIL };
        return 0;
    }
    return from_other(object, arena, depth, value);
}

/* Decodes MessagePack. The part without the GIL uses nothing that another thread could reach. */
static enum kvtel_status from_msgpack(PyObject *bytes, struct kvtel_arena *arena, struct kvtel_value *value,
                                      struct kvtel_error *error)
{
    enum kvtel_status status;
    const char *text = PyBytes_AsString(bytes);
    size_t size = (size_t)PyBytes_Size(bytes);
    if (size < KVTEL_PYTHON_LONG)
        return kvtel_value_decode(KVTEL_MSGPACK, text, size, arena, value, error);
    Py_BEGIN_ALLOW_THREADS status = kvtel_value_decode(KVTEL_MSGPACK, text, size, arena, value, error);
    Py_END_ALLOW_THREADS return status;
}

/* Decodes a payload that is not a usual one of columns. `object`: the Stats object with these stats, or NULL.
 * 0; 1: nothing of it can be used, and the content is an earlier payload's (only without `object`); -1: an exception.
 */
static int decode_any(PyObject *object, struct kvtel_stats *stats, PyObject *payload)
{
    struct kvtel_value value;
    struct kvtel_error error;
    struct kvtel_arena arena = { 0 };
    enum kvtel_status status = KVTEL_OK;
    int result = 0;
    if (PyBytes_Check(payload))
        status = from_msgpack(payload, &arena, &value, &error);
    else
        result = from_object(payload, &arena, 0, &value);
    if (status == KVTEL_OK && result == 0) {
        if (object) /* reading the payload may have let another thread run, which may be encoding these stats */
            stats = kvtel_python_stats_of(object);
        kvtel_arena_reset(&stats->arena);
        status = kvtel_stats_decode_value(stats, &value, &error);
    }
    kvtel_arena_free(&arena);
    if (status == KVTEL_E_UNKNOWN && !object) /* which was counted */
        return 1;
    if (status != KVTEL_OK)
        kvtel_python_raise(status, &error, NULL);
    return status == KVTEL_OK && result == 0 ? 0 : -1;
}

int kvtel_python_decode(PyObject *object, PyObject *payload)
{
    struct kvtel_stats *stats = kvtel_python_stats_of(object);
    if (decode_columns(stats, &((struct kvtel_python_stats *)object)->keys, payload, false))
        return 0;
    return PyErr_Occurred() ? -1 : decode_any(object, stats, payload);
}

int kvtel_python_decode_passing(struct kvtel_stats *stats, struct kvtel_python_keys *keys, PyObject *payload)
{
    if (decode_columns(stats, keys, payload, true))
        return 0;
    return PyErr_Occurred() ? -1 : decode_any(NULL, stats, payload);
}

/* --- From values to Python objects. --- */

static PyObject *to_sequence(const struct kvtel_value *value, bool tuple)
{
    PyObject *sequence = tuple ? PyTuple_New((Py_ssize_t)value->size) : PyList_New((Py_ssize_t)value->size);
    for (uint32_t i = 0; sequence && i < value->size; i++) {
        PyObject *item = kvtel_python_object(&value->items[i]);
        if (!item || (tuple ? PyTuple_SetItem : PyList_SetItem)(sequence, (Py_ssize_t)i, item) < 0) {
            Py_DECREF(sequence);
            return NULL;
        }
    }
    return sequence;
}

static PyObject *to_dict(const struct kvtel_value *value)
{
    PyObject *dict = PyDict_New();
    for (uint32_t i = 0; dict && i < value->size; i++) {
        const struct kvtel_value *pair = &value->items[2 * i];
        PyObject *key = pair[0].kind == KVTEL_VALUE_ARRAY ? to_sequence(&pair[0], true) : kvtel_python_object(&pair[0]);
        PyObject *item = key ? kvtel_python_object(&pair[1]) : NULL;
        if (!item || PyDict_SetItem(dict, key, item) < 0) {
            Py_DECREF(dict);
            dict = NULL;
        }
        Py_XDECREF(key);
        Py_XDECREF(item);
    }
    return dict;
}

PyObject *kvtel_python_object(const struct kvtel_value *value)
{
    switch ((enum kvtel_value_kind)value->kind) {
    case KVTEL_VALUE_NIL:
        break;
    case KVTEL_VALUE_BOOL:
        return PyBool_FromLong(value->integer != 0);
    case KVTEL_VALUE_INTEGER:
        return PyLong_FromLongLong(value->integer);
    case KVTEL_VALUE_DOUBLE:
        return PyFloat_FromDouble(value->number);
    case KVTEL_VALUE_STRING:
        return PyUnicode_DecodeUTF8(value->text, (Py_ssize_t)value->size, "replace");
    case KVTEL_VALUE_ARRAY:
        return to_sequence(value, false);
    case KVTEL_VALUE_MAP:
        return to_dict(value);
    }
    Py_INCREF(Py_None);
    return Py_None;
}
