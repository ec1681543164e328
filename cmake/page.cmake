# SPDX-License-Identifier: Apache-2.0
# The page of `kvtel serve`: its own files and Debian's Chart.js as C arrays, for src/serve/page.c. Without Chart.js
# the program is built without its page, and `/` shows a message.

find_file(KVTEL_CHART_JS NAMES chart.min.js Chart.min.js PATHS /usr/share/javascript/chart.js
          DOC "Chart.js 3, minified, which the page draws with (Debian: libjs-chart.js)")
if(NOT KVTEL_CHART_JS)
    message(WARNING "Chart.js is missing, so kvtel serve has no page: install libjs-chart.js, or set KVTEL_CHART_JS to chart.min.js of version 3")
    return()
elseif(NOT EXISTS ${KVTEL_CHART_JS})
    message(FATAL_ERROR "KVTEL_CHART_JS is ${KVTEL_CHART_JS}: there is no such file")
endif()

set(page_inputs ${KVTEL_CHART_JS})
set(page_arguments "chart_js=${KVTEL_CHART_JS}")
foreach(name index.html page.css page.js charts.js history.js tables.js)
    set(file ${PROJECT_SOURCE_DIR}/src/serve/page/${name})
    string(REPLACE "." "_" array ${name})
    list(APPEND page_inputs ${file})
    string(APPEND page_arguments ",${array}=${file}")
endforeach()

set(page_bytes ${PROJECT_BINARY_DIR}/generated/page_bytes.h)
add_custom_command(OUTPUT ${page_bytes}
                   COMMAND ${CMAKE_COMMAND} -DOUTPUT=${page_bytes} -DFILES=${page_arguments} -P ${PROJECT_SOURCE_DIR}/cmake/embed.cmake
                   DEPENDS ${page_inputs} ${PROJECT_SOURCE_DIR}/cmake/embed.cmake
                   COMMENT "Embedding the page" VERBATIM)
add_custom_target(page_bytes DEPENDS ${page_bytes})
