/* SPDX-License-Identifier: Apache-2.0 */
/* The page that `kvtel serve` shows at `/`: files of src/cli/serve/page/ and Chart.js, embedded at build. It asks for
 * its own paths and /api/v1/summary, and for nothing outside. */
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
