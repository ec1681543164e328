/* SPDX-License-Identifier: Apache-2.0 */
/* The address that the demo's exporter will listen on. */
#ifndef KVTEL_DEMO_ADDRESS_H
#define KVTEL_DEMO_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

/* Binds "ip:port" or "[ipv6]:port" and closes the socket again. So a bad address is reported before the exporter
 * starts, and port 0 becomes a free port.
 * @param bound out: the address with its port
 * @param wrong out, on failure: a message
 * @return whether the address can be bound */
bool demo_address_probe(const char *address, char *bound, size_t bound_size, char *wrong, size_t wrong_size);

#endif
