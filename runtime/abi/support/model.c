/* The functions behind a model's C interface, driven by its tables. */
#include "support.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALIGNMENT 64

struct dlc_v1_handle {
    const dlc_v1_model *model;
    dlc_v1_parallel_for_function parallel_for;
    void *pool;
    int32_t threads;
    /* Two copies of what training changes; `current` says which of them counts. */
    void **values[2];
    unsigned char *current;
    int has_weights;
    int64_t controls[DLC_V1_CONTROLS];
    void *workspace;
    size_t workspace_bytes;
    char error[512];
};

static int32_t fail(dlc_v1_handle *handle, int32_t status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(handle->error, sizeof handle->error, format, arguments);
    va_end(arguments);
    return status;
}

static void *aligned(size_t bytes)
{
    void *memory = NULL;
    return posix_memalign(&memory, ALIGNMENT, bytes > 0 ? bytes : ALIGNMENT) == 0 ? memory : NULL;
}

static void *value(const dlc_v1_handle *handle, int64_t variable)
{
    return handle->values[handle->current[variable]][variable];
}

/* The variable's other copy, made when it is first needed. */
static void *spare(dlc_v1_handle *handle, int64_t variable)
{
    void **place = &handle->values[1 - handle->current[variable]][variable];
    if (!*place)
        *place = aligned((size_t)handle->model->variables[variable].bytes);
    return *place;
}

/* What a file of weights does not hold, an optimiser's state for one, begins as `init` makes it. */
static int32_t begin(dlc_v1_handle *handle)
{
    const dlc_v1_model *model = handle->model;
    for (int64_t i = 0; i < model->entry_count; i++) {
        if (strcmp(model->entries[i].name, "init") == 0)
            return dlc_v1_init(handle, i, 0);
    }
    return DLC_V1_OK;
}

static int32_t use_tensors(dlc_v1_handle *handle, const unsigned char *bytes, uint64_t size)
{
    const dlc_v1_model *model = handle->model;
    const unsigned char **found = malloc(sizeof *found * (size_t)(model->variable_count + 1));
    if (!found)
        return fail(handle, DLC_V1_OUT_OF_MEMORY, "no memory");
    int32_t status = find_tensors(model, bytes, size, found, handle->error, sizeof handle->error);
    int complete = 1;
    for (int64_t i = 0; status == DLC_V1_OK && i < model->variable_count; i++)
        complete &= found[i] != NULL || model->variables[i].role == DLC_V1_GRADIENT;
    if (status == DLC_V1_OK && !complete && !handle->has_weights)
        status = begin(handle);
    if (status == DLC_V1_OK) {
        for (int64_t i = 0; i < model->variable_count; i++) {
            if (found[i])
                memcpy(value(handle, i), found[i], (size_t)model->variables[i].bytes);
        }
        handle->has_weights = 1;
    }
    free(found);
    return status;
}

int32_t dlc_v1_load(dlc_v1_handle *handle, const char *path)
{
    if (!handle)
        return DLC_V1_INVALID_ARGUMENT;
    if (!path)
        return fail(handle, DLC_V1_INVALID_ARGUMENT, "the path is null");
    uint64_t size = 0;
    int32_t status;
    unsigned char *bytes = read_file(path, &size, &status, handle->error, sizeof handle->error);
    if (!bytes)
        return status;
    status = use_tensors(handle, bytes, size);
    free(bytes);
    return status;
}

int32_t dlc_v1_save(dlc_v1_handle *handle, const char *path)
{
    if (!handle)
        return DLC_V1_INVALID_ARGUMENT;
    if (!path)
        return fail(handle, DLC_V1_INVALID_ARGUMENT, "the path is null");
    if (!handle->has_weights)
        return fail(handle, DLC_V1_NO_WEIGHTS, "there are no weights yet: load or initialise them first");
    const dlc_v1_model *model = handle->model;
    const void **values = malloc(sizeof *values * (size_t)(model->variable_count + 1));
    if (!values)
        return fail(handle, DLC_V1_OUT_OF_MEMORY, "no memory");
    for (int64_t i = 0; i < model->variable_count; i++)
        values[i] = value(handle, i);
    int32_t status = write_tensors(model, values, path, handle->error, sizeof handle->error);
    free(values);
    return status;
}

