#include "Common.h"

#include <string.h>

// As the others, and one for processors that count bits in vectors.
#if defined(__x86_64__)
#define TRIBUTARY_BIT_CLONES \
    __attribute__((target_clones("arch=icelake-server", "arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define TRIBUTARY_BIT_CLONES
#endif

TRIBUTARY_BIT_CLONES
void tributary_sketch_scores(const uint8_t *records, size_t record_bytes, size_t count, size_t segments, size_t words,
                             const uint64_t *planes, const float *steps, const float *sums, float *scores) {
    for (size_t r = 0; r < count; r++) {
        const uint8_t *record = records + r * record_bytes;
        const uint8_t *signs = record + segments * sizeof(float);
        float score = 0;
        for (size_t s = 0; s < segments; s++) {
            const uint64_t *query = planes + s * words * TRIBUTARY_SKETCH_PLANES;
            uint64_t weighted = 0;
            uint64_t ones = 0;
            for (size_t w = 0; w < words; w++) {
                uint64_t bits;
                memcpy(&bits, signs + (s * words + w) * sizeof(bits), sizeof(bits));
                ones += (uint64_t)__builtin_popcountll(bits);
                for (size_t p = 0; p < TRIBUTARY_SKETCH_PLANES; p++)
                    weighted += (uint64_t)__builtin_popcountll(bits & query[p * words + w]) << p;
            }
            float scale;
            memcpy(&scale, record + s * sizeof(float), sizeof(float));
            // A query's entry is step * (planes' number - half of their range).
            const float positive = steps[s] * ((float)weighted - (float)(ones << (TRIBUTARY_SKETCH_PLANES - 1)));
            score += scale * (2 * positive - sums[s]);
        }
        scores[r] = score;
    }
}

TRIBUTARY_CLONES
void tributary_walsh_hadamard(float *x, size_t count) {
#pragma clang fp reassociate(off) contract(fast)
    for (size_t half = 1; half < count; half *= 2) {
        for (size_t start = 0; start < count; start += 2 * half) {
            float *low = x + start;
            float *high = low + half;
            for (size_t i = 0; i < half; i++) {
                const float sum = low[i] + high[i];
                high[i] = low[i] - high[i];
                low[i] = sum;
            }
        }
    }
}
