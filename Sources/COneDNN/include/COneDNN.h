// Products of bfloat16 values with Float32 sums, by oneDNN.

#ifndef TRIBUTARY_ONEDNN_H
#define TRIBUTARY_ONEDNN_H

#include <stddef.h>
#include <stdint.h>

/// Whether the processor multiplies bfloat16 values itself, so that it is worth rounding to them.
int tributary_has_bfloat16_products(void);

/// y (rows x columns) becomes left (rows x inner) times right (inner x columns), or that is added to it. Runs on the calling thread
/// alone.
///
/// Each matrix is row-major but for right, where an entry is right[row * right_row + column * right_column] and one of the strides
/// is 1. Returns 0, or oneDNN's status if it could not be done: y is then as it was, or unspecified where nothing was to be added.
int tributary_bfloat16_product(const uint16_t *left, size_t left_stride, const uint16_t *right, size_t right_row,
                               size_t right_column, float *y, size_t y_stride, size_t rows, size_t inner, size_t columns,
                               int adds);

/// Room for so many values, the calling thread's own: what it was given before is gone. NULL if there is no memory.
uint16_t *tributary_thread_scratch(size_t count);

#endif
