/* SPDX-License-Identifier: Apache-2.0 */
/* The headers Accept and Accept-Encoding. */
#include "contract.h"

#include "serve/negotiation.h"
#include "serve/web/accept.h"
#include "serve/web/coding.h"

/* Each element lies in the header, behind the one before it. */
static void must_advance(const char *header)
{
    const char *at = header, *before = header;
    struct accept_element element;
    size_t count = 0, size = strlen(header);
    while (accept_next(&at, &element)) {
        MUST(element.name >= before && element.name_size > 0 && element.name + element.name_size <= element.parameters);
        MUST(element.parameters <= element.end && element.end <= at && at <= header + size);
        MUST(element.weight >= 0 && element.weight <= ACCEPT_MOST);
        MUST(!accept_has(&element, "version", "1.0.0") || accept_names(&element, "version"));
        before = at;
        MUST(++count <= size);
    }
    MUST(*at == '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *header = malloc(size + 1);
    MUST(header);
    if (size > 0)
        memcpy(header, data, size);
    header[size] = '\0';
    must_advance(header);
    struct negotiated negotiated = negotiate(header);
    MUST(negotiated.content_type);
    MUST((negotiated.format == KVTEL_FORMAT_TEXT) ==
         (strncmp(negotiated.content_type, KVTEL_CONTENT_TYPE_TEXT, strlen(KVTEL_CONTENT_TYPE_TEXT)) == 0));
    (void)coding_choose(header);
    free(header);
    return 0;
}
