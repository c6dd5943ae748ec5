// The parts of OpenBLAS that Tributary calls. Debian's libopenblas carries LAPACK too, but no C header for it without
// liblapacke-dev, so its routines are declared here with their Fortran calling convention.

#ifndef TRIBUTARY_COPENBLAS_SHIM_H
#define TRIBUTARY_COPENBLAS_SHIM_H

#include <cblas.h>

// The eigendecomposition of a real symmetric matrix, Float64: the reflections that make it tridiagonal; the decomposition of the
// tridiagonal matrix by divide and conquer; the reflections applied to a matrix, and a block of them as I - V T Vᵀ.
void dsytrd_(const char *uplo, const int *n, double *a, const int *lda, double *d, double *e, double *tau, double *work,
             const int *lwork, int *info);
void dstedc_(const char *compz, const int *n, double *d, double *e, double *z, const int *ldz, double *work, const int *lwork,
             int *iwork, const int *liwork, int *info);
void dormtr_(const char *side, const char *uplo, const char *trans, const int *m, const int *n, const double *a, const int *lda,
             const double *tau, double *c, const int *ldc, double *work, const int *lwork, int *info);
void dlarft_(const char *direct, const char *storev, const int *n, const int *k, const double *v, const int *ldv,
             const double *tau, double *t, const int *ldt);

/// Cholesky factorisation of a positive semidefinite matrix with complete pivoting, Float64.
void dpstrf_(const char *uplo, const int *n, double *a, const int *lda, int *piv, int *rank, const double *tol,
             double *work, int *info);

#endif