static void set_number(dlc_v1_handle *handle, int control, double number)
{
    memcpy(&handle->controls[control], &number, sizeof number);
}

/* The next batch is the first of its update. */
static void begin_update(dlc_v1_handle *handle)
{
    const dlc_v1_model *model = handle->model;
    handle->controls[DLC_V1_PART] = 0;
    for (int64_t i = 0; i < model->variable_count; i++) {
        if (model->variables[i].role == DLC_V1_GRADIENT)
            memset(value(handle, i), 0, (size_t)model->variables[i].bytes);
    }
}

int32_t dlc_v1_create(const dlc_v1_model *model, const dlc_v1_options *options, dlc_v1_handle **out, char *error,
                      size_t error_size)
{
    dlc_v1_options used;
    char unused[1];
    if (!error || error_size == 0) {
        error = unused;
        error_size = sizeof unused;
    }
    error[0] = 0;
    if (!out) {
        snprintf(error, error_size, "the place for the model is null");
        return DLC_V1_INVALID_ARGUMENT;
    }
    *out = NULL;
    memset(&used, 0, sizeof used);
    if (options) {
        /* Callers built against an older header know fewer fields. */
        size_t known = options->struct_size < sizeof used ? options->struct_size : sizeof used;
        if (options->struct_size < sizeof(size_t)) {
            snprintf(error, error_size, "struct_size of the options is not set");
            return DLC_V1_INVALID_ARGUMENT;
        }
        memcpy(&used, options, known);
    }
    if (used.threads < 0) {
        snprintf(error, error_size, "the number of threads is negative");
        return DLC_V1_INVALID_ARGUMENT;
    }
    const char *missing = missing_feature(model->features);
    if (missing) {
        snprintf(error, error_size, "%s was compiled for processors with %.*s, which this one lacks", model->name,
                 (int)strcspn(missing, ","), missing);
        return DLC_V1_UNSUPPORTED_CPU;
    }
    dlc_v1_handle *handle = calloc(1, sizeof *handle);
    size_t count = (size_t)model->variable_count + 1;
    int good = handle != NULL;
    if (good) {
        handle->model = model;
        handle->values[0] = calloc(count, sizeof(void *));
        handle->values[1] = calloc(count, sizeof(void *));
        handle->current = calloc(count, 1);
        good = handle->values[0] && handle->values[1] && handle->current;
        dlc_v1_pool_retain();
    }
    for (int64_t i = 0; good && i < model->variable_count; i++) {
        void *memory = aligned((size_t)model->variables[i].bytes);
        good = memory != NULL;
        if (good)
            memset(memory, 0, (size_t)model->variables[i].bytes);
        handle->values[0][i] = memory;
    }
    if (!good) {
        snprintf(error, error_size, "no memory for the weights of %s", model->name);
        dlc_v1_destroy(handle);
        return DLC_V1_OUT_OF_MEMORY;
    }
    handle->threads = used.threads > 0 ? used.threads : dlc_v1_default_threads();
    handle->parallel_for = used.parallel_for ? used.parallel_for : dlc_v1_parallel_for;
    handle->pool = used.parallel_for ? used.parallel_for_user : &handle->threads;
    handle->controls[DLC_V1_TOTAL_STEPS] = used.total_steps;
    set_number(handle, DLC_V1_SHARE, 1.0);
    set_number(handle, DLC_V1_LR_SCALE, 1.0);
    handle->has_weights = model->variable_count == 0;
    if (model->weights) {
        int32_t status = use_tensors(handle, model->weights, (uint64_t)model->weights_bytes);
        if (status != DLC_V1_OK) {
            snprintf(error, error_size, "%s", handle->error);
            dlc_v1_destroy(handle);
            return status;
        }
    }
    *out = handle;
    return DLC_V1_OK;
}

