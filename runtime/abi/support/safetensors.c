/* Weights files. The header is JSON of a fixed form, read by a strict parser that checks every length before it is
 * used; nothing is written to the model until the whole file has been found good. */
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_HEADER (100u << 20)
#define MAX_RANK 16

typedef struct {
    const char *name;
    const char *code;
    int64_t size;
} dtype_info;

static const dtype_info DTYPES[DLC_V1_DTYPES] = {
    {"f64", "F64", 8}, {"f32", "F32", 4}, {"f16", "F16", 2}, {"bf16", "BF16", 2}, {"i64", "I64", 8},
    {"i32", "I32", 4}, {"i16", "I16", 2}, {"i8", "I8", 1},   {"u8", "U8", 1},     {"bool", "BOOL", 1},
};

/* A place in the header; `at` never passes `end`. */
typedef struct {
    const unsigned char *at;
    const unsigned char *end;
} cursor;

/* What the file says of one tensor. */
typedef struct {
    char dtype[8];
    int64_t shape[MAX_RANK];
    int64_t rank;
    uint64_t begin, end;
    int seen_dtype, seen_shape, seen_offsets;
} tensor_entry;

static void skip_space(cursor *c)
{
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\t' || *c->at == '\n' || *c->at == '\r'))
        c->at++;
}

static int take(cursor *c, char wanted)
{
    skip_space(c);
    if (c->at >= c->end || *c->at != (unsigned char)wanted)
        return 0;
    c->at++;
    return 1;
}

static int hex4(cursor *c, uint32_t *out)
{
    uint32_t value = 0;
    if (c->end - c->at < 4)
        return 0;
    for (int i = 0; i < 4; i++) {
        unsigned char d = *c->at++;
        value <<= 4;
        if (d >= '0' && d <= '9')
            value |= (uint32_t)(d - '0');
        else if (d >= 'a' && d <= 'f')
            value |= (uint32_t)(d - 'a' + 10);
        else if (d >= 'A' && d <= 'F')
            value |= (uint32_t)(d - 'A' + 10);
        else
            return 0;
    }
    *out = value;
    return 1;
}

/* Appends to the text if it fits; the length counts on, so that an overlong text equals nothing that was asked for. */
static void put(char *text, size_t size, size_t *length, uint32_t byte)
{
    if (*length + 1 < size)
        text[*length] = (char)byte;
    (*length)++;
}

/* A string, decoded to UTF-8. Gives its length, or -1 if it is malformed. */
static int64_t string(cursor *c, char *text, size_t size)
{
    size_t length = 0;
    if (!take(c, '"'))
        return -1;
    while (c->at < c->end && *c->at != '"') {
        uint32_t code = *c->at++;
        if (code < 0x20)
            return -1;
        if (code != '\\') {
            put(text, size, &length, code);
            continue;
        }
        if (c->at >= c->end)
            return -1;
        switch (*c->at++) {
        case '"': put(text, size, &length, '"'); continue;
        case '\\': put(text, size, &length, '\\'); continue;
        case '/': put(text, size, &length, '/'); continue;
        case 'b': put(text, size, &length, '\b'); continue;
        case 'f': put(text, size, &length, '\f'); continue;
        case 'n': put(text, size, &length, '\n'); continue;
        case 'r': put(text, size, &length, '\r'); continue;
        case 't': put(text, size, &length, '\t'); continue;
        case 'u': break;
        default: return -1;
        }
        if (!hex4(c, &code) || code == 0 || (code >= 0xdc00 && code < 0xe000))
            return -1;
        if (code >= 0xd800 && code < 0xdc00) {
            uint32_t low;
            if (c->end - c->at < 6 || c->at[0] != '\\' || c->at[1] != 'u')
                return -1;
            c->at += 2;
            if (!hex4(c, &low) || low < 0xdc00 || low >= 0xe000)
                return -1;
            code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        }
        if (code < 0x80) {
            put(text, size, &length, code);
        } else if (code < 0x800) {
            put(text, size, &length, 0xc0 | code >> 6);
            put(text, size, &length, 0x80 | (code & 0x3f));
        } else if (code < 0x10000) {
            put(text, size, &length, 0xe0 | code >> 12);
            put(text, size, &length, 0x80 | (code >> 6 & 0x3f));
            put(text, size, &length, 0x80 | (code & 0x3f));
        } else {
            put(text, size, &length, 0xf0 | code >> 18);
            put(text, size, &length, 0x80 | (code >> 12 & 0x3f));
            put(text, size, &length, 0x80 | (code >> 6 & 0x3f));
            put(text, size, &length, 0x80 | (code & 0x3f));
        }
    }
    if (c->at >= c->end)
        return -1;
    c->at++;
    if (size > 0)
        text[length < size ? length : size - 1] = 0;
    return (int64_t)length;
}

