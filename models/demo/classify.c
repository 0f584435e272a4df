/* Classifies digits with the compiled model, one a call: classify image.npy label.npy logits.npy
 * The last is what `dlc run` gave. Prints right answers, digits, microseconds a digit, largest difference. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "digits.h"

static void *read_npy(const char *path, long *bytes) { /* version 1: the data follow a header of 10 + n bytes */
    unsigned char head[10];
    FILE *file = fopen(path, "rb");
    if (!file || fread(head, 1, 10, file) != 10) exit(fprintf(stderr, "cannot read %s\n", path));
    long start = 10 + head[8] + 256 * head[9];
    fseek(file, 0, SEEK_END), *bytes = ftell(file) - start, fseek(file, start, SEEK_SET);
    void *data = malloc(*bytes);
    if (fread(data, 1, *bytes, file) != (size_t)*bytes) exit(fprintf(stderr, "%s is cut short\n", path));
    return fclose(file), data;
}

int main(int argc, char **argv) {
    long n, bytes, right = 0;
    if (argc != 4) return fprintf(stderr, "usage: classify image.npy label.npy logits.npy\n");
    float *image = read_npy(argv[1], &n), *expected = read_npy(argv[3], &bytes), *logits = malloc(bytes), apart = 0;
    int32_t *label = read_npy(argv[2], &bytes);
    n /= 64 * sizeof(float);
    char error[256];
    digits_model *model;
    if (digits_create(NULL, &model, error, sizeof error)) return fprintf(stderr, "%s\n", error);
    double best = INFINITY; /* of five passes: others use this machine too */
    for (int pass = 0; pass < 5; pass++) {
        struct timespec from, to;
        timespec_get(&from, TIME_UTC);
        for (long i = 0; i < n; i++)
            if (digits_run(model, 1, image + 64 * i, logits + 10 * i))
                return fprintf(stderr, "%s\n", digits_last_error(model));
        timespec_get(&to, TIME_UTC);
        best = fmin(best, 1e6 * (to.tv_sec - from.tv_sec) + 1e-3 * (to.tv_nsec - from.tv_nsec));
    }
    for (long i = 0; i < n; i++) {
        int digit = 0;
        for (int k = 0; k < 10; k++) {
            if (logits[10 * i + k] > logits[10 * i + digit]) digit = k;
            apart = fmaxf(apart, fabsf(logits[10 * i + k] - expected[10 * i + k]));
        }
        right += digit == label[i];
    }
    printf("%ld %ld %.2f %g\n", right, n, best / n, apart);
    return digits_destroy(model), 0;
}
