// Element-wise kernels over rows of row-major Float32 matrices.
//
// Each is compiled for several x86-64 levels and chosen at load time. The plain Swift reference of every kernel, and the
// tolerance within which the two must agree, are in Tests/LinearAlgebraTests/KernelReferences.swift. Strides are in elements.

#ifndef TRIBUTARY_CVECTORKERNELS_H
#define TRIBUTARY_CVECTORKERNELS_H

#include <stddef.h>
#include <stdint.h>

// Normalisation. statistics holds two floats per row: the mean (0 for root mean square) and the reciprocal deviation.
void tributary_layer_norm(const float *x, size_t x_stride, const float *gain, const float *bias, float epsilon, float *y,
                          size_t y_stride, float *statistics, size_t rows, size_t columns);
void tributary_rms_norm(const float *x, size_t x_stride, const float *gain, float epsilon, float *y, size_t y_stride,
                        float *statistics, size_t rows, size_t columns);
/// dx += the gradient through the normalisation; centred subtracts the mean's part (layer norm).
void tributary_norm_backward(const float *dy, size_t dy_stride, const float *x, size_t x_stride, const float *gain,
                             const float *statistics, float *dx, size_t dx_stride, size_t rows, size_t columns, int centred);
/// gain_gradient += sum over rows of dy * normalised x; bias_gradient (may be null) += sum over rows of dy.
void tributary_norm_parameter_gradient(const float *dy, size_t dy_stride, const float *x, size_t x_stride,
                                       const float *statistics, float *gain_gradient, float *bias_gradient, size_t rows,
                                       size_t columns);

// Activations.
void tributary_gelu_tanh(const float *x, size_t x_stride, float *y, size_t y_stride, size_t rows, size_t columns);
void tributary_gelu_tanh_backward(const float *dy, size_t dy_stride, const float *x, size_t x_stride, float *dx,
                                  size_t dx_stride, size_t rows, size_t columns);
/// gelu in its exact form: x times the normal distribution's cumulative function at x.
void tributary_gelu_erf(const float *x, size_t x_stride, float *y, size_t y_stride, size_t rows, size_t columns);
void tributary_gelu_erf_backward(const float *dy, size_t dy_stride, const float *x, size_t x_stride, float *dx,
                                 size_t dx_stride, size_t rows, size_t columns);
/// y = gelu(gate) * up, with gelu in its tanh form.
void tributary_gelu_tanh_gate(const float *gate, const float *up, size_t in_stride, float *y, size_t y_stride, size_t rows,
                              size_t columns);
void tributary_gelu_tanh_gate_backward(const float *dy, size_t dy_stride, const float *gate, const float *up,
                                       size_t in_stride, float *dgate, float *dup, size_t d_stride, size_t rows,
                                       size_t columns);
/// y = silu(gate) * up.
void tributary_silu_gate(const float *gate, const float *up, size_t in_stride, float *y, size_t y_stride, size_t rows,
                         size_t columns);
void tributary_silu_gate_backward(const float *dy, size_t dy_stride, const float *gate, const float *up, size_t in_stride,
                                  float *dgate, float *dup, size_t d_stride, size_t rows, size_t columns);

// Attention.
/// Row r becomes softmax over the last window of its first first_limit + r entries (scaled), and zero elsewhere.
void tributary_causal_softmax(float *x, size_t stride, float scale, size_t rows, size_t columns, size_t first_limit,
                              size_t window);
/// x = cap * tanh(scale * x / cap).
void tributary_soft_cap(float *x, float scale, float cap, size_t count);
/// gradients *= scale * (1 - (capped / cap)^2), where capped is the result of tributary_soft_cap.
void tributary_soft_cap_backward(const float *capped, float *gradients, float scale, float cap, size_t count);
/// Clamps x to [-limit, limit].
void tributary_clamp(float *x, float limit, size_t count);
/// Sets gradients to zero where x was clamped.
void tributary_clamp_backward(const float *x, float *gradients, float limit, size_t count);
/// dscores = scale * p * (dp - sum(p * dp)), row by row, in place of dp.
void tributary_softmax_backward(const float *p, size_t p_stride, float *dp, size_t dp_stride, float scale, size_t rows,
                                size_t columns);
