/* SPDX-License-Identifier: Apache-2.0 */
/* The page that `kvtel serve` shows at `/`: the files of src/serve/page/ and Chart.js, embedded by the build. The
 * page requests its own files and /api/v1/summary, and nothing from other hosts. */
#ifndef KVTEL_SERVE_PAGE_H
#define KVTEL_SERVE_PAGE_H

#include <stddef.h>

struct page_file {
    const char *path, *content_type;
    const unsigned char *bytes;
    size_t size;
};

extern const struct page_file page_files[];
extern const size_t page_file_count;

/* Content-Security-Policy of every page_file. */
#define PAGE_CSP                                                                                                    \
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; " \
    "form-action 'none'; frame-ancestors 'none'"

#endif
