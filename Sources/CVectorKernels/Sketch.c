#include "Common.h"

#include <string.h>

/// The plane with negative weight.
enum { top = TRIBUTARY_SKETCH_PLANES - 1 };

/// A segment's part of a record's score, given the sum of the query's levels where the record has a plus.
TRIBUTARY_INLINE double segment_score(const uint8_t *record, size_t segment, int64_t weighted, const float *steps,
                                      const float *sums) {
    float scale;
    memcpy(&scale, record + segment * sizeof(float), sizeof(float));
    return (double)scale * (2 * (double)steps[segment] * (double)weighted - (double)sums[segment]);
}

TRIBUTARY_CLONES
static void scores_by_words(const uint8_t *records, size_t record_bytes, size_t count, size_t segments, size_t words,
                            const uint64_t *planes, const float *steps, const float *sums, float *scores) {
    for (size_t r = 0; r < count; r++) {
        const uint8_t *record = records + r * record_bytes;
        const uint8_t *signs = record + segments * sizeof(float);
        double score = 0;
        for (size_t s = 0; s < segments; s++) {
            const uint64_t *query = planes + s * words * TRIBUTARY_SKETCH_PLANES;
            int64_t weighted = 0;
            for (size_t w = 0; w < words; w++) {
                uint64_t bits;
                memcpy(&bits, signs + (s * words + w) * sizeof(bits), sizeof(bits));
                for (size_t p = 0; p < top; p++)
                    weighted += (int64_t)__builtin_popcountll(bits & query[p * words + w]) << p;
                weighted -= (int64_t)__builtin_popcountll(bits & query[top * words + w]) << top;
            }
            score += segment_score(record, s, weighted, steps, sums);
        }
        scores[r] = (float)score;
    }
}

#if defined(__x86_64__)
#include <immintrin.h>

#define SPECIALIZED(instructions) __attribute__((target(instructions)))

/// For each byte, the number of a record's plus bits in one plane, times the weight of a bit in `table`.
SPECIALIZED("avx2") TRIBUTARY_INLINE __m256i counted(__m256i table, __m256i low_bits, __m256i high_bits, __m256i plane) {
    const __m256i low = _mm256_shuffle_epi8(table, _mm256_and_si256(low_bits, plane));
    const __m256i high = _mm256_shuffle_epi8(table, _mm256_and_si256(high_bits, _mm256_srli_epi16(plane, 4)));
    return _mm256_add_epi8(low, high);
}

/// Adds to `lower` the sum of 256 signs in the two lower planes, and to `upper` a quarter of their sum in the two upper planes.
SPECIALIZED("avx2") TRIBUTARY_INLINE void add_counts(__m256i signs, const __m256i planes[TRIBUTARY_SKETCH_PLANES],
                                                     __m256i *lower, __m256i *upper) {
    const __m256i once = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2,
                                          3, 2, 3, 3, 4);
    const __m256i twice = _mm256_add_epi8(once, once);
    const __m256i half_bytes = _mm256_set1_epi8(15);
    const __m256i low = _mm256_and_si256(signs, half_bytes);
    const __m256i high = _mm256_and_si256(_mm256_srli_epi16(signs, 4), half_bytes);
    *lower = _mm256_add_epi8(
        *lower, _mm256_add_epi8(counted(once, low, high, planes[0]), counted(twice, low, high, planes[1])));
    *upper = _mm256_add_epi8(
        *upper, _mm256_sub_epi8(counted(once, low, high, planes[2]), counted(twice, low, high, planes[3])));
}

/// The same for processors that count bits by looking up half bytes.
SPECIALIZED("avx2") static void scores_by_lookups(const uint8_t *records, size_t record_bytes, size_t count,
                                                  size_t segments, size_t words, const uint64_t *planes,
                                                  const float *steps, const float *sums, float *scores) {
    _Static_assert(TRIBUTARY_SKETCH_PLANES == 4, "two planes go into each of two sums");
    // A byte of a sum grows by 24 at most, or by -16 to 8: seven additions fit.
    enum { lanes = 4, most = 7 * lanes, ahead = 2 };
    const __m256i zero = _mm256_setzero_si256();
    const __m256i ones = _mm256_set1_epi8(1);
    const __m256i last = _mm256_cmpgt_epi64(_mm256_set1_epi64x((long long)(words % lanes)), _mm256_setr_epi64x(0, 1, 2, 3));
    for (size_t r = 0; r < count; r++) {
        const uint8_t *record = records + r * record_bytes;
        double score = 0;
        for (size_t s = 0; s < segments; s++) {
            const uint64_t *query = planes + s * words * TRIBUTARY_SKETCH_PLANES;
            const uint8_t *signs = record + segments * sizeof(float) + s * words * sizeof(uint64_t);
            __m256i total = zero;
            for (size_t w = 0; w < words;) {
                const size_t end = words - w > most ? w + most : words;
                __m256i lower = zero, upper = zero, plane[TRIBUTARY_SKETCH_PLANES];
                for (; w + lanes <= end; w += lanes) {
                    for (size_t p = 0; p < TRIBUTARY_SKETCH_PLANES; p++)
                        plane[p] = _mm256_loadu_si256((const __m256i *)(query + p * words + w));
                    const uint8_t *bits = signs + w * sizeof(uint64_t);
                    _mm_prefetch((const char *)bits + ahead * record_bytes, _MM_HINT_T0);
                    add_counts(_mm256_loadu_si256((const __m256i *)bits), plane, &lower, &upper);
                }
                if (w < end) {
                    for (size_t p = 0; p < TRIBUTARY_SKETCH_PLANES; p++)
                        plane[p] = _mm256_maskload_epi64((const long long *)(query + p * words + w), last);
                    add_counts(
                        _mm256_maskload_epi64((const long long *)(signs + w * sizeof(uint64_t)), last), plane, &lower,
                        &upper);
                    w = end;
                }
                const __m256i low = _mm256_madd_epi16(_mm256_maddubs_epi16(lower, ones), _mm256_set1_epi16(1));
                const __m256i high = _mm256_madd_epi16(_mm256_maddubs_epi16(ones, upper), _mm256_set1_epi16(4));
                total = _mm256_add_epi32(total, _mm256_add_epi32(low, high));
            }
            __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(total), _mm256_extracti128_si256(total, 1));
            sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4E));
            sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xB1));
            score += segment_score(record, s, _mm_cvtsi128_si32(sum), steps, sums);
        }
        scores[r] = (float)score;
    }
}