/* A whole number without sign, at most 2^63 - 1. */
static int number(cursor *c, uint64_t *out)
{
    uint64_t value = 0;
    int digits = 0;
    skip_space(c);
    while (c->at < c->end && *c->at >= '0' && *c->at <= '9') {
        uint64_t digit = (uint64_t)(*c->at++ - '0');
        if (value > ((uint64_t)INT64_MAX - digit) / 10)
            return 0;
        value = value * 10 + digit;
        digits++;
    }
    *out = value;
    return digits > 0;
}

/* `{"key": "text", …}`, the form of `__metadata__`. */
static int skip_metadata(cursor *c)
{
    if (!take(c, '{'))
        return 0;
    if (take(c, '}'))
        return 1;
    do {
        if (string(c, NULL, 0) < 0 || !take(c, ':') || string(c, NULL, 0) < 0)
            return 0;
    } while (take(c, ','));
    return take(c, '}');
}

static int tensor(cursor *c, tensor_entry *out)
{
    char key[16];
    memset(out, 0, sizeof *out);
    if (!take(c, '{'))
        return 0;
    do {
        int64_t length = string(c, key, sizeof key);
        if (length < 0 || !take(c, ':'))
            return 0;
        if (strcmp(key, "dtype") == 0 && !out->seen_dtype) {
            length = string(c, out->dtype, sizeof out->dtype);
            if (length < 0)
                return 0;
            out->seen_dtype = 1;
        } else if (strcmp(key, "shape") == 0 && !out->seen_shape) {
            if (!take(c, '['))
                return 0;
            if (!take(c, ']')) {
                do {
                    uint64_t size;
                    if (out->rank >= MAX_RANK || !number(c, &size))
                        return 0;
                    out->shape[out->rank++] = (int64_t)size;
                } while (take(c, ','));
                if (!take(c, ']'))
                    return 0;
            }
            out->seen_shape = 1;
        } else if (strcmp(key, "data_offsets") == 0 && !out->seen_offsets) {
            if (!take(c, '[') || !number(c, &out->begin) || !take(c, ',') || !number(c, &out->end) || !take(c, ']'))
                return 0;
            out->seen_offsets = 1;
        } else {
            return 0;
        }
    } while (take(c, ','));
    return take(c, '}') && out->seen_dtype && out->seen_shape && out->seen_offsets;
}

