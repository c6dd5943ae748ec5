#include "Common.h"

#include <string.h>

TRIBUTARY_CLONES
void tributary_sketch_scores(const uint8_t *records, size_t record_bytes, size_t count, size_t segments, size_t values,
                             const int16_t *query, const float *query_scales, float *scores) {
    for (size_t r = 0; r < count; r++) {
        const uint8_t *record = records + r * record_bytes;
        const int8_t *entries = (const int8_t *)(record + segments * sizeof(float));
        float score = 0;
        for (size_t s = 0; s < segments; s++) {
            const int8_t *x = entries + s * values;
            const int16_t *q = query + s * values;
            int32_t sum = 0;
            for (size_t i = 0; i < values; i++) sum += (int32_t)x[i] * (int32_t)q[i];
            float scale;
            memcpy(&scale, record + s * sizeof(float), sizeof(float));
            score += (float)sum * scale * query_scales[s];
        }
        scores[r] = score;
    }
}

TRIBUTARY_CLONES
float tributary_largest_magnitude(const float *x, size_t count) {
    // Lanes of their own, as a single maximum would be a chain that does not vectorise.
    float lanes[32] = {0};
    size_t i = 0;
    for (; i + 32 <= count; i += 32) {
        for (size_t lane = 0; lane < 32; lane++) {
            const float magnitude = x[i + lane] < 0 ? -x[i + lane] : x[i + lane];
            lanes[lane] = magnitude > lanes[lane] ? magnitude : lanes[lane];
        }
    }
    float largest = 0;
    for (; i < count; i++) {
        const float magnitude = x[i] < 0 ? -x[i] : x[i];
        largest = magnitude > largest ? magnitude : largest;
    }
    for (size_t lane = 0; lane < 32; lane++) largest = lanes[lane] > largest ? lanes[lane] : largest;
    return largest;
}

TRIBUTARY_CLONES
void tributary_quantize(const float *x, float inverse_scale, int16_t *y, size_t count) {
#pragma clang fp reassociate(off) contract(off)
    // Adding 1.5 * 2^23 rounds to the nearest whole number.
    for (size_t i = 0; i < count; i++) {
        y[i] = (int16_t)(int32_t)((x[i] * inverse_scale + 12582912.0f) - 12582912.0f);
    }
}