void dlc_v1_destroy(dlc_v1_handle *handle)
{
    if (!handle)
        return;
    for (int copy = 0; copy < 2; copy++) {
        for (int64_t i = 0; handle->values[copy] && i < handle->model->variable_count; i++)
            free(handle->values[copy][i]);
        free(handle->values[copy]);
    }
    free(handle->current);
    free(handle->workspace);
    free(handle);
    dlc_v1_pool_release();
}

const char *dlc_v1_last_error(const dlc_v1_handle *handle)
{
    return handle ? handle->error : "there is no model";
}

/* Sizes of a call: workspace, then every axis. To be freed; null with the error's status. */
static int64_t *sizes_of(dlc_v1_handle *handle, const dlc_v1_entry *entry, const int64_t *dims, int32_t *status)
{
    int64_t count = 1;
    for (int64_t i = 0; i < entry->symbol_count; i++) {
        if (dims[i] < 0) {
            *status = fail(handle, DLC_V1_INVALID_ARGUMENT, "dimension `%s` is negative", entry->symbols[i]);
            return NULL;
        }
    }
    for (int64_t i = 0; i < entry->arg_count + entry->result_count; i++)
        count += entry->slots[i].rank;
    int64_t *sizes = malloc(sizeof *sizes * (size_t)count);
    if (!sizes) {
        *status = fail(handle, DLC_V1_OUT_OF_MEMORY, "no memory");
        return NULL;
    }
    entry->shapes(dims, sizes);
    for (int64_t i = 0; i < count; i++) {
        if (sizes[i] < 0) {
            *status = fail(handle, DLC_V1_INVALID_ARGUMENT,
                           "with these dimensions a size is negative or does not fit 64 bits");
            free(sizes);
            return NULL;
        }
    }
    return sizes;
}

int64_t dlc_v1_workspace_bytes(dlc_v1_handle *handle, int64_t entry, const int64_t *dims)
{
    int32_t status;
    if (!handle)
        return -1;
    int64_t *sizes = sizes_of(handle, &handle->model->entries[entry], dims, &status);
    if (!sizes)
        return -1;
    int64_t bytes = sizes[0];
    free(sizes);
    return bytes;
}

static int32_t reserve(dlc_v1_handle *handle, int64_t bytes)
{
    if ((uint64_t)bytes <= handle->workspace_bytes)
        return DLC_V1_OK;
    void *memory = (uint64_t)bytes <= SIZE_MAX - ALIGNMENT ? aligned((size_t)bytes) : NULL;
    if (!memory)
        return fail(handle, DLC_V1_OUT_OF_MEMORY, "no memory for a workspace of %lld bytes", (long long)bytes);
    free(handle->workspace);
    handle->workspace = memory;
    handle->workspace_bytes = (size_t)bytes;
    return DLC_V1_OK;
}

/* Whether all axes of the slot whose sizes start at `sizes` are positive, so that it has elements at all. */
static int has_elements(const dlc_v1_slot *slot, const int64_t *sizes)
{
    for (int64_t axis = 0; axis < slot->rank; axis++) {
        if (sizes[axis] == 0)
            return 0;
    }
    return 1;
}

