#include "COneDNN.h"

#include <oneapi/dnnl/dnnl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

// From libgomp, which Debian's oneDNN uses: sets the number of threads in the calling thread's parallel regions.
void omp_set_num_threads(int count);

/// Rows are multiplied in blocks of at most this many, so that one generated kernel serves all but the last few.
enum { block_rows = 256, small_block_rows = 64, row_step = 16 };

/// The properties that the generated code of a product depends on.
typedef struct {
    size_t rows, inner, columns;
    size_t left_row, left_column, right_row, right_column, y_stride;
    int is_half, adds;
} shape;

/// A product that is ready to be run; empty if there is no primitive.
typedef struct {
    shape key;
    dnnl_primitive_t primitive;
    dnnl_memory_t left, right, y;
} prepared_product;

/// Many times the number of shapes in a model's products.
enum { prepared_count = 1024, prepared_most = 768 };

typedef struct {
    void *values;
    size_t capacity;
} buffer;

/// oneDNN runs a primitive on the thread that made it, so each thread has its own.
typedef struct {
    dnnl_stream_t stream;
    buffer scratch, last_rows, last_products;
    size_t count;
    prepared_product products[prepared_count];
} thread_state;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static dnnl_engine_t engine;

static void forget(thread_state *state) {
    for (size_t index = 0; index < prepared_count; index++) {
        prepared_product *product = &state->products[index];
        if (!product->primitive) continue;
        dnnl_memory_destroy(product->left);
        dnnl_memory_destroy(product->right);
        dnnl_memory_destroy(product->y);
        dnnl_primitive_destroy(product->primitive);
    }
    memset(state->products, 0, sizeof state->products);
    state->count = 0;
}

static void release(void *value) {
    thread_state *state = value;
    forget(state);
    if (state->stream) dnnl_stream_destroy(state->stream);
    free(state->scratch.values);
    free(state->last_rows.values);
    free(state->last_products.values);
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
    // The workers provide the parallelism.
    omp_set_num_threads(1);
    return state;
}

static void *room(buffer *buffer, size_t bytes) {
    if (buffer->capacity < bytes) {
        free(buffer->values);
        // aligned_alloc requires a multiple of the alignment.
        buffer->values = aligned_alloc(64, (bytes + 63) / 64 * 64);
        buffer->capacity = buffer->values ? bytes : 0;
    }
    return buffer->values;
}

int tributary_has_bfloat16_products(void) {
    return (dnnl_get_effective_cpu_isa() & dnnl_cpu_isa_avx512_core_bf16) == dnnl_cpu_isa_avx512_core_bf16;
}

int tributary_has_float_products(void) {
    return (dnnl_get_effective_cpu_isa() & dnnl_cpu_isa_avx512_core) == dnnl_cpu_isa_avx512_core;
}

uint16_t *tributary_thread_scratch(size_t count) {
    thread_state *state = current();
    return state ? room(&state->scratch, count * sizeof(uint16_t)) : NULL;
}

static dnnl_status_t describe(dnnl_memory_desc_t *layout, size_t rows, size_t columns, dnnl_data_type_t type,
                              size_t row_stride, size_t column_stride) {
    const dnnl_dims_t size = {(dnnl_dim_t)rows, (dnnl_dim_t)columns};
    const dnnl_dims_t strides = {(dnnl_dim_t)row_stride, (dnnl_dim_t)column_stride};
    return dnnl_memory_desc_init_by_strides(layout, 2, size, type, strides);
}

static dnnl_status_t prepare(prepared_product *made, const shape *of) {
    const dnnl_data_type_t type = of->is_half ? dnnl_bf16 : dnnl_f32;
    dnnl_memory_desc_t left, right, y;
    dnnl_matmul_desc_t product;
    dnnl_primitive_attr_t attributes = NULL;
    dnnl_post_ops_t addition = NULL;
    dnnl_primitive_desc_t description = NULL;
    dnnl_status_t status;
    memset(made, 0, sizeof *made);
#define TRY(call) \
    if ((status = (call)) != dnnl_success) goto end
    TRY(describe(&left, of->rows, of->inner, type, of->left_row, of->left_column));
    TRY(describe(&right, of->inner, of->columns, type, of->right_row, of->right_column));
    TRY(describe(&y, of->rows, of->columns, dnnl_f32, of->y_stride, 1));
    TRY(dnnl_matmul_desc_init(&product, &left, &right, NULL, &y));
    TRY(dnnl_primitive_attr_create(&attributes));
    if (of->adds) {
        TRY(dnnl_post_ops_create(&addition));
        TRY(dnnl_post_ops_append_sum(addition, 1.0f));
        TRY(dnnl_primitive_attr_set_post_ops(attributes, addition));
    }
    TRY(dnnl_primitive_desc_create(&description, &product, attributes, engine, NULL));
    TRY(dnnl_memory_create(&made->left, &left, engine, DNNL_MEMORY_NONE));
    TRY(dnnl_memory_create(&made->right, &right, engine, DNNL_MEMORY_NONE));
    TRY(dnnl_memory_create(&made->y, &y, engine, DNNL_MEMORY_NONE));
    TRY(dnnl_primitive_create(&made->primitive, description));
    made->key = *of;
end:
    if (status != dnnl_success) {
        if (made->left) dnnl_memory_destroy(made->left);
        if (made->right) dnnl_memory_destroy(made->right);
        if (made->y) dnnl_memory_destroy(made->y);
        memset(made, 0, sizeof *made);
    }
    if (description) dnnl_primitive_desc_destroy(description);
    if (addition) dnnl_post_ops_destroy(addition);
    if (attributes) dnnl_primitive_attr_destroy(attributes);
    return status;
}

