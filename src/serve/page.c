/* SPDX-License-Identifier: Apache-2.0 */
/* The table of the page's files. A build without Chart.js (no KVTEL_PAGE) has a text instead, which names the
 * missing file. */
#include "serve/page.h"

#ifdef KVTEL_PAGE
#include "page_bytes.h"

const struct page_file page_files[] = {
    { "/", "text/html; charset=utf-8", index_html, sizeof index_html },
    { "/page.css", "text/css; charset=utf-8", page_css, sizeof page_css },
    { "/page.js", "text/javascript; charset=utf-8", page_js, sizeof page_js },
    { "/charts.js", "text/javascript; charset=utf-8", charts_js, sizeof charts_js },
    { "/history.js", "text/javascript; charset=utf-8", history_js, sizeof history_js },
    { "/tables.js", "text/javascript; charset=utf-8", tables_js, sizeof tables_js },
    { "/chart.js", "text/javascript; charset=utf-8", chart_js, sizeof chart_js },
};
#else
static const unsigned char missing[] =
    "This kvtel was built without its page, because the library that the page draws with was missing: Chart.js, "
    "version 3.\n"
    "Install Debian's libjs-chart.js, or give -DKVTEL_CHART_JS=PATH to CMake, where PATH is chart.min.js, and build "
    "kvtel again.\n"
    "What the page shows is also at /api/v1/summary, and the metrics are where they always are.\n";

const struct page_file page_files[] = {
    { "/", "text/plain; charset=utf-8", missing, sizeof missing - 1 },
};
#endif
const size_t page_file_count = sizeof page_files / sizeof page_files[0];
