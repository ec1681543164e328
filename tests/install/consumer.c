/* SPDX-License-Identifier: Apache-2.0 */
/* A user of an installed kvtel, compiled as C and as C++ (consumer.cpp): the smallest program that calls the library.
 */
#include <kvtel/base.h>
#include <kvtel/connector.h>
#include <kvtel/store.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    struct kvtel_store *store = kvtel_store_create(NULL);
    if (!store || !kvtel_connector_find("NixlConnector"))
        return 1;
    kvtel_store_close(store);

    if (argc != 2 || strcmp(kvtel_version(), argv[1]) != 0) {
        fprintf(stderr, "version %s\n", kvtel_version());
        return 1;
    }
    return 0;
}
