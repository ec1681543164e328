/* SPDX-License-Identifier: Apache-2.0 */
/* The table of the page's files. */
#include "serve/page.h"

#include "page_bytes.h"

const struct page_file page_files[] = {
    { "/", "text/html; charset=utf-8", index_html, sizeof index_html },
    { "/page.css", "text/css; charset=utf-8", page_css, sizeof page_css },
    { "/page.js", "text/javascript; charset=utf-8", page_js, sizeof page_js },
    { "/charts.js", "text/javascript; charset=utf-8", charts_js, sizeof charts_js },
    { "/history.js", "text/javascript; charset=utf-8", history_js, sizeof history_js },
    { "/chart.js", "text/javascript; charset=utf-8", chart_js, sizeof chart_js },
};
const size_t page_file_count = sizeof page_files / sizeof page_files[0];
