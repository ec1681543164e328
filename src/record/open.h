/* SPDX-License-Identifier: Apache-2.0 */
/* Open transfers of a store: making the places and the series that count what becomes of them. */
#ifndef KVTEL_RECORD_OPEN_H
#define KVTEL_RECORD_OPEN_H

#include "record/store.h"

struct kvtel_recorder;
struct kvtel_operation;

/* What becomes of a transfer that was begun and does not complete. */
enum kvtel_outcome { KVTEL_OUTCOME_FAILED, KVTEL_OUTCOME_LOST, KVTEL_OUTCOME_ABANDONED, KVTEL_OUTCOMES };

/* Makes places in every lane, if the store has none. KVTEL_OK, KVTEL_E_LIMIT (a lane is full), KVTEL_E_NOMEM,
 * KVTEL_E_BUSY. */
enum kvtel_status kvtel_open_make(struct kvtel_store *store, uint32_t count);
/* Makes the operation's series of outcomes. False: the store has no room for them. */
bool kvtel_open_outcomes(struct kvtel_recorder *recorder, struct kvtel_operation *operation);

#endif
