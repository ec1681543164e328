/* SPDX-License-Identifier: Apache-2.0 */
/* Sums and percentiles as vLLM's Python computes them, so that rounded log values are equal to the last digit. Any
 * thread. */
#ifndef KVTEL_VLLM_STATS_ARITHMETIC_H
#define KVTEL_VLLM_STATS_ARITHMETIC_H

#include <kvtel/connector.h>

/* numpy.sum of contiguous float64: pairwise, blocks of 128, eight partial sums. */
double kvtel_sum_pairwise(const double *values, size_t count);
/* math.fsum: the correctly rounded sum of finite doubles. */
double kvtel_sum_exact(const double *values, size_t count);
/* sum() of Python 3.11: left to right. */
double kvtel_sum_plain(const double *values, size_t count);
/* The sum by which `arithmetic` computes a mean. */
double kvtel_sum_for(enum kvtel_arithmetic arithmetic, const double *values, size_t count);

/* 90th percentile; reorders `values`. count > 0.
 * KVTEL_EXACT: nearest rank, index clamp(int(0.9 * n - 1e-12), 0, n - 1). Else numpy.percentile(values, 90), linear. */
double kvtel_percentile_90(enum kvtel_arithmetic arithmetic, double *values, size_t count);
/* numpy.percentile(values, 100 * q), linear interpolation; reorders `values`. count > 0. */
double kvtel_percentile(double *values, size_t count, double q);

#endif
