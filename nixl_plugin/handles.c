/* SPDX-License-Identifier: Apache-2.0 */
#include "handles.h"

/* Begins a page, as handle_slots() counts on. */
_Alignas(4096) _Atomic uint64_t handle_table[HANDLE_SLOTS];

void handles_clear(void)
{
    for (size_t i = 0; i < HANDLE_SLOTS; i++)
        atomic_store(&handle_table[i], 0);
}
