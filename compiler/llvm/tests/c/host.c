/* A host of the model that tests/all/interface.rs compiles: uses every function, and everything wrongly too.
 * Argument: a folder for files. Prints `good` at the end. */
#define _POSIX_C_SOURCE 200809L

#include "tiny.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPECT(condition)                                                            \
    do {                                                                             \
        if (!(condition)) {                                                          \
            fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition); \
            exit(1);                                                                 \
        }                                                                            \
    } while (0)

enum { WIDTH = 4, ROWS = 3000 };

static float x[ROWS * WIDTH], y[ROWS * WIDTH], z[ROWS * WIDTH];
static int loops;

/* Backwards, to show that the order of blocks is free. */
static void backwards(void *user, tiny_kernel kernel, void *context, int64_t blocks)
{
    EXPECT(user == &loops);
    loops++;
    for (int64_t block = blocks - 1; block >= 0; block--)
        kernel(context, block, block + 1);
}

static unsigned char *read_all(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    EXPECT(file != NULL);
    static unsigned char bytes[1 << 16];
    *size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    return bytes;
}

static void write_all(const char *path, const unsigned char *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    EXPECT(file != NULL && fwrite(bytes, 1, size, file) == size && fclose(file) == 0);
}

static void check_values(const float *got, float scale)
{
    for (int i = 0; i < ROWS * WIDTH; i++)
        EXPECT(got[i] == x[i] * (scale + (float)(i % WIDTH)) + x[i]);
}

static void options_and_errors(void)
{
    char error[200];
    tiny_model *model = NULL;
    tiny_options options;
    EXPECT(tiny_abi_version() == TINY_ABI_VERSION);
    EXPECT(tiny_create(NULL, NULL, error, sizeof error) == TINY_INVALID_ARGUMENT && error[0]);
    EXPECT(tiny_create(NULL, NULL, NULL, 0) == TINY_INVALID_ARGUMENT);
    memset(&options, 0, sizeof options);
    EXPECT(tiny_create(&options, &model, error, sizeof error) == TINY_INVALID_ARGUMENT && model == NULL);
    options.struct_size = sizeof options;
    options.threads = -1;
    EXPECT(tiny_create(&options, &model, error, sizeof error) == TINY_INVALID_ARGUMENT);
    /* A caller of an older version knows the size and nothing else. */
    options.struct_size = sizeof(size_t);
    EXPECT(tiny_create(&options, &model, error, sizeof error) == TINY_OK);
    EXPECT(tiny_run(model, ROWS, x, y) == TINY_NO_WEIGHTS && tiny_last_error(model)[0]);
    EXPECT(tiny_save(model, "/nowhere/at/all") == TINY_NO_WEIGHTS);
    EXPECT(tiny_init(model, 1) == TINY_OK);
    EXPECT(tiny_run(model, 0, x, y) == TINY_CHECK_FAILED);
    EXPECT(strcmp(tiny_last_error(model), "batch >= 1 (tiny.model:3:5)") == 0);
    EXPECT(tiny_run(model, -1, x, y) == TINY_INVALID_ARGUMENT);
    EXPECT(tiny_run(model, INT64_MAX / 8, x, y) == TINY_INVALID_ARGUMENT);
    EXPECT(tiny_run(model, 1, NULL, y) == TINY_INVALID_ARGUMENT);
    EXPECT(tiny_run(model, 1, x, NULL) == TINY_INVALID_ARGUMENT);
    EXPECT(tiny_run(NULL, 1, x, y) == TINY_INVALID_ARGUMENT);
    EXPECT(tiny_workspace_bytes(model, 100) == 100 * WIDTH * 4);
    EXPECT(tiny_workspace_bytes(model, -5) == -1);
    EXPECT(tiny_load(model, NULL) == TINY_INVALID_ARGUMENT);
    EXPECT(tiny_load(model, "/nowhere/at/all") == TINY_FILE);
    EXPECT(tiny_save(model, "/nowhere/at/all") == TINY_FILE);
    EXPECT(tiny_load(model, "/") == TINY_FILE);
    tiny_destroy(model);
    tiny_destroy(NULL);
}

static void threads(void)
{
    for (int count = 0; count <= 5; count++) {
        tiny_options options;
        tiny_model *model;
        memset(&options, 0, sizeof options);
        options.struct_size = sizeof options;
        options.threads = count;
        if (count == 5) {
            options.parallel_for = backwards;
            options.parallel_for_user = &loops;
        }
        EXPECT(tiny_create(&options, &model, NULL, 0) == TINY_OK);
        EXPECT(tiny_init(model, 2) == TINY_OK);
        for (int round = 0; round < 50; round++) {
            memset(z, 0, sizeof z);
            EXPECT(tiny_run(model, ROWS, x, z) == TINY_OK);
            check_values(z, 2);
        }
        tiny_destroy(model);
    }
    EXPECT(loops > 0);
    /* Arrays that start at no round address. */
    tiny_model *model;
    EXPECT(tiny_create(NULL, &model, NULL, 0) == TINY_OK && tiny_init(model, 2) == TINY_OK);
    EXPECT(tiny_run(model, 5, x + 3, z + 1) == TINY_OK);
    for (int i = 0; i < 5 * WIDTH; i++)
        EXPECT(z[i + 1] == x[i + 3] * (2 + (float)(i % WIDTH)) + x[i + 3]);
    tiny_destroy(model);
}

