// Which of its kernels OpenBLAS multiplies with, and on how many threads: decided before the program begins.

#ifndef TRIBUTARY_COPENBLASKERNELS_H
#define TRIBUTARY_COPENBLASKERNELS_H

/// The processor family whose kernels OpenBLAS uses, as it names it: "Haswell", "SkylakeX".
const char *tributary_blas_kernels(void);

/// The family that suits the processor at least: "Haswell" for AVX2, "SkylakeX" for AVX-512; NULL where it has neither.
const char *tributary_suitable_blas_kernels(void);

#endif
