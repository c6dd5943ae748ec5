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
