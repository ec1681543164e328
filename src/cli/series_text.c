/* SPDX-License-Identifier: Apache-2.0 */
/* Printing series as text for people. */
#include "collect/series.h"
#include "cli/series_text.h"

#include "base/number.h"
#include "base/python.h"
#include "base/utf8.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const double quantiles[] = { 0.5, 0.9, 0.99 };

void series_print_text(const char *text)
{
    for (size_t size = strlen(text); size > 0;) {
        uint32_t code;
        bool valid;
        size_t length = kvtel_utf8_next(text, size, &code, &valid);
        if (valid && kvtel_python_is_printable(code) && code != '"' && code != '\\')
            fwrite(text, 1, length, stdout);
        else
            for (size_t i = 0; i < length; i++)
                printf("\\x%02x", (unsigned char)text[i]);
        text += length;
        size -= length;
    }
}

void series_print_number(const char *before, double number)
{
    char text[KVTEL_NUMBER_SIZE];
    kvtel_number_repr(number, text);
    printf("%s%s", before, text);
}

const char *series_suffix(const struct kvtel_snapshot_family *family)
{
    return family->type == KVTEL_COUNTER ? "_total" : "";
}

/* The last value that was left in a bucket, with its labels. */
static void print_exemplar(double bound, const struct kvtel_snapshot_exemplar *exemplar)
{
    char when[64] = "";
    const uint64_t ns = kvtel_snapshot_exemplar_time_ns(exemplar);
    const time_t seconds = (time_t)(ns / 1000000000u);
    struct tm utc;
    const char *name;
    if (gmtime_r(&seconds, &utc))
        strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", &utc);
    series_print_number("  up to ", bound);
    series_print_number(": ", kvtel_snapshot_exemplar_value(exemplar));
    printf(" at %s.%09" PRIu64 " UTC {", when, ns % 1000000000u);
    for (size_t i = 0; (name = kvtel_snapshot_exemplar_label_name(exemplar, i)); i++) {
        printf("%s%s=\"", i > 0 ? "," : "", name);
        series_print_text(kvtel_snapshot_exemplar_label(exemplar, i));
        putchar('"');
    }
    puts("}");
}

void series_print(const struct kvtel_snapshot_family *family, const struct kvtel_snapshot_series *series)
{
    printf("%s%s{", family->name, series_suffix(family));
    for (size_t i = 0; i < family->label_count; i++) {
        printf("%s%s=\"", i > 0 ? "," : "", family->labelnames[i]);
        series_print_text(series->values[i]);
        putchar('"');
    }
    putchar('}');
    if (family->type != KVTEL_HISTOGRAM) {
        series_print_number(" ", series->value);
    } else {
        printf(" count %" PRIu64, series->count);
        series_print_number(" sum ", series->sum);
        for (size_t i = 0; series->count > 0 && i < sizeof quantiles / sizeof *quantiles; i++)
            printf(" P%g %.4g", quantiles[i] * 100, kvtel_snapshot_quantile(family, series, quantiles[i]));
    }
    putchar('\n');
    for (size_t i = 0; i < series->exemplar_count; i++)
        if (kvtel_snapshot_exemplar(family, series, i))
            print_exemplar(kvtel_snapshot_bound(family, i), kvtel_snapshot_exemplar(family, series, i));
}
