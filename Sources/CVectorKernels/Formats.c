#include "Common.h"

typedef union {
    uint32_t bits;
    float value;
} float_bits;

TRIBUTARY_CLONES
void tributary_from_bfloat16(const uint16_t *x, float *y, size_t count) {
    for (size_t c = 0; c < count; c++) {
        float_bits f;
        f.bits = (uint32_t)x[c] << 16;
        y[c] = f.value;
    }
}

TRIBUTARY_CLONES
void tributary_to_bfloat16(const float *x, uint16_t *y, size_t count) {
    for (size_t c = 0; c < count; c++) {
        float_bits f;
        f.value = x[c];
        // Round to nearest, ties to even; a NaN keeps a mantissa bit.
        const uint32_t rounded = (f.bits + 0x7FFF + ((f.bits >> 16) & 1)) >> 16;
        const uint32_t nan = (f.bits >> 16) | 0x40;
        y[c] = (uint16_t)((f.bits & 0x7FFFFFFF) > 0x7F800000 ? nan : rounded);
    }
}

void tributary_from_float16(const uint16_t *x, float *y, size_t count) {
    for (size_t c = 0; c < count; c++) {
        const uint32_t sign = (uint32_t)(x[c] & 0x8000) << 16;
        const uint32_t exponent = (x[c] >> 10) & 0x1F;
        const uint32_t mantissa = x[c] & 0x3FF;
        float_bits f;
        if (exponent == 0) {
            // Subnormal halves are multiples of 2^-24 and normal in Float32.
            f.value = (float)mantissa * 5.9604644775390625e-8f;
            f.bits |= sign;
        } else if (exponent == 31) {
            f.bits = sign | 0x7F800000 | (mantissa << 13);
        } else {
            f.bits = sign | ((exponent + 112) << 23) | (mantissa << 13);
        }
        y[c] = f.value;
    }
}

void tributary_to_float16(const float *x, uint16_t *y, size_t count) {
    for (size_t c = 0; c < count; c++) {
        float_bits f;
        f.value = x[c];
        const uint16_t sign = (uint16_t)((f.bits >> 16) & 0x8000);
        const uint32_t magnitude = f.bits & 0x7FFFFFFF;
        uint16_t half;
        if (magnitude > 0x7F800000) {
            half = 0x7E00;
        } else if (magnitude >= 0x477FF000) {
            half = 0x7C00;
        } else if (magnitude < 0x38800000) {
            // Subnormal halves: adding 0.5 aligns the mantissa so that the hardware rounds to nearest even.
            float_bits shifted;
            shifted.bits = magnitude;
            shifted.value += 0.5f;
            half = (uint16_t)(shifted.bits - 0x3F000000);
        } else {
            const uint32_t rounded = magnitude + 0xFFF + ((magnitude >> 13) & 1);
            half = (uint16_t)((rounded - 0x38000000) >> 13);
        }
        y[c] = sign | half;
    }
}

TRIBUTARY_CLONES
int tributary_all_finite(const float *x, size_t count) {
    uint32_t bad = 0;
    for (size_t c = 0; c < count; c++) {
        float_bits f;
        f.value = x[c];
        bad |= (f.bits & 0x7F800000) == 0x7F800000;
    }
    return bad == 0;
}
