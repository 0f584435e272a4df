/* What every compiled model carries: the tables that describe it, and the functions behind its C interface.
 *
 * Compiled code provides the tables as constants. Names are versioned; a change of any layout here is a new version.
 * All integers are 64 bits wide, so that the tables need no care about padding.
 */
#ifndef DLC_V1_SUPPORT_H
#define DLC_V1_SUPPORT_H

#include <stddef.h>
#include <stdint.h>

#define DLC_V1_VERSION 1

typedef void (*dlc_v1_kernel)(void *cx, int64_t from, int64_t to);
typedef void (*dlc_v1_parallel_for_function)(void *pool, dlc_v1_kernel kernel, void *cx, int64_t blocks);
typedef int32_t (*dlc_v1_function)(void *const *buffers, const int64_t *dims, void *workspace,
                                   dlc_v1_parallel_for_function parallel_for, void *pool);
typedef void (*dlc_v1_shapes)(const int64_t *dims, int64_t *out);

enum {
    DLC_V1_OK = 0,
    DLC_V1_INVALID_ARGUMENT = 1,
    DLC_V1_UNSUPPORTED_CPU = 2,
    DLC_V1_OUT_OF_MEMORY = 3,
    DLC_V1_FILE = 4,
    DLC_V1_FORMAT = 5,
    DLC_V1_NO_WEIGHTS = 6,
    DLC_V1_CHECK_FAILED = 7
};

enum {
    DLC_V1_F64,
    DLC_V1_F32,
    DLC_V1_F16,
    DLC_V1_BF16,
    DLC_V1_I64,
    DLC_V1_I32,
    DLC_V1_I16,
    DLC_V1_I8,
    DLC_V1_U8,
    DLC_V1_BOOL,
    DLC_V1_DTYPES
};

/* What a variable is: files must have weights and states, they may have what the optimiser remembers, and they never have
 * sums of gradients, which begin at 0 with each update. */
enum { DLC_V1_WEIGHT, DLC_V1_STATE, DLC_V1_OPTIMIZER, DLC_V1_GRADIENT };

/* Something that the model keeps from call to call. */
typedef struct {
    const char *name;
    int64_t role;
    int64_t dtype;
    int64_t rank;
    const int64_t *shape;
    int64_t bytes;
} dlc_v1_variable;

/* Where an argument comes from, or a result goes to. */
enum { DLC_V1_INPUT, DLC_V1_VARIABLE, DLC_V1_CONTROL, DLC_V1_OUTPUT };
/* The last two are doubles. */
enum {
    DLC_V1_SEED,
    DLC_V1_STEP,
    DLC_V1_TOTAL_STEPS,
    DLC_V1_PART,
    DLC_V1_SHARE,
    DLC_V1_LR_SCALE,
    DLC_V1_CONTROLS
};

typedef struct {
    const char *name;
    int64_t kind;
    /* Position among the caller's inputs or outputs, the variables, or the controls. */
    int64_t index;
    int64_t rank;
} dlc_v1_slot;

typedef struct {
    const char *message;
    const char *place;
} dlc_v1_check;

typedef struct {
    const char *name;
    dlc_v1_function function;
    dlc_v1_shapes shapes;
    const char *const *symbols;
    int64_t symbol_count;
    /* Arguments, then results. */
    const dlc_v1_slot *slots;
    int64_t arg_count;
    int64_t result_count;
    const dlc_v1_check *checks;
    int64_t check_count;
} dlc_v1_entry;

typedef struct {
    int64_t version;
    const char *name;
    /* What the processor must offer, comma-separated. */
    const char *features;
    const dlc_v1_entry *entries;
    int64_t entry_count;
    const dlc_v1_variable *variables;
    int64_t variable_count;
    /* A safetensors file that came with the code, or null. */
    const void *weights;
    int64_t weights_bytes;
} dlc_v1_model;

typedef struct {
    size_t struct_size;
    int32_t threads;
    dlc_v1_parallel_for_function parallel_for;
    void *parallel_for_user;
    int64_t total_steps;
} dlc_v1_options;

typedef struct dlc_v1_handle dlc_v1_handle;

/* Weak: several models linked into one program share one copy. */
#define DLC_V1_API __attribute__((weak, visibility("hidden")))

DLC_V1_API int32_t dlc_v1_create(const dlc_v1_model *model, const dlc_v1_options *options, dlc_v1_handle **out,
                                 char *error, size_t error_size);
DLC_V1_API void dlc_v1_destroy(dlc_v1_handle *handle);
DLC_V1_API const char *dlc_v1_last_error(const dlc_v1_handle *handle);
DLC_V1_API int32_t dlc_v1_load(dlc_v1_handle *handle, const char *path);
DLC_V1_API int32_t dlc_v1_save(dlc_v1_handle *handle, const char *path);
/* Bytes that a call needs beside its buffers; -1 if the dimensions are refused. */
DLC_V1_API int64_t dlc_v1_workspace_bytes(dlc_v1_handle *handle, int64_t entry, const int64_t *dims);
DLC_V1_API int32_t dlc_v1_call(dlc_v1_handle *handle, int64_t entry, const int64_t *dims, const void *const *inputs,
                               void *const *outputs);
/* Sets the seed, counts steps from 0 again, and runs the entry that makes initial weights. */
DLC_V1_API int32_t dlc_v1_init(dlc_v1_handle *handle, int64_t entry, int64_t seed);
/* The share of the next batch in the rows of its update. */
DLC_V1_API void dlc_v1_set_share(dlc_v1_handle *handle, double share);
/* What learning rates that wait for a plateau are multiplied by from now on. */
DLC_V1_API int32_t dlc_v1_set_rate_scale(dlc_v1_handle *handle, double scale);
/* Runs the entry that adds a batch's gradients to those of the update's earlier batches, and counts it if it succeeded. */
DLC_V1_API int32_t dlc_v1_accumulate(dlc_v1_handle *handle, int64_t entry, const int64_t *dims,
                                     const void *const *inputs, void *const *outputs);
/* Runs a training entry, and counts the step if it succeeded. */
DLC_V1_API int32_t dlc_v1_step(dlc_v1_handle *handle, int64_t entry, const int64_t *dims, const void *const *inputs,
                               void *const *outputs);

/* Threads, one pool a process; `pool` points at the number of threads, the caller's among them, that may take part. */
DLC_V1_API void dlc_v1_parallel_for(void *pool, dlc_v1_kernel kernel, void *cx, int64_t blocks);
DLC_V1_API void dlc_v1_pool_retain(void);
DLC_V1_API void dlc_v1_pool_release(void);
DLC_V1_API int32_t dlc_v1_default_threads(void);

#endif
