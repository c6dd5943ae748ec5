#include "Common.h"

TRIBUTARY_CLONES
void tributary_layer_norm(const float *x, size_t x_stride, const float *gain, const float *bias, float epsilon, float *y,
                          size_t y_stride, float *statistics, size_t rows, size_t columns) {
#pragma clang fp reassociate(on) contract(fast)
    const float scale = 1.0f / (float)columns;
    for (size_t r = 0; r < rows; r++) {
        const float *in = x + r * x_stride;
        float *out = y + r * y_stride;
        float sum = 0;
        for (size_t c = 0; c < columns; c++) sum += in[c];
        const float mean = sum * scale;
        float squares = 0;
        for (size_t c = 0; c < columns; c++) squares += (in[c] - mean) * (in[c] - mean);
        const float reciprocal = 1.0f / __builtin_elementwise_sqrt(squares * scale + epsilon);
        if (bias) {
            for (size_t c = 0; c < columns; c++) out[c] = (in[c] - mean) * reciprocal * gain[c] + bias[c];
        } else {
            for (size_t c = 0; c < columns; c++) out[c] = (in[c] - mean) * reciprocal * gain[c];
        }
        statistics[2 * r] = mean;
        statistics[2 * r + 1] = reciprocal;
    }
}

TRIBUTARY_CLONES
void tributary_rms_norm(const float *x, size_t x_stride, const float *gain, float epsilon, float *y, size_t y_stride,
                        float *statistics, size_t rows, size_t columns) {
#pragma clang fp reassociate(on) contract(fast)
    const float scale = 1.0f / (float)columns;
    for (size_t r = 0; r < rows; r++) {
        const float *in = x + r * x_stride;
        float *out = y + r * y_stride;
        float squares = 0;
        for (size_t c = 0; c < columns; c++) squares += in[c] * in[c];
        const float reciprocal = 1.0f / __builtin_elementwise_sqrt(squares * scale + epsilon);
        for (size_t c = 0; c < columns; c++) out[c] = in[c] * reciprocal * gain[c];
        statistics[2 * r] = 0;
        statistics[2 * r + 1] = reciprocal;
    }
}

TRIBUTARY_CLONES
void tributary_norm_backward(const float *dy, size_t dy_stride, const float *x, size_t x_stride, const float *gain,
                             const float *statistics, float *dx, size_t dx_stride, size_t rows, size_t columns, int centred) {
#pragma clang fp reassociate(on) contract(fast)
    const float scale = 1.0f / (float)columns;
    for (size_t r = 0; r < rows; r++) {
        const float *in = x + r * x_stride;
        const float *up = dy + r * dy_stride;
        float *out = dx + r * dx_stride;
        const float mean = statistics[2 * r], reciprocal = statistics[2 * r + 1];
        float along = 0, sum = 0;
        for (size_t c = 0; c < columns; c++) {
            const float g = up[c] * gain[c];
            along += g * (in[c] - mean) * reciprocal;
            sum += g;
        }
        along *= scale;
        const float offset = centred ? sum * scale : 0.0f;
        for (size_t c = 0; c < columns; c++)
            out[c] += reciprocal * (up[c] * gain[c] - offset - (in[c] - mean) * reciprocal * along);
    }
}

TRIBUTARY_CLONES
void tributary_norm_parameter_gradient(const float *dy, size_t dy_stride, const float *x, size_t x_stride,
                                       const float *statistics, float *gain_gradient, float *bias_gradient, size_t rows,
                                       size_t columns) {
#pragma clang fp contract(fast)
    for (size_t r = 0; r < rows; r++) {
        const float *in = x + r * x_stride;
        const float *up = dy + r * dy_stride;
        const float mean = statistics[2 * r], reciprocal = statistics[2 * r + 1];
        for (size_t c = 0; c < columns; c++) gain_gradient[c] += up[c] * (in[c] - mean) * reciprocal;
        if (bias_gradient)
            for (size_t c = 0; c < columns; c++) bias_gradient[c] += up[c];
    }
}
