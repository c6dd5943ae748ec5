#include "Common.h"

#define GELU_SLOPE 0.7978845608028654f
#define GELU_CUBIC 0.044715f

TRIBUTARY_CLONES
void tributary_gelu_tanh(const float *x, size_t x_stride, float *y, size_t y_stride, size_t rows, size_t columns) {
    for (size_t r = 0; r < rows; r++) {
        const float *in = x + r * x_stride;
        float *out = y + r * y_stride;
        for (size_t c = 0; c < columns; c++) {
            const float v = in[c];
            out[c] = 0.5f * v * (1.0f + fast_tanh(GELU_SLOPE * (v + GELU_CUBIC * v * v * v)));
        }
    }
}

TRIBUTARY_CLONES
void tributary_gelu_tanh_backward(const float *dy, size_t dy_stride, const float *x, size_t x_stride, float *dx,
                                  size_t dx_stride, size_t rows, size_t columns) {
    for (size_t r = 0; r < rows; r++) {
        const float *in = x + r * x_stride;
        const float *up = dy + r * dy_stride;
        float *out = dx + r * dx_stride;
        for (size_t c = 0; c < columns; c++) {
            const float v = in[c];
            const float t = fast_tanh(GELU_SLOPE * (v + GELU_CUBIC * v * v * v));
            const float slope = GELU_SLOPE * (1.0f + 3.0f * GELU_CUBIC * v * v);
            out[c] = up[c] * (0.5f * (1.0f + t) + 0.5f * v * (1.0f - t * t) * slope);
        }
    }
}

// The normal distribution's cumulative function and density, both with a relative error of 1.5e-7: the tail of the distribution is
// exp(-z^2 / 2) times a polynomial in t = 1 / (1 + 0.3 |z|), fitted to it over z in [0, 14].
typedef struct {
    float cumulative, density;
} Normal;

TRIBUTARY_INLINE Normal normal_distribution(float z) {
#pragma clang fp reassociate(off) contract(fast)
    const float magnitude = z < 0 ? -z : z;
    const float e = fast_exp(-0.5f * z * z);
    const float t = 1.0f / (1.0f + 0.3f * magnitude);
    float p = 0.03567508f;
    p = p * t - 0.15720428f;
    p = p * t + 0.20635545f;
    p = p * t - 0.05368531f;
    p = p * t + 0.12856244f;
    p = p * t + 0.09991327f;
    p = p * t + 0.12075399f;
    p = p * t + 0.11962930f;
    const float tail = e * t * p;
    const Normal result = {z < 0 ? tail : 1.0f - tail, 0.3989422804014327f * e};
    return result;
}

TRIBUTARY_CLONES
void tributary_gelu_erf(const float *x, size_t x_stride, float *y, size_t y_stride, size_t rows, size_t columns) {
    for (size_t r = 0; r < rows; r++) {
        const float *in = x + r * x_stride;
        float *out = y + r * y_stride;
        for (size_t c = 0; c < columns; c++) out[c] = in[c] * normal_distribution(in[c]).cumulative;
    }
}

TRIBUTARY_CLONES
void tributary_gelu_erf_backward(const float *dy, size_t dy_stride, const float *x, size_t x_stride, float *dx,
                                 size_t dx_stride, size_t rows, size_t columns) {
    for (size_t r = 0; r < rows; r++) {
        const float *in = x + r * x_stride;
        const float *up = dy + r * dy_stride;
        float *out = dx + r * dx_stride;
        for (size_t c = 0; c < columns; c++) {
            const Normal normal = normal_distribution(in[c]);
            out[c] = up[c] * (normal.cumulative + in[c] * normal.density);
        }
    }
}

