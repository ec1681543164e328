/* SPDX-License-Identifier: Apache-2.0 */
/* Lets a target exist whose folders hold no source yet. */
typedef int kvtel_empty;
