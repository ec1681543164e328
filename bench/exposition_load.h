/* SPDX-License-Identifier: Apache-2.0 */
/* The data of the exposition benchmarks: NixlConnector's families for 1,000 engines. peer_rust/src/bin/exposition.rs
 * has the same data. */
#ifndef KVTEL_BENCH_EXPOSITION_LOAD_H
#define KVTEL_BENCH_EXPOSITION_LOAD_H

/* 640 values in each histogram are two and a half of a lane's blocks, so half a block is not folded yet, which is
 * the average. */
enum { LOAD_ENGINES = 1000, LOAD_TRANSFERS = 640, LOAD_HISTOGRAMS = 4, LOAD_COUNTERS = 4 };
enum { LOAD_SERIES = 67 * LOAD_ENGINES };

#define LOAD_MODEL "meta-llama/Llama-3.1-70B-Instruct"

#define LOAD_ROW_ENCODE "text exposition of 67,000 series: encode"
#define LOAD_ROW_ENCODE_RATE "text exposition of 67,000 series: encode, rate"
/* As a program does that is scraped: all series changed since the last time. */
#define LOAD_ROW_SCRAPE "text exposition of 67,000 series: snapshot and encode"
#define LOAD_ROW_SCRAPE_RATE "text exposition of 67,000 series: snapshot and encode, rate"

/* The same by a snapshot that is used once. */
#define LOAD_ROW_FIRST "text exposition of 67,000 series: first snapshot and encode"

#define LOAD_ROW_FORMAT(format, what) "exposition of 67,000 series in " format ": " what

/* Transfer time, post time, bytes, descriptors of an engine's i-th transfer. */
static inline double load_sample(int histogram, int engine, int i)
{
    double step = 1 + (engine * 31 + i * 17) % 101;
    return histogram == 0   ? 0.0013 * step
           : histogram == 1 ? 0.00011 * step
           : histogram == 2 ? 4096 * step * step
                            : 3 * step;
}

static inline double load_count(int counter, int engine)
{
    return (engine + counter) % 7;
}

#endif
