/* SPDX-License-Identifier: Apache-2.0 */
/* The table of findings. */
#include "doctor/kinds.h"

const struct doctor_kind_text doctor_kinds[DOCTOR_KINDS] = {
#define X(kind, name, state, means, next) { name, DOCTOR_##state, means, next },
    DOCTOR_KIND_LIST(X)
#undef X
};

const char *doctor_state_text(enum doctor_state state)
{
    static const char *const texts[DOCTOR_STATES] = { "ok", "note", "problem" };
    return texts[state];
}
