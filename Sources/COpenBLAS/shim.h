// The parts of OpenBLAS that Tributary calls. Debian's libopenblas carries LAPACK too, but no C header for it without
// liblapacke-dev, so its three routines are declared here with their Fortran calling convention.

#ifndef TRIBUTARY_COPENBLAS_SHIM_H
#define TRIBUTARY_COPENBLAS_SHIM_H

#include <cblas.h>

/// Eigenvalues and eigenvectors of a real symmetric matrix, divide and conquer, Float64.
void dsyevd_(const char *jobz, const char *uplo, const int *n, double *a, const int *lda, double *w, double *work,
             const int *lwork, int *iwork, const int *liwork, int *info);

/// LQ factorisation of a general matrix, Float32.
void sgelqf_(const int *m, const int *n, float *a, const int *lda, float *tau, float *work, const int *lwork, int *info);

/// The orthogonal factor of an LQ factorisation, formed in place, Float32.
void sorglq_(const int *m, const int *n, const int *k, float *a, const int *lda, const float *tau, float *work,
             const int *lwork, int *info);

#endif
