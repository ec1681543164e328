/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * All of kvtel. Each header also stands alone.
 *
 * Each header says whether libkvtel_record has its functions.
 */
#ifndef KVTEL_KVTEL_H
#define KVTEL_KVTEL_H

#include <kvtel/base.h>
#include <kvtel/buffer.h>
#include <kvtel/connector.h>
#include <kvtel/connector_file.h>
#include <kvtel/diagnostics.h>
#include <kvtel/exposition.h>
#include <kvtel/log_line.h>
#include <kvtel/logging.h>
#include <kvtel/metric.h>
#include <kvtel/options.h>
#include <kvtel/prom.h>
#include <kvtel/reader.h>
#include <kvtel/recorder.h>
#include <kvtel/snapshot.h>
#include <kvtel/stats.h>
#include <kvtel/store.h>
#include <kvtel/transfer_config.h>

#endif
