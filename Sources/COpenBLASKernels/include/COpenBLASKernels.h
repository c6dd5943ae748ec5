// Chooses OpenBLAS's kernels and its number of threads, before the program begins.

#ifndef TRIBUTARY_COPENBLASKERNELS_H
#define TRIBUTARY_COPENBLASKERNELS_H

/// The processor family whose kernels OpenBLAS uses, by OpenBLAS's name: "Haswell", "SkylakeX".
const char *tributary_blas_kernels(void);

/// The family whose instructions the processor has: "Haswell" for AVX2, "SkylakeX" for AVX-512; NULL if it has neither.
const char *tributary_suitable_blas_kernels(void);

#endif