/// Rotates the first 2 * half entries of head vectors that start head_width apart in each row:
/// (a, b) -> (a cos - b sin, b cos + a sin), where b is half entries after a; sign = -1 undoes it. cosine and sine are
/// [position][half].
void tributary_rotate_halves(float *x, size_t stride, const int32_t *positions, const float *cosine, const float *sine,
                             float sign, size_t rows, size_t heads, size_t head_width, size_t half);

// Loss.
/// For each row of logits: losses[r] = -log softmax(row)[label]; the row becomes softmax - onehot(label).
/// If uniforms is not null, the label is first drawn from the softmax by inverse transform and written to labels.
void tributary_softmax_cross_entropy(float *logits, size_t stride, int32_t *labels, const float *uniforms, float *losses,
                                     size_t rows, size_t columns);
/// The same for rows whose columns come in parts; this part has the columns from `first` on (Milakov & Gimelshein 2018). maxima and
/// others start as the least number and 0, and become the largest logit so far and the sum of exp(logit - maximum) without the label.
/// The part becomes these exponentials, 0 at the label, whose logit is written to label_logits. The caller must multiply its sums over
/// earlier parts by scales.
void tributary_streamed_softmax(float *logits, size_t stride, const int32_t *labels, int32_t first, float *maxima, float *others,
                                float *label_logits, float *scales, size_t rows, size_t columns);

// Sums.
/// y[t * y_stride + s] += sum over the width entries of segment s of left[t] * right[t].
void tributary_segmented_dot(const float *left, size_t left_stride, const float *right, size_t right_stride, double *y,
                             size_t y_stride, size_t rows, size_t segments, size_t width);
double tributary_dot(const float *left, const float *right, size_t count);
void tributary_add(const float *x, float *y, size_t count);
void tributary_scale(float factor, float *y, size_t count);
void tributary_scale_columns(const float *factors, float *y, size_t rows, size_t columns);
void tributary_add_squares(const float *x, float *y, size_t count);
void tributary_add_to_double(const float *x, double *y, size_t count);
/// y = x / (denominator + damping).
void tributary_divide_damped(const float *x, const float *denominator, float damping, float *y, size_t count);
/// y /= denominator + damping. Separate from the above, as code for memory that may overlap does not vectorise.
void tributary_divide_in_place(const float *denominator, float damping, float *y, size_t count);

// Sketches of gradients.
/// The number of bits in an entry of a query.
#define TRIBUTARY_SKETCH_PLANES 4
/// scores[r] = sum over segments of scale * (query . signs). A record is `segments` floats, the scales, and then for each segment
/// `words` little-endian words of 64 signs, a one for plus. A query's entries are in planes, segment by segment: the lowest bit of each
/// entry in `words` words, then the next bit. An entry is step times its bits as a number in two's complement. sums has the sum of each
/// segment's entries.
void tributary_sketch_scores(const uint8_t *records, size_t record_bytes, size_t count, size_t segments, size_t words,
                             const uint64_t *planes, const float *steps, const float *sums, float *scores);
/// The unscaled Walsh-Hadamard transform, in place and in natural order; count is a power of two.
void tributary_walsh_hadamard(float *x, size_t count);

// Sets as bits.
/// scores[i] = the sum of the weights of the rows that have bit i, added in the order of the rows. A row is row_bytes bytes, a
/// multiple of four, bit i % 8 of byte i / 8 for i. Lists in `above`, in ascending order, all i with scores[i] > threshold, and
/// returns their number.
size_t tributary_bit_scores(const uint8_t *bits, size_t row_bytes, const double *weights, size_t rows, double threshold,
                            double *scores, uint32_t *above);

// Optimisation.
void tributary_adamw(float *parameters, const float *gradients, float *first_moment, float *second_moment, float learning_rate,
                     float beta1, float beta2, float correction1, float correction2, float epsilon, float weight_decay,
                     float gradient_scale, size_t count);

// Number formats.
void tributary_from_bfloat16(const uint16_t *x, float *y, size_t count);
void tributary_to_bfloat16(const float *x, uint16_t *y, size_t count);
void tributary_from_float16(const uint16_t *x, float *y, size_t count);
void tributary_to_float16(const float *x, uint16_t *y, size_t count);
/// 1 if every value is finite.
int tributary_all_finite(const float *x, size_t count);

#endif
