// The parts of OpenBLAS that Tributary calls. Debian's libopenblas carries LAPACK too, but no C header for it without
// liblapacke-dev, so its two routines are declared here with their Fortran calling convention.

#ifndef TRIBUTARY_COPENBLAS_SHIM_H
#define TRIBUTARY_COPENBLAS_SHIM_H

#include <cblas.h>

/// Eigenvalues and eigenvectors of a real symmetric matrix, divide and conquer, Float64.
void dsyevd_(const char *jobz, const char *uplo, const int *n, double *a, const int *lda, double *w, double *work,
             const int *lwork, int *iwork, const int *liwork, int *info);

/// Cholesky factorisation of a positive semidefinite matrix with complete pivoting, Float64.
void dpstrf_(const char *uplo, const int *n, double *a, const int *lda, int *piv, int *rank, const double *tol,
             double *work, int *info);

#endif
