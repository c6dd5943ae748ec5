// Products of matrices with oneDNN, of Float32 values or of bfloat16 values with Float32 sums.

#ifndef TRIBUTARY_ONEDNN_H
#define TRIBUTARY_ONEDNN_H

#include <stddef.h>
#include <stdint.h>

/// Whether the processor multiplies bfloat16 values in hardware, which makes rounding to them worthwhile.
int tributary_has_bfloat16_products(void);

/// Whether oneDNN's products of Float32 values use this processor's widest vectors. If not, BLAS is as fast.
int tributary_has_float_products(void);

/// A row-major matrix, perhaps transposed: an entry is values[row * row_stride + column * column_stride], and one of the strides is 1.
typedef struct {
    const void *values;
    size_t row_stride, column_stride;
} tributary_factor;

/// Sets y (rows x columns, row-major) to left (rows x inner) times right (inner x columns), or adds the product to it. Runs only on
/// the calling thread.
///
/// The code for a shape is generated at its first use, in a fraction of a millisecond, and kept. Whatever their numbers of rows, products
/// share a few shapes.
///
/// Returns the number of leading rows that it computed: all rows, unless memory is short or the system forbids generating code.
size_t tributary_float_product(tributary_factor left, tributary_factor right, float *y, size_t y_stride, size_t rows,
                               size_t inner, size_t columns, int adds);

/// The same for bfloat16 values.
size_t tributary_bfloat16_product(tributary_factor left, tributary_factor right, float *y, size_t y_stride,
                                  size_t rows, size_t inner, size_t columns, int adds);

/// Scratch memory of the calling thread for this many values. The next call on the thread invalidates it. NULL if memory is short.
uint16_t *tributary_thread_scratch(size_t count);

#endif