static size_t hash(const shape *of) {
    const size_t parts[] = {of->rows,        of->inner,     of->columns,      of->left_row, of->left_column,
                            of->right_row,   of->right_column, of->y_stride, (size_t)(2 * of->is_half + of->adds)};
    size_t sum = 0;
    for (size_t index = 0; index < sizeof parts / sizeof *parts; index++)
        sum = (sum ^ parts[index]) * (size_t)0x9E3779B97F4A7C15;
    return sum >> 32;
}

static int is_same(const shape *left, const shape *right) {
    return left->rows == right->rows && left->inner == right->inner && left->columns == right->columns &&
           left->left_row == right->left_row && left->left_column == right->left_column &&
           left->right_row == right->right_row && left->right_column == right->right_column &&
           left->y_stride == right->y_stride && left->is_half == right->is_half && left->adds == right->adds;
}

static dnnl_status_t find(thread_state *state, const shape *of, prepared_product **found) {
    size_t place = hash(of) % prepared_count;
    while (state->products[place].primitive) {
        if (is_same(&state->products[place].key, of)) {
            *found = &state->products[place];
            return dnnl_success;
        }
        place = (place + 1) % prepared_count;
    }
    if (state->count == prepared_most) {
        forget(state);
        place = hash(of) % prepared_count;
    }
    const dnnl_status_t status = prepare(&state->products[place], of);
    if (status == dnnl_success) state->count++;
    *found = &state->products[place];
    return status;
}

/// One product with the number of rows for which its code was generated.
static dnnl_status_t run(thread_state *state, const shape *of, const void *left, const void *right, float *y) {
    prepared_product *product;
    dnnl_status_t status = find(state, of, &product);
    if (status != dnnl_success) return status;
    dnnl_memory_set_data_handle(product->left, (void *)left);
    dnnl_memory_set_data_handle(product->right, (void *)right);
    dnnl_memory_set_data_handle(product->y, y);
    const dnnl_exec_arg_t arguments[3] = {
        {DNNL_ARG_SRC, product->left}, {DNNL_ARG_WEIGHTS, product->right}, {DNNL_ARG_DST, product->y}};
    status = dnnl_primitive_execute(product->primitive, state->stream, 3, arguments);
    return status == dnnl_success ? dnnl_stream_wait(state->stream) : status;
}

static size_t width(const shape *of) { return of->is_half ? sizeof(uint16_t) : sizeof(float); }

/// The last few rows, padded with rows of zeros.
static dnnl_status_t run_padded(thread_state *state, shape of, const char *left, const void *right, float *y) {
    const size_t rows = of.rows, size = width(&of);
    of.rows = (rows + row_step - 1) / row_step * row_step;
    char *padded = room(&state->last_rows, of.rows * of.inner * size);
    float *products = room(&state->last_products, of.rows * of.columns * sizeof(float));
    if (!padded || !products) return dnnl_out_of_memory;
    for (size_t row = 0; row < rows; row++) {
        const char *source = left + row * of.left_row * size;
        char *target = padded + row * of.inner * size;
        if (of.left_column == 1) {
            memcpy(target, source, of.inner * size);
        } else {
            for (size_t column = 0; column < of.inner; column++)
                memcpy(target + column * size, source + column * of.left_column * size, size);
        }
    }
    memset(padded + rows * of.inner * size, 0, (of.rows - rows) * of.inner * size);
    const size_t y_stride = of.y_stride;
    const int adds = of.adds;
    of.left_row = of.inner;
    of.left_column = 1;
    of.y_stride = of.columns;
    of.adds = 0;
    const dnnl_status_t status = run(state, &of, padded, right, products);
    if (status != dnnl_success) return status;
    for (size_t row = 0; row < rows; row++) {
        const float *source = products + row * of.columns;
        float *target = y + row * y_stride;
        if (adds) {
            for (size_t column = 0; column < of.columns; column++) target[column] += source[column];
        } else {
            memcpy(target, source, of.columns * sizeof(float));
        }
    }
    return dnnl_success;
}

static size_t multiply(int is_half, tributary_factor left, tributary_factor right, float *y, size_t y_stride, size_t rows,
                       size_t inner, size_t columns, int adds) {
    thread_state *state = current();
    if (!state || !engine) return 0;
    if (!state->stream &&
        dnnl_stream_create(&state->stream, engine, dnnl_stream_default_flags) != dnnl_success)
        return 0;
    shape of = {.inner = inner,
                .columns = columns,
                .left_row = left.row_stride,
                .left_column = left.column_stride,
                .right_row = right.row_stride,
                .right_column = right.column_stride,
                .y_stride = y_stride,
                .is_half = is_half,
                .adds = adds};
    size_t done = 0;
    while (done < rows) {
        const size_t remaining = rows - done;
        of.rows = remaining >= block_rows         ? block_rows
                  : remaining >= small_block_rows ? remaining / small_block_rows * small_block_rows
                                                  : remaining;
        const char *start = (const char *)left.values + done * left.row_stride * width(&of);
        float *target = y + done * y_stride;
        const dnnl_status_t status = of.rows % row_step == 0 ? run(state, &of, start, right.values, target)
                                                             : run_padded(state, of, start, right.values, target);
        if (status != dnnl_success) break;
        done += of.rows;
    }
    return done;
}

size_t tributary_float_product(tributary_factor left, tributary_factor right, float *y, size_t y_stride, size_t rows,
                               size_t inner, size_t columns, int adds) {
    return multiply(0, left, right, y, y_stride, rows, inner, columns, adds);
}

size_t tributary_bfloat16_product(tributary_factor left, tributary_factor right, float *y, size_t y_stride,
                                  size_t rows, size_t inner, size_t columns, int adds) {
    return multiply(1, left, right, y, y_stride, rows, inner, columns, adds);
}
