// Products of matrices by oneDNN, of Float32 values or of bfloat16 values with Float32 sums.

#ifndef TRIBUTARY_ONEDNN_H
#define TRIBUTARY_ONEDNN_H

#include <stddef.h>
#include <stdint.h>

/// Whether the processor multiplies bfloat16 values itself, so that it is worth rounding to them.
int tributary_has_bfloat16_products(void);

/// Whether oneDNN's products of Float32 values are made for this processor's widest vectors. Where they are not, BLAS's are as good.
int tributary_has_float_products(void);

/// A row-major matrix, or one that is read transposed: an entry is values[row * row_stride + column * column_stride], and one of the
/// strides is 1.
typedef struct {
    const void *values;
    size_t row_stride, column_stride;
} tributary_factor;

/// y (rows x columns, row-major) becomes left (rows x inner) times right (inner x columns), or that is added to it. Runs on the
/// calling thread alone.
///
/// The code for a shape is written when it is first met, a fraction of a millisecond, and kept; all numbers of rows share a few.
///
/// Returns how many rows it could do, from the first on: all but when memory is short or the system lets no code be written.
size_t tributary_float_product(tributary_factor left, tributary_factor right, float *y, size_t y_stride, size_t rows,
                               size_t inner, size_t columns, int adds);

/// The same of bfloat16 values.
size_t tributary_bfloat16_product(tributary_factor left, tributary_factor right, float *y, size_t y_stride,
                                  size_t rows, size_t inner, size_t columns, int adds);

/// Room for so many values, the calling thread's own: what it was given before is gone. NULL if there is no memory.
uint16_t *tributary_thread_scratch(size_t count);

#endif