/* Finds the variables in a file that lies in memory: `found[i]` points into it, or is null for what it lacks. */
static int32_t find_tensors(const dlc_v1_model *model, const unsigned char *bytes, uint64_t size,
                            const unsigned char **found, char *error, size_t error_size)
{
    uint64_t header = 0;
    char name[1024];
    if (size < 8) {
        snprintf(error, error_size, "the weights file is cut off");
        return DLC_V1_FORMAT;
    }
    for (int i = 7; i >= 0; i--)
        header = header << 8 | bytes[i];
    if (header > MAX_HEADER || header > size - 8) {
        snprintf(error, error_size, "the weights file's header is longer than the file");
        return DLC_V1_FORMAT;
    }
    const unsigned char *data = bytes + 8 + header;
    uint64_t data_bytes = size - 8 - header;
    cursor c = {bytes + 8, bytes + 8 + header};
    for (int64_t i = 0; i < model->variable_count; i++)
        found[i] = NULL;
    if (!take(&c, '{'))
        goto malformed;
    if (!take(&c, '}')) {
        do {
            tensor_entry entry;
            int64_t length = string(&c, name, sizeof name);
            if (length < 0 || !take(&c, ':'))
                goto malformed;
            if (strcmp(name, "__metadata__") == 0) {
                if (!skip_metadata(&c))
                    goto malformed;
                continue;
            }
            if (!tensor(&c, &entry))
                goto malformed;
            if (entry.begin > entry.end || entry.end > data_bytes) {
                snprintf(error, error_size, "`%.100s` lies outside of the weights file", name);
                return DLC_V1_FORMAT;
            }
            if ((uint64_t)length >= sizeof name || strlen(name) != (size_t)length)
                continue;
            for (int64_t i = 0; i < model->variable_count; i++) {
                const dlc_v1_variable *variable = &model->variables[i];
                if (variable->role == DLC_V1_GRADIENT || strcmp(variable->name, name) != 0)
                    continue;
                int fits = entry.rank == variable->rank;
                for (int64_t axis = 0; fits && axis < entry.rank; axis++)
                    fits = entry.shape[axis] == variable->shape[axis];
                if (!fits) {
                    snprintf(error, error_size, "`%.100s` has another shape in the weights file", name);
                    return DLC_V1_FORMAT;
                }
                if (strcmp(entry.dtype, DTYPES[variable->dtype].code) != 0) {
                    snprintf(error, error_size, "`%.100s` is %s in the weights file, not %s", name, entry.dtype,
                             DTYPES[variable->dtype].code);
                    return DLC_V1_FORMAT;
                }
                if (entry.end - entry.begin != (uint64_t)variable->bytes) {
                    snprintf(error, error_size, "`%.100s` has too few or too many bytes in the weights file", name);
                    return DLC_V1_FORMAT;
                }
                if (found[i]) {
                    snprintf(error, error_size, "`%.100s` stands twice in the weights file", name);
                    return DLC_V1_FORMAT;
                }
                found[i] = data + entry.begin;
            }
        } while (take(&c, ','));
        if (!take(&c, '}'))
            goto malformed;
    }
    skip_space(&c);
    if (c.at != c.end)
        goto malformed;
    for (int64_t i = 0; i < model->variable_count; i++) {
        int64_t role = model->variables[i].role;
        if (!found[i] && (role == DLC_V1_WEIGHT || role == DLC_V1_STATE)) {
            snprintf(error, error_size, "`%.100s` is not in the weights file", model->variables[i].name);
            return DLC_V1_FORMAT;
        }
    }
    return DLC_V1_OK;
malformed:
    snprintf(error, error_size, "the weights file's header is malformed at byte %lld",
             (long long)(c.at - bytes));
    return DLC_V1_FORMAT;
}

/* The whole of a file, or null with an error's text. */
static unsigned char *read_file(const char *path, uint64_t *size, int32_t *status, char *error, size_t error_size)
{
    struct stat about;
    unsigned char *bytes = NULL;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    *status = DLC_V1_FILE;
    if (file < 0 || fstat(file, &about) != 0) {
        snprintf(error, error_size, "cannot open `%.200s`: %s", path, strerror(errno));
        if (file >= 0)
            close(file);
        return NULL;
    }
    if (!S_ISREG(about.st_mode)) {
        snprintf(error, error_size, "`%.200s` is not a file", path);
        close(file);
        return NULL;
    }
    uint64_t wanted = (uint64_t)about.st_size, have = 0;
    bytes = malloc(wanted > 0 ? (size_t)wanted : 1);
    if (!bytes) {
        snprintf(error, error_size, "no memory for the %llu bytes of `%.200s`", (unsigned long long)wanted, path);
        *status = DLC_V1_OUT_OF_MEMORY;
        close(file);
        return NULL;
    }
    while (have < wanted) {
        ssize_t got = read(file, bytes + have, (size_t)(wanted - have));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        have += (uint64_t)got;
    }
    close(file);
    if (have != wanted) {
        snprintf(error, error_size, "cannot read all of `%.200s`", path);
        free(bytes);
        return NULL;
    }
    *size = wanted;
    *status = DLC_V1_OK;
    return bytes;
}