int32_t dlc_v1_call(dlc_v1_handle *handle, int64_t index, const int64_t *dims, const void *const *inputs,
                    void *const *outputs)
{
    if (!handle)
        return DLC_V1_INVALID_ARGUMENT;
    const dlc_v1_entry *entry = &handle->model->entries[index];
    int64_t slots = entry->arg_count + entry->result_count;
    int32_t status = DLC_V1_OK;
    int64_t *sizes = sizes_of(handle, entry, dims, &status);
    if (!sizes)
        return status;
    void **buffers = malloc(sizeof *buffers * (size_t)(slots + 1));
    if (!buffers)
        status = fail(handle, DLC_V1_OUT_OF_MEMORY, "no memory");
    else
        status = reserve(handle, sizes[0]);
    const int64_t *axes = sizes + 1;
    for (int64_t i = 0; status == DLC_V1_OK && i < slots; i++) {
        const dlc_v1_slot *slot = &entry->slots[i];
        int result = i >= entry->arg_count;
        void *buffer = NULL;
        switch (slot->kind) {
        case DLC_V1_INPUT: {
            union {
                const void *in;
                void *out;
            } pointer = {inputs[slot->index]};
            buffer = pointer.out;
            break;
        }
        case DLC_V1_OUTPUT: buffer = outputs[slot->index]; break;
        case DLC_V1_CONTROL: buffer = &handle->controls[slot->index]; break;
        case DLC_V1_VARIABLE:
            if (!result && !handle->has_weights) {
                status = fail(handle, DLC_V1_NO_WEIGHTS, "there are no weights yet: load or initialise them first");
                continue;
            }
            buffer = result ? spare(handle, slot->index) : value(handle, slot->index);
            if (!buffer)
                status = fail(handle, DLC_V1_OUT_OF_MEMORY, "no memory for a second copy of `%s`", slot->name);
            break;
        }
        if (!buffer && status == DLC_V1_OK && has_elements(slot, axes))
            status = fail(handle, DLC_V1_INVALID_ARGUMENT, "`%s` is null", slot->name);
        axes += slot->rank;
        buffers[i] = buffer;
    }
    if (status == DLC_V1_OK) {
        int32_t failed = entry->function(buffers, dims, handle->workspace, handle->parallel_for, handle->pool);
        if (failed != 0) {
            const char *message = "a condition of the model does not hold", *place = "";
            if (failed > 0 && failed <= entry->check_count) {
                message = entry->checks[failed - 1].message;
                place = entry->checks[failed - 1].place;
            }
            status = fail(handle, DLC_V1_CHECK_FAILED, place[0] ? "%s (%s)" : "%s%s", message, place);
        }
    }
    /* What was written becomes what counts only when all of it is there. */
    for (int64_t i = entry->arg_count; status == DLC_V1_OK && i < slots; i++) {
        if (entry->slots[i].kind == DLC_V1_VARIABLE)
            handle->current[entry->slots[i].index] ^= 1;
    }
    free(buffers);
    free(sizes);
    return status;
}

int32_t dlc_v1_init(dlc_v1_handle *handle, int64_t entry, int64_t seed)
{
    static const int64_t no_dims[1] = {0};
    static const void *const no_inputs[1] = {NULL};
    void *no_outputs[1] = {NULL};
    if (!handle)
        return DLC_V1_INVALID_ARGUMENT;
    int64_t before[2] = {handle->controls[DLC_V1_SEED], handle->controls[DLC_V1_STEP]};
    handle->controls[DLC_V1_SEED] = seed;
    handle->controls[DLC_V1_STEP] = 0;
    int32_t status = dlc_v1_call(handle, entry, no_dims, no_inputs, no_outputs);
    if (status == DLC_V1_OK) {
        handle->has_weights = 1;
        begin_update(handle);
    } else {
        handle->controls[DLC_V1_SEED] = before[0];
        handle->controls[DLC_V1_STEP] = before[1];
    }
    return status;
}

void dlc_v1_set_share(dlc_v1_handle *handle, double share)
{
    if (handle)
        set_number(handle, DLC_V1_SHARE, share);
}

int32_t dlc_v1_set_rate_scale(dlc_v1_handle *handle, double scale)
{
    if (!handle)
        return DLC_V1_INVALID_ARGUMENT;
    set_number(handle, DLC_V1_LR_SCALE, scale);
    return DLC_V1_OK;
}

int32_t dlc_v1_accumulate(dlc_v1_handle *handle, int64_t entry, const int64_t *dims, const void *const *inputs,
                          void *const *outputs)
{
    int32_t status = dlc_v1_call(handle, entry, dims, inputs, outputs);
    if (status == DLC_V1_OK)
        handle->controls[DLC_V1_PART]++;
    return status;
}

int32_t dlc_v1_step(dlc_v1_handle *handle, int64_t entry, const int64_t *dims, const void *const *inputs,
                    void *const *outputs)
{
    int32_t status = dlc_v1_call(handle, entry, dims, inputs, outputs);
    if (status == DLC_V1_OK) {
        handle->controls[DLC_V1_STEP]++;
        begin_update(handle);
    }
    return status;
}
