#include "COpenBLASKernels.h"

#include <cblas.h>
#include <stdlib.h>
#include <string.h>

// From OpenBLAS, if it was built with the kernels of several families: chooses the kernels again.
void gotoblas_dynamic_quit(void) __attribute__((weak));
void gotoblas_dynamic_init(void) __attribute__((weak));

static const char choice[] = "OPENBLAS_CORETYPE";
/// The family that OpenBLAS assumes for a processor newer than itself. Prescott had no more than SSE3.
static const char unknown[] = "Prescott";

const char *tributary_blas_kernels(void) { return openblas_get_corename(); }

const char *tributary_suitable_blas_kernels(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl"))
        return "SkylakeX";
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return "Haswell";
#endif
    return NULL;
}

/// Chooses kernels by the processor's features, because OpenBLAS chooses by the processor's model. This sets an environment variable, and
/// therefore happens before the program begins: later, another thread might read the environment.
__attribute__((constructor)) static void choose(void) {
    // The workers provide the parallelism, each with its own micro-batch: OpenBLAS's threads collapse when a core is contended, and make
    // a product's rounding depend on the machine.
    openblas_set_num_threads(1);
    const char *suitable = tributary_suitable_blas_kernels();
    if (!suitable || getenv(choice) || strcmp(openblas_get_corename(), unknown) != 0) return;
    if (!gotoblas_dynamic_quit || !gotoblas_dynamic_init || setenv(choice, suitable, 0) != 0) return;
    gotoblas_dynamic_quit();
    gotoblas_dynamic_init();
    unsetenv(choice);
}
