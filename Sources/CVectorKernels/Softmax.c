#include "Common.h"

// Maxima are kept in lanes: a single running maximum does not vectorise without unsafe flags.
#define LANES 32

TRIBUTARY_INLINE float row_maximum(const float *x, size_t count) {
    float lanes[LANES];
    for (size_t l = 0; l < LANES; l++) lanes[l] = -3.0e38f;
    size_t c = 0;
    for (; c + LANES <= count; c += LANES)
        for (size_t l = 0; l < LANES; l++) lanes[l] = x[c + l] > lanes[l] ? x[c + l] : lanes[l];
    // The lanes are halved repeatedly: one after another, each comparison would wait for the previous one.
    for (size_t half = LANES / 2; half > 0; half /= 2)
        for (size_t l = 0; l < half; l++) lanes[l] = lanes[l + half] > lanes[l] ? lanes[l + half] : lanes[l];
    float maximum = lanes[0];
    for (; c < count; c++) maximum = x[c] > maximum ? x[c] : maximum;
    return maximum;
}

TRIBUTARY_CLONES
void tributary_causal_softmax(float *x, size_t stride, float scale, size_t rows, size_t columns, size_t first_limit,
                              size_t window) {
#pragma clang fp reassociate(on) contract(fast)
    for (size_t r = 0; r < rows; r++) {
        const size_t seen = first_limit + r;
        size_t hidden = seen > window ? seen - window : 0;
        hidden = hidden < columns ? hidden : columns;
        float *row = x + r * stride;
        for (size_t c = 0; c < hidden; c++) row[c] = 0;
        row += hidden;
        const size_t width = columns - hidden;
        const size_t limit = (seen < columns ? seen : columns) - hidden;
        // Whole vectors, as far as the row allows: entries after the limit become zero below.
        const size_t rounded = (limit + LANES - 1) / LANES * LANES, end = rounded < width ? rounded : width;
        for (size_t c = limit; c < end; c++) row[c] = -3.0e38f;
        const float maximum = row_maximum(row, end);
        float sum = 0;
        for (size_t c = 0; c < end; c++) {
            const float e = fast_exp((row[c] - maximum) * scale);
            row[c] = e;
            sum += e;
        }
        const float reciprocal = 1.0f / sum;
        // These are set to zero before they are multiplied: the smallest exponentials would become denormal, which is slow.
        for (size_t c = limit; c < width; c++) row[c] = 0;
        for (size_t c = 0; c < end; c++) row[c] *= reciprocal;
    }
}

TRIBUTARY_CLONES
void tributary_softmax_backward(const float *p, size_t p_stride, float *dp, size_t dp_stride, float scale, size_t rows,
                                size_t columns) {
#pragma clang fp reassociate(on) contract(fast)
    for (size_t r = 0; r < rows; r++) {
        const float *row = p + r * p_stride;
        float *gradient = dp + r * dp_stride;
        float along = 0;
        for (size_t c = 0; c < columns; c++) along += row[c] * gradient[c];
        for (size_t c = 0; c < columns; c++) gradient[c] = scale * row[c] * (gradient[c] - along);
    }
}

TRIBUTARY_CLONES
void tributary_rotate_halves(float *x, size_t stride, const int32_t *positions, const float *cosine, const float *sine,
                             float sign, size_t rows, size_t heads, size_t head_width, size_t half) {
#pragma clang fp contract(fast)
    for (size_t r = 0; r < rows; r++) {
        const float *cosines = cosine + (size_t)positions[r] * half;
        const float *sines = sine + (size_t)positions[r] * half;
        for (size_t h = 0; h < heads; h++) {
            float *first = x + r * stride + h * head_width;
            float *second = first + half;
            for (size_t c = 0; c < half; c++) {
                const float a = first[c], b = second[c], s = sign * sines[c];
                first[c] = a * cosines[c] - b * s;
                second[c] = b * cosines[c] + a * s;
            }
        }
    }
}

TRIBUTARY_CLONES
void tributary_softmax_cross_entropy(float *logits, size_t stride, int32_t *labels, const float *uniforms, float *losses,
                                     size_t rows, size_t columns) {
#pragma clang fp reassociate(on) contract(fast)
    for (size_t r = 0; r < rows; r++) {
        float *row = logits + r * stride;
        const float maximum = row_maximum(row, columns);
        const size_t given = (size_t)labels[r];
        const float given_logit = uniforms ? 0.0f : row[given];
        float sum = 0;
        for (size_t c = 0; c < columns; c++) {
            const float e = fast_exp(row[c] - maximum);
            row[c] = e;
            sum += e;
        }
        size_t label = given;
        float exponent;
        if (uniforms) {
            // Inverse transform: the first label at which the cumulated weight exceeds u times the total. The total is the
            // Float64 one: a Float32 sum can exceed the whole cumulated weight, and would select the last label, however unlikely.
            double total = 0;
            for (size_t c = 0; c < columns; c++) total += (double)row[c];
            const double threshold = (double)uniforms[r] * total;
            double cumulated = 0;
            label = columns - 1;
            for (size_t c = 0; c < columns; c++) {
                cumulated += (double)row[c];
                if (cumulated > threshold) {
                    label = c;
                    break;
                }
            }
            labels[r] = (int32_t)label;
            exponent = __builtin_logf(row[label] > 1.0e-38f ? row[label] : 1.0e-38f);
        } else {
            exponent = given_logit - maximum;
        }
        losses[r] = __builtin_logf(sum) - exponent;
        const float reciprocal = 1.0f / sum;
        for (size_t c = 0; c < columns; c++) row[c] *= reciprocal;
        row[label] -= 1.0f;
    }
}

TRIBUTARY_CLONES
void tributary_streamed_softmax(float *logits, size_t stride, const int32_t *labels, int32_t first, float *maxima, float *others,
                                float *label_logits, float *scales, size_t rows, size_t columns) {
#pragma clang fp reassociate(on) contract(fast)
    for (size_t r = 0; r < rows; r++) {
        float *row = logits + r * stride;
        const float here = row_maximum(row, columns);
        const float maximum = here > maxima[r] ? here : maxima[r];
        const int32_t label = labels[r] - first;
        const int has_label = label >= 0 && (size_t)label < columns;
        if (has_label) label_logits[r] = row[label];
        float sum = 0;
        for (size_t c = 0; c < columns; c++) {
            const float e = fast_exp(row[c] - maximum);
            row[c] = e;
            sum += e;
        }
        if (has_label) {
            // Computed again without the label: for an almost certain token, a difference would lose nearly all digits.
            row[label] = 0;
            sum = 0;
            for (size_t c = 0; c < columns; c++) sum += row[c];
        }
        scales[r] = here > maxima[r] ? fast_exp(maxima[r] - maximum) : 1.0f;
        others[r] = others[r] * scales[r] + sum;
        maxima[r] = maximum;
    }
}