static void write_json_string(FILE *file, const char *text)
{
    fputc('"', file);
    for (; *text; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte == '"' || byte == '\\')
            fprintf(file, "\\%c", byte);
        else if (byte < 0x20)
            fprintf(file, "\\u%04x", byte);
        else
            fputc(byte, file);
    }
    fputc('"', file);
}

static void write_header(FILE *file, const dlc_v1_model *model)
{
    int64_t offset = 0, written = 0;
    fputc('{', file);
    for (int64_t i = 0; i < model->variable_count; i++) {
        const dlc_v1_variable *variable = &model->variables[i];
        if (variable->role == DLC_V1_GRADIENT)
            continue;
        if (written++ > 0)
            fputc(',', file);
        write_json_string(file, variable->name);
        fprintf(file, ":{\"dtype\":\"%s\",\"shape\":[", DTYPES[variable->dtype].code);
        for (int64_t axis = 0; axis < variable->rank; axis++)
            fprintf(file, axis > 0 ? ",%lld" : "%lld", (long long)variable->shape[axis]);
        fprintf(file, "],\"data_offsets\":[%lld,%lld]}", (long long)offset, (long long)(offset + variable->bytes));
        offset += variable->bytes;
    }
    fputc('}', file);
}

/* Writes beside the path and renames, so that the path never holds half a file. */
static int32_t write_tensors(const dlc_v1_model *model, const void *const *values, const char *path, char *error,
                             size_t error_size)
{
    char *header = NULL;
    size_t header_bytes = 0;
    size_t length = strlen(path);
    char *temporary = malloc(length + 32);
    FILE *text = open_memstream(&header, &header_bytes);
    if (!temporary || !text) {
        if (text)
            fclose(text);
        free(header);
        free(temporary);
        snprintf(error, error_size, "no memory");
        return DLC_V1_OUT_OF_MEMORY;
    }
    write_header(text, model);
    /* Data starts at a multiple of 8. */
    fflush(text);
    while (header_bytes % 8 != 0) {
        fputc(' ', text);
        fflush(text);
    }
    if (fclose(text) != 0) {
        free(header);
        free(temporary);
        snprintf(error, error_size, "no memory");
        return DLC_V1_OUT_OF_MEMORY;
    }
    snprintf(temporary, length + 32, "%s.tmp%ld", path, (long)getpid());
    FILE *file = fopen(temporary, "wb");
    int good = file != NULL;
    if (good) {
        unsigned char size[8];
        for (int i = 0; i < 8; i++)
            size[i] = (unsigned char)((uint64_t)header_bytes >> (8 * i));
        good = fwrite(size, 1, 8, file) == 8 && fwrite(header, 1, header_bytes, file) == header_bytes;
        for (int64_t i = 0; good && i < model->variable_count; i++) {
            size_t bytes = (size_t)model->variables[i].bytes;
            if (model->variables[i].role == DLC_V1_GRADIENT)
                continue;
            good = fwrite(values[i], 1, bytes, file) == bytes;
        }
        good = fflush(file) == 0 && good;
        good = fsync(fileno(file)) == 0 && good;
        good = fclose(file) == 0 && good;
        good = good && rename(temporary, path) == 0;
    }
    if (!good) {
        snprintf(error, error_size, "cannot write `%.200s`: %s", path, strerror(errno));
        if (file)
            remove(temporary);
    }
    free(header);
    free(temporary);
    return good ? DLC_V1_OK : DLC_V1_FILE;
}