TRIBUTARY_CLONES
void tributary_gelu_tanh_gate(const float *gate, const float *up, size_t in_stride, float *y, size_t y_stride, size_t rows,
                              size_t columns) {
    for (size_t r = 0; r < rows; r++) {
        const float *g = gate + r * in_stride;
        const float *u = up + r * in_stride;
        float *out = y + r * y_stride;
        for (size_t c = 0; c < columns; c++) {
            const float v = g[c];
            out[c] = 0.5f * v * (1.0f + fast_tanh(GELU_SLOPE * (v + GELU_CUBIC * v * v * v))) * u[c];
        }
    }
}

TRIBUTARY_CLONES
void tributary_gelu_tanh_gate_backward(const float *dy, size_t dy_stride, const float *gate, const float *up,
                                       size_t in_stride, float *dgate, float *dup, size_t d_stride, size_t rows,
                                       size_t columns) {
    for (size_t r = 0; r < rows; r++) {
        const float *d = dy + r * dy_stride;
        const float *g = gate + r * in_stride;
        const float *u = up + r * in_stride;
        float *dg = dgate + r * d_stride;
        float *du = dup + r * d_stride;
        for (size_t c = 0; c < columns; c++) {
            const float v = g[c];
            const float t = fast_tanh(GELU_SLOPE * (v + GELU_CUBIC * v * v * v));
            const float slope = GELU_SLOPE * (1.0f + 3.0f * GELU_CUBIC * v * v);
            du[c] = d[c] * 0.5f * v * (1.0f + t);
            dg[c] = d[c] * u[c] * (0.5f * (1.0f + t) + 0.5f * v * (1.0f - t * t) * slope);
        }
    }
}

TRIBUTARY_CLONES
void tributary_soft_cap(float *x, float scale, float cap, size_t count) {
    const float slope = scale / cap;
    for (size_t c = 0; c < count; c++) x[c] = cap * fast_tanh(slope * x[c]);
}

TRIBUTARY_CLONES
void tributary_soft_cap_backward(const float *capped, float *gradients, float scale, float cap, size_t count) {
    const float reciprocal = 1.0f / cap;
    for (size_t c = 0; c < count; c++) {
        const float t = capped[c] * reciprocal;
        gradients[c] *= scale * (1.0f - t * t);
    }
}

TRIBUTARY_CLONES
void tributary_clamp(float *x, float limit, size_t count) {
    for (size_t c = 0; c < count; c++) x[c] = x[c] > limit ? limit : (x[c] < -limit ? -limit : x[c]);
}

TRIBUTARY_CLONES
void tributary_clamp_backward(const float *x, float *gradients, float limit, size_t count) {
    for (size_t c = 0; c < count; c++) gradients[c] = x[c] > limit || x[c] < -limit ? 0.0f : gradients[c];
}

TRIBUTARY_CLONES
void tributary_silu_gate(const float *gate, const float *up, size_t in_stride, float *y, size_t y_stride, size_t rows,
                         size_t columns) {
    for (size_t r = 0; r < rows; r++) {
        const float *g = gate + r * in_stride;
        const float *u = up + r * in_stride;
        float *out = y + r * y_stride;
        for (size_t c = 0; c < columns; c++) out[c] = g[c] * fast_sigmoid(g[c]) * u[c];
    }
}

TRIBUTARY_CLONES
void tributary_silu_gate_backward(const float *dy, size_t dy_stride, const float *gate, const float *up, size_t in_stride,
                                  float *dgate, float *dup, size_t d_stride, size_t rows, size_t columns) {
    for (size_t r = 0; r < rows; r++) {
        const float *d = dy + r * dy_stride;
        const float *g = gate + r * in_stride;
        const float *u = up + r * in_stride;
        float *dg = dgate + r * d_stride;
        float *du = dup + r * d_stride;
        for (size_t c = 0; c < columns; c++) {
            const float s = fast_sigmoid(g[c]);
            du[c] = d[c] * g[c] * s;
            dg[c] = d[c] * u[c] * s * (1.0f + g[c] * (1.0f - s));
        }
    }
}
