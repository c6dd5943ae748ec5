#include "COneDNN.h"

#include <oneapi/dnnl/dnnl.h>
#include <pthread.h>
#include <stdlib.h>

// Of libgomp, which Debian's oneDNN runs on: how many threads a parallel region of the calling thread has.
void omp_set_num_threads(int count);

typedef struct {
    dnnl_stream_t stream;
    uint16_t *scratch;
    size_t capacity;
} thread_state;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static dnnl_engine_t engine;

static void release(void *value) {
    thread_state *state = value;
    if (state->stream) dnnl_stream_destroy(state->stream);
    free(state->scratch);
    free(state);
}

static void start(void) {
    pthread_key_create(&key, release);
    if (dnnl_engine_create(&engine, dnnl_cpu, 0) != dnnl_success) engine = NULL;
}

static thread_state *current(void) {
    pthread_once(&once, start);
    thread_state *state = pthread_getspecific(key);
    if (state) return state;
    state = calloc(1, sizeof *state);
    if (!state) return NULL;
    if (pthread_setspecific(key, state) != 0) {
        free(state);
        return NULL;
    }
    return state;
}

int tributary_has_bfloat16_products(void) {
    return (dnnl_get_effective_cpu_isa() & dnnl_cpu_isa_avx512_core_bf16) == dnnl_cpu_isa_avx512_core_bf16;
}

uint16_t *tributary_thread_scratch(size_t count) {
    thread_state *state = current();
    if (!state) return NULL;
    if (state->capacity < count) {
        free(state->scratch);
        // A multiple of the alignment, as aligned_alloc asks for.
        state->scratch = aligned_alloc(64, (count * sizeof(uint16_t) + 63) / 64 * 64);
        state->capacity = state->scratch ? count : 0;
    }
    return state->scratch;
}

int tributary_bfloat16_product(const uint16_t *left, size_t left_stride, const uint16_t *right, size_t right_row,
                               size_t right_column, float *y, size_t y_stride, size_t rows, size_t inner, size_t columns,
                               int adds) {
    thread_state *state = current();
    if (!state || !engine) return dnnl_out_of_memory;
    if (!state->stream) {
        const dnnl_status_t status = dnnl_stream_create(&state->stream, engine, dnnl_stream_default_flags);
        if (status != dnnl_success) return status;
    }
    // Parallelism lies in the workers.
    omp_set_num_threads(1);

    const dnnl_dims_t left_shape = {(dnnl_dim_t)rows, (dnnl_dim_t)inner}, left_strides = {(dnnl_dim_t)left_stride, 1};
    const dnnl_dims_t right_shape = {(dnnl_dim_t)inner, (dnnl_dim_t)columns};
    const dnnl_dims_t right_strides = {(dnnl_dim_t)right_row, (dnnl_dim_t)right_column};
    const dnnl_dims_t y_shape = {(dnnl_dim_t)rows, (dnnl_dim_t)columns}, y_strides = {(dnnl_dim_t)y_stride, 1};
    dnnl_memory_desc_t left_layout, right_layout, y_layout;
    dnnl_matmul_desc_t product;
    dnnl_primitive_attr_t attributes = NULL;
    dnnl_post_ops_t addition = NULL;
    dnnl_primitive_desc_t description = NULL;
    dnnl_primitive_t primitive = NULL;
    dnnl_memory_t memories[3] = {NULL, NULL, NULL};
    dnnl_status_t status;
#define TRY(call) \
    if ((status = (call)) != dnnl_success) goto end
    TRY(dnnl_memory_desc_init_by_strides(&left_layout, 2, left_shape, dnnl_bf16, left_strides));
    TRY(dnnl_memory_desc_init_by_strides(&right_layout, 2, right_shape, dnnl_bf16, right_strides));
    TRY(dnnl_memory_desc_init_by_strides(&y_layout, 2, y_shape, dnnl_f32, y_strides));
    TRY(dnnl_matmul_desc_init(&product, &left_layout, &right_layout, NULL, &y_layout));
    TRY(dnnl_primitive_attr_create(&attributes));
    if (adds) {
        TRY(dnnl_post_ops_create(&addition));
        TRY(dnnl_post_ops_append_sum(addition, 1.0f));
        TRY(dnnl_primitive_attr_set_post_ops(attributes, addition));
    }
    // oneDNN keeps the primitives of the last thousand shapes: this finds rather than makes one.
    TRY(dnnl_primitive_desc_create(&description, &product, attributes, engine, NULL));
    TRY(dnnl_primitive_create(&primitive, description));
    TRY(dnnl_memory_create(&memories[0], &left_layout, engine, (void *)left));
    TRY(dnnl_memory_create(&memories[1], &right_layout, engine, (void *)right));
    TRY(dnnl_memory_create(&memories[2], &y_layout, engine, y));
    const dnnl_exec_arg_t arguments[3] = {
        {DNNL_ARG_SRC, memories[0]}, {DNNL_ARG_WEIGHTS, memories[1]}, {DNNL_ARG_DST, memories[2]}};
    TRY(dnnl_primitive_execute(primitive, state->stream, 3, arguments));
    TRY(dnnl_stream_wait(state->stream));
#undef TRY
end:
    for (size_t index = 0; index < 3; index++)
        if (memories[index]) dnnl_memory_destroy(memories[index]);
    if (primitive) dnnl_primitive_destroy(primitive);
    if (description) dnnl_primitive_desc_destroy(description);
    if (addition) dnnl_post_ops_destroy(addition);
    if (attributes) dnnl_primitive_attr_destroy(attributes);
    return status;
}
