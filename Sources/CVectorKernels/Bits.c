#include "Common.h"

#include <string.h>

// Thirty-two sums in vectors of eight stay in registers in all clones, whatever the number of rows.
typedef double sums_of_eight __attribute__((vector_size(64)));
typedef int64_t masks_of_eight __attribute__((vector_size(64)));
enum { GROUPS = 4, LANES = 8, WINDOW = GROUPS * LANES };

TRIBUTARY_CLONES
size_t tributary_bit_scores(const uint8_t *bits, size_t row_bytes, const double *weights, size_t rows, double threshold,
                            double *scores, uint32_t *above) {
    const masks_of_eight lanes = {1, 2, 4, 8, 16, 32, 64, 128};
    size_t found = 0;
    for (size_t window = 0; window < row_bytes * 8; window += WINDOW) {
        sums_of_eight sums[GROUPS] = {{0}, {0}, {0}, {0}};
        for (size_t r = 0; r < rows; r++) {
            uint32_t word;
            memcpy(&word, bits + r * row_bytes + window / 8, sizeof(word));
            const masks_of_eight copies = (masks_of_eight){0} + (int64_t)word;
#pragma clang loop unroll(full)
            for (int64_t g = 0; g < GROUPS; g++) {
                const masks_of_eight chosen = (copies & (lanes << (g * LANES))) != 0;
                const masks_of_eight added = (masks_of_eight)(sums[g] + weights[r]);
                sums[g] = (sums_of_eight)((added & chosen) | ((masks_of_eight)sums[g] & ~chosen));
            }
        }
        memcpy(scores + window, sums, sizeof(sums));
        int any = 0;
        for (size_t i = 0; i < WINDOW; i++) any |= scores[window + i] > threshold;
        if (!any) continue;
        for (size_t i = 0; i < WINDOW; i++)
            if (scores[window + i] > threshold) above[found++] = (uint32_t)(window + i);
    }
    return found;
}