static void training(const char *folder)
{
    char path[500], broken[520];
    float loss = -1;
    size_t size;
    tiny_model *model, *other;
    tiny_options options;
    snprintf(path, sizeof path, "%s/tiny.safetensors", folder);
    snprintf(broken, sizeof broken, "%s.broken", path);
    memset(&options, 0, sizeof options);
    options.struct_size = sizeof options;
    options.total_steps = 1000;
    EXPECT(tiny_create(&options, &model, NULL, 0) == TINY_OK);
    EXPECT(tiny_init(model, 3) == TINY_OK);
    /* A step adds the number of the step, from 0, plus total_steps. */
    EXPECT(tiny_step(model, 1, x, &loss) == TINY_OK && loss == 3);
    EXPECT(tiny_step(model, 1, x, &loss) == TINY_OK && loss == 1003);
    /* A step that fails changes nothing. */
    EXPECT(tiny_step(model, 0, x, &loss) == TINY_CHECK_FAILED);
    EXPECT(tiny_run(model, ROWS, x, z) == TINY_OK);
    check_values(z, 2004);
    EXPECT(tiny_save(model, path) == TINY_OK);

    EXPECT(tiny_create(NULL, &other, NULL, 0) == TINY_OK);
    EXPECT(tiny_load(other, path) == TINY_OK);
    EXPECT(tiny_run(other, ROWS, x, z) == TINY_OK);
    check_values(z, 2004);

    /* Broken files are refused and leave the weights alone; changed data is data. */
    unsigned char *bytes = read_all(path, &size);
    size_t header = 8 + bytes[0] + 256u * bytes[1];
    EXPECT(size == header + WIDTH * 4);
    for (size_t cut = 0; cut < size; cut++) {
        write_all(broken, bytes, cut);
        EXPECT(tiny_load(other, broken) == TINY_FORMAT && tiny_last_error(other)[0]);
    }
    size_t accepted = 0;
    for (size_t at = 0; at < header; at++) {
        static const unsigned char flips[] = {0x01, 0x02, 0x04, 0x10, 0x20, 0x80, 0xff};
        for (size_t flip = 0; flip < sizeof flips; flip++) {
            bytes[at] ^= flips[flip];
            write_all(broken, bytes, size);
            int status = tiny_load(other, broken);
            EXPECT(status == TINY_FORMAT || status == TINY_OK);
            accepted += status == TINY_OK;
            bytes[at] ^= flips[flip];
        }
    }
    /* Only blanks may turn into other blanks. */
    EXPECT(accepted <= 8);
    static const char *const headers[] = {
        "{}", "{\"w\":{}}", "[]", "", "{", "{\"w\":{\"dtype\":\"F32\",\"shape\":[4]}}",
        "{\"w\":{\"dtype\":\"F64\",\"shape\":[4],\"data_offsets\":[0,16]}}",
        "{\"w\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[0,16]}}",
        "{\"w\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,15]}}",
        "{\"w\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[16,0]}}",
        "{\"w\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[8,24]}}",
        "{\"w\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[18446744073709551600,18446744073709551616]}}",
        "{\"w\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]},}",
        "{\"w\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]}} x",
        "{\"w\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16],\"dtype\":\"F32\"}}",
        "{\"w\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]},\"w\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]}}",
        "{\"w\\u0000\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]}}",
        "{\"\\ud800\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]}}",
    };
    static const char *const good[] = {
        " { \"\\u0077\" : {\"shape\":[ 4 ], \"data_offsets\":[0, 16], \"dtype\":\"F32\"} } ",
        "{\"__metadata__\":{\"a\":\"b\",\"c\":\"\\ud83d\\ude00\"},\"w\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]}}",
        "{\"w\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]},\"more\":{\"dtype\":\"I8\",\"shape\":[],\"data_offsets\":[3,4]}}",
    };
    for (int kind = 0; kind < 2; kind++) {
        size_t count = kind ? sizeof good / sizeof *good : sizeof headers / sizeof *headers;
        for (size_t i = 0; i < count; i++) {
            const char *text = kind ? good[i] : headers[i];
            unsigned char file[1000];
            float values[WIDTH] = {2004, 2005, 2006, 2007};
            size_t length = strlen(text);
            memset(file, 0, 8);
            file[0] = (unsigned char)length;
            file[1] = (unsigned char)(length >> 8);
            memcpy(file + 8, text, length);
            memcpy(file + 8 + length, values, sizeof values);
            write_all(broken, file, 8 + length + sizeof values);
            int status = tiny_load(other, broken);
            if (status != (kind ? TINY_OK : TINY_FORMAT)) {
                fprintf(stderr, "%s gave %d: %s\n", text, status, tiny_last_error(other));
                exit(1);
            }
        }
    }
    EXPECT(tiny_run(other, ROWS, x, z) == TINY_OK);
    check_values(z, 2004);
    tiny_destroy(other);
    tiny_destroy(model);
}

int main(int count, char **arguments)
{
    EXPECT(count == 2);
    for (int i = 0; i < ROWS * WIDTH; i++)
        x[i] = (float)(i % 97) - 40;
    options_and_errors();
    threads();
    training(arguments[1]);
    puts("good");
    return 0;
}
