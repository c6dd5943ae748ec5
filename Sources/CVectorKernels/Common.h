// Shared by all kernel files: the clones, and an exponential that vectorises.

#ifndef TRIBUTARY_KERNEL_COMMON_H
#define TRIBUTARY_KERNEL_COMMON_H

#include "CVectorKernels.h"

#if defined(__x86_64__)
#define TRIBUTARY_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define TRIBUTARY_CLONES
#endif

#define TRIBUTARY_INLINE static inline __attribute__((always_inline))

// exp(x) to about 2 ulp: 2^n from the exponent bits, times a degree-6 polynomial on [-ln 2 / 2, ln 2 / 2]. Rounding adds
// 1.5 * 2^23 because rintf is a library call in the baseline clone.
TRIBUTARY_INLINE float fast_exp(float x) {
#pragma clang fp reassociate(off) contract(fast)
    const float limited = x < -87.0f ? -87.0f : (x > 88.0f ? 88.0f : x);
    const float shifted = limited * 1.44269504088896341f + 12582912.0f;
    const float n = shifted - 12582912.0f;
    const float r = (limited - n * 0.693359375f) + n * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    union {
        int32_t bits;
        float value;
    } power;
    power.bits = ((int32_t)n + 127) << 23;
    return p * power.value;
}

TRIBUTARY_INLINE float fast_tanh(float x) {
    // The argument of exp is bounded: in Float32, tanh is 1 beyond 10.
    const float limited = x < -10.0f ? -10.0f : (x > 10.0f ? 10.0f : x);
    return 1.0f - 2.0f / (fast_exp(2.0f * limited) + 1.0f);
}

TRIBUTARY_INLINE float fast_sigmoid(float x) { return 1.0f / (1.0f + fast_exp(-x)); }

#endif
