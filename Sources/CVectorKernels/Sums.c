#include "Common.h"

TRIBUTARY_CLONES
void tributary_segmented_dot(const float *left, size_t left_stride, const float *right, size_t right_stride, double *y,
                             size_t y_stride, size_t rows, size_t segments, size_t width) {
#pragma clang fp reassociate(on) contract(fast)
    for (size_t t = 0; t < rows; t++) {
        for (size_t s = 0; s < segments; s++) {
            const float *l = left + t * left_stride + s * width;
            const float *r = right + t * right_stride + s * width;
            float sum = 0;
            for (size_t c = 0; c < width; c++) sum += l[c] * r[c];
            y[t * y_stride + s] += (double)sum;
        }
    }
}

TRIBUTARY_CLONES
double tributary_dot(const float *left, const float *right, size_t count) {
#pragma clang fp reassociate(on) contract(fast)
    double sum = 0;
    for (size_t c = 0; c < count; c++) sum += (double)left[c] * (double)right[c];
    return sum;
}

TRIBUTARY_CLONES
void tributary_add(const float *x, float *y, size_t count) {
    for (size_t c = 0; c < count; c++) y[c] += x[c];
}

TRIBUTARY_CLONES
void tributary_scale_columns(const float *factors, float *y, size_t rows, size_t columns) {
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < columns; c++) y[r * columns + c] *= factors[c];
}

TRIBUTARY_CLONES
void tributary_scale(float factor, float *y, size_t count) {
    for (size_t c = 0; c < count; c++) y[c] *= factor;
}

TRIBUTARY_CLONES
void tributary_add_squares(const float *x, float *y, size_t count) {
#pragma clang fp contract(fast)
    for (size_t c = 0; c < count; c++) y[c] += x[c] * x[c];
}

TRIBUTARY_CLONES
void tributary_add_to_double(const float *x, double *y, size_t count) {
    for (size_t c = 0; c < count; c++) y[c] += (double)x[c];
}

TRIBUTARY_CLONES
void tributary_divide_damped(const float *x, const float *denominator, float damping, float *y, size_t count) {
    for (size_t c = 0; c < count; c++) y[c] = x[c] / (denominator[c] + damping);
}

TRIBUTARY_CLONES
void tributary_divide_in_place(const float *denominator, float damping, float *y, size_t count) {
    for (size_t c = 0; c < count; c++) y[c] /= denominator[c] + damping;
}

TRIBUTARY_CLONES
void tributary_adamw(float *parameters, const float *gradients, float *first_moment, float *second_moment, float learning_rate,
                     float beta1, float beta2, float correction1, float correction2, float epsilon, float weight_decay,
                     float gradient_scale, size_t count) {
#pragma clang fp contract(fast)
    for (size_t c = 0; c < count; c++) {
        const float g = gradients[c] * gradient_scale;
        const float m = beta1 * first_moment[c] + (1.0f - beta1) * g;
        const float v = beta2 * second_moment[c] + (1.0f - beta2) * g * g;
        first_moment[c] = m;
        second_moment[c] = v;
        const float step = (m / correction1) / (__builtin_elementwise_sqrt(v / correction2) + epsilon);
        parameters[c] -= learning_rate * (step + weight_decay * parameters[c]);
    }
}
