#include "Common.h"

#include <string.h>

TRIBUTARY_CLONES
static void scores_by_words(const uint8_t *records, size_t record_bytes, size_t count, size_t segments, size_t words,
                            const uint64_t *planes, const float *steps, const float *sums, float *scores) {
    for (size_t r = 0; r < count; r++) {
        const uint8_t *record = records + r * record_bytes;
        const uint8_t *signs = record + segments * sizeof(float);
        double score = 0;
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
            const double positive =
                (double)steps[s] * ((double)weighted - (double)(ones << (TRIBUTARY_SKETCH_PLANES - 1)));
            score += (double)scale * (2 * positive - (double)sums[s]);
        }
        scores[r] = (float)score;
    }
}

#if defined(__x86_64__)
#include <immintrin.h>

enum { lanes = 8, together = 4, ahead = 4 };

/// The same where vectors of bits can be counted: a few records share what is read of the query, and a record's lanes are added up once.
__attribute__((target("avx512f,avx512dq,avx512vpopcntdq"))) static void scores_by_vectors(
    const uint8_t *records, size_t record_bytes, size_t count, size_t segments, size_t words, const uint64_t *planes,
    const float *steps, const float *sums, float *scores) {
    for (size_t r = 0; r < count; r += together) {
        const uint8_t *record[together];
        for (size_t k = 0; k < together; k++) record[k] = records + (r + k < count ? r + k : r) * record_bytes;
        __m512d totals[together];
        double offsets[together] = {0};
        for (size_t k = 0; k < together; k++) totals[k] = _mm512_setzero_pd();
        for (size_t s = 0; s < segments; s++) {
            const uint64_t *query = planes + s * words * TRIBUTARY_SKETCH_PLANES;
            __m512i ones[together], ands[together][TRIBUTARY_SKETCH_PLANES];
            for (size_t k = 0; k < together; k++) {
                ones[k] = _mm512_setzero_si512();
                for (size_t p = 0; p < TRIBUTARY_SKETCH_PLANES; p++) ands[k][p] = _mm512_setzero_si512();
            }
            for (size_t w = 0; w < words; w += lanes) {
                const __mmask8 mask = words - w >= lanes ? 0xFF : (__mmask8)((1u << (words - w)) - 1);
                __m512i bits[together];
                for (size_t k = 0; k < together; k++) {
                    const uint8_t *signs = record[k] + segments * sizeof(float) + (s * words + w) * sizeof(uint64_t);
                    bits[k] = _mm512_maskz_loadu_epi64(mask, signs);
                    // The processor fetches ahead in one stream, and not in the pieces of several.
                    _mm_prefetch((const char *)signs + ahead * record_bytes, _MM_HINT_T0);
                    ones[k] = _mm512_add_epi64(ones[k], _mm512_popcnt_epi64(bits[k]));
                }
                for (size_t p = 0; p < TRIBUTARY_SKETCH_PLANES; p++) {
                    const __m512i plane = _mm512_maskz_loadu_epi64(mask, query + p * words + w);
                    for (size_t k = 0; k < together; k++)
                        ands[k][p] = _mm512_add_epi64(
                            ands[k][p], _mm512_popcnt_epi64(_mm512_and_si512(bits[k], plane)));
                }
            }
            for (size_t k = 0; k < together; k++) {
                float scale;
                memcpy(&scale, record[k] + s * sizeof(float), sizeof(float));
                __m512i level = _mm512_slli_epi64(ones[k], TRIBUTARY_SKETCH_PLANES - 1);
                level = _mm512_sub_epi64(_mm512_setzero_si512(), level);
                for (size_t p = 0; p < TRIBUTARY_SKETCH_PLANES; p++)
                    level = _mm512_add_epi64(level, _mm512_slli_epi64(ands[k][p], (unsigned)p));
                const __m512d weight = _mm512_set1_pd(2 * (double)scale * (double)steps[s]);
                totals[k] = _mm512_fmadd_pd(weight, _mm512_cvtepi64_pd(level), totals[k]);
                offsets[k] += (double)scale * (double)sums[s];
            }
        }
        for (size_t k = 0; k < together && r + k < count; k++)
            scores[r + k] = (float)(_mm512_reduce_add_pd(totals[k]) - offsets[k]);
    }
}
#endif

void tributary_sketch_scores(const uint8_t *records, size_t record_bytes, size_t count, size_t segments, size_t words,
                             const uint64_t *planes, const float *steps, const float *sums, float *scores) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512vpopcntdq") && __builtin_cpu_supports("avx512dq")) {
        scores_by_vectors(records, record_bytes, count, segments, words, planes, steps, sums, scores);
        return;
    }
#endif
    scores_by_words(records, record_bytes, count, segments, words, planes, steps, sums, scores);
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
