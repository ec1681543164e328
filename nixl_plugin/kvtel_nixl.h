/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * What an application can tell libkvtel_nixl.so about its transfers.
 *
 * NIXL tells a plug-in of no failure, and of no transfer that was done when the call that posted it returned. An
 * application that has the handle and NIXL's status passes both on; Python code does so through the package kvtel, with
 * KVTEL_NIXL=1. The library is the one that NIXL loaded: find its functions by dlopen() with RTLD_NOLOAD, or link
 * libkvtel_nixl.so.
 *
 * All functions: any thread; without effect where the plug-in is off, in a child of a fork, and for a handle of which
 * no post is open. All but kvtel_nixl_peer(): no lock, no allocation, no system call (unless two threads tell of one
 * handle at the same moment).
 */
#ifndef KVTEL_NIXL_H
#define KVTEL_NIXL_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What a call of NIXL for this handle returned: postXferReq() or getXferStatus().
 * @param handle the address of NIXL's request (nixlXferReqH *), in Python `nixl_xfer_handle._handle`
 * @param status NIXL's nixl_status_t: 0 done, above 0 in progress, below 0 an error, of which -7 is a post that NIXL
 * refused because the one before is still active */
__attribute__((visibility("default"))) void kvtel_nixl_outcome(uint64_t handle, int status);
/** The number of the handle's open post, for kvtel_nixl_released(). 0: none is open. */
__attribute__((visibility("default"))) uint64_t kvtel_nixl_post(uint64_t handle);
/** The application has given the handle up: its post ends as released, if it is still open. To be told after
 * releaseXferReq() returned success, because NIXL may refuse and the transfer then goes on. By then NIXL may have given
 * the address to another thread's handle, so the post is meant by its number.
 * @param handle as above @param post what kvtel_nixl_post() returned before releaseXferReq(); 0: nothing happens */
__attribute__((visibility("default"))) void kvtel_nixl_released(uint64_t handle, uint64_t post);
/** The name under which a peer is counted from now on, such as "engine-1/0", in place of its agent's name. To be told
 * before the first transfer with the peer. Waits for a thread that names another one.
 * @param agent NUL-terminated name of the peer's agent; @param name NUL-terminated, at most 127 bytes: cut */
__attribute__((visibility("default"))) void kvtel_nixl_peer(const char *agent, const char *name);
/** Whether the plug-in is loaded and records. 1 or 0. */
__attribute__((visibility("default"))) int kvtel_nixl_is_recording(void);

#ifdef __cplusplus
}
#endif
#endif