enum { lanes = 8, together = 4, ahead = 8, floats = 16 };

/// The negative of the part of a record's score that does not depend on its signs, in sixteen parts.
SPECIALIZED("avx512f") TRIBUTARY_INLINE __m512 without_signs(const uint8_t *scales, const float *sums, size_t segments) {
    __m512 total = _mm512_setzero_ps();
    for (size_t s = 0; s < segments; s += floats) {
        const __mmask16 mask = segments - s >= floats ? 0xFFFF : (__mmask16)((1u << (segments - s)) - 1);
        total = _mm512_fnmadd_ps(
            _mm512_maskz_loadu_ps(mask, scales + s * sizeof(float)), _mm512_maskz_loadu_ps(mask, sums + s), total);
    }
    return total;
}

/// The same for processors that count the bits of vectors, and multiply counts by their plane's weight while adding. A few records
/// share each read of the query, and a record's lanes are summed once.
SPECIALIZED("avx512f,avx512vnni,avx512vpopcntdq") static void scores_by_vectors(
    const uint8_t *records, size_t record_bytes, size_t count, size_t segments, size_t words, const uint64_t *planes,
    const float *steps, const float *sums, float *scores) {
    __m512i weights[TRIBUTARY_SKETCH_PLANES];
    for (size_t p = 0; p < top; p++) weights[p] = _mm512_set1_epi32(1 << p);
    // A count fits in the lowest byte of its lane; the weight is a signed byte beside it.
    weights[top] = _mm512_set1_epi32((uint8_t)-(1 << top));
    for (size_t r = 0; r < count; r += together) {
        const uint8_t *record[together];
        __m512 totals[together];
        for (size_t k = 0; k < together; k++) {
            record[k] = records + (r + k < count ? r + k : r) * record_bytes;
            totals[k] = without_signs(record[k], sums, segments);
        }
        for (size_t s = 0; s < segments; s++) {
            const uint64_t *query = planes + s * words * TRIBUTARY_SKETCH_PLANES;
            // Two sums per record, so that fewer additions wait for the previous one.
            __m512i levels[together][2];
            for (size_t k = 0; k < together; k++) levels[k][0] = levels[k][1] = _mm512_setzero_si512();
            for (size_t w = 0; w < words; w += lanes) {
                const __mmask8 mask = words - w >= lanes ? 0xFF : (__mmask8)((1u << (words - w)) - 1);
                __m512i bits[together];
                for (size_t k = 0; k < together; k++) {
                    const uint8_t *signs = record[k] + segments * sizeof(float) + (s * words + w) * sizeof(uint64_t);
                    bits[k] = _mm512_maskz_loadu_epi64(mask, signs);
                    // The processor prefetches one stream, not the parts of several.
                    _mm_prefetch((const char *)signs + ahead * record_bytes, _MM_HINT_T0);
                }
                for (size_t p = 0; p < TRIBUTARY_SKETCH_PLANES; p++) {
                    const __m512i plane = _mm512_maskz_loadu_epi64(mask, query + p * words + w);
                    for (size_t k = 0; k < together; k++) {
                        const __m512i pluses = _mm512_popcnt_epi32(_mm512_and_si512(bits[k], plane));
                        levels[k][p % 2] = _mm512_dpbusd_epi32(levels[k][p % 2], pluses, weights[p]);
                    }
                }
            }
            const __m512 twice_step = _mm512_set1_ps(2 * steps[s]);
            for (size_t k = 0; k < together; k++) {
                float scale;
                memcpy(&scale, record[k] + s * sizeof(float), sizeof(float));
                const __m512 level = _mm512_cvtepi32_ps(_mm512_add_epi32(levels[k][0], levels[k][1]));
                totals[k] = _mm512_fmadd_ps(_mm512_mul_ps(twice_step, _mm512_set1_ps(scale)), level, totals[k]);
            }
        }
        for (size_t k = 0; k < together && r + k < count; k++) scores[r + k] = _mm512_reduce_add_ps(totals[k]);
    }
}
#endif

void tributary_sketch_scores(const uint8_t *records, size_t record_bytes, size_t count, size_t segments, size_t words,
                             const uint64_t *planes, const float *steps, const float *sums, float *scores) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512vpopcntdq") && __builtin_cpu_supports("avx512vnni")) {
        scores_by_vectors(records, record_bytes, count, segments, words, planes, steps, sums, scores);
        return;
    }
    if (__builtin_cpu_supports("avx2")) {
        scores_by_lookups(records, record_bytes, count, segments, words, planes, steps, sums, scores);
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
