/* Classifies digits with the compiled model: one call each, no other library.
 * classify image.npy label.npy logits.npy    (the last as `dlc run` wrote it) */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "digits.h"

static void *read_npy(const char *path, long *bytes) { /* version 1: the data begin after the header's 10 + n bytes */
    FILE *file = fopen(path, "rb");
    unsigned char head[10];
    if (!file || fread(head, 1, 10, file) != 10) exit(fprintf(stderr, "cannot read %s\n", path));
    long start = 10 + head[8] + 256 * head[9];
    fseek(file, 0, SEEK_END), *bytes = ftell(file) - start, fseek(file, start, SEEK_SET);
    void *data = malloc(*bytes);
    if (fread(data, 1, *bytes, file) != (size_t)*bytes) exit(fprintf(stderr, "%s is cut short\n", path));
    fclose(file);
    return data;
}

int main(int argc, char **argv) {
    long bytes, n, right = 0;
    if (argc != 4) return fprintf(stderr, "usage: classify image.npy label.npy logits.npy\n");
    float *image = read_npy(argv[1], &bytes), *expected = read_npy(argv[3], &n), logits[10], apart = 0;
    int32_t *label = read_npy(argv[2], &n);
    n = bytes / (64 * sizeof(float));
    char error[256];
    digits_model *model;
    if (digits_create(NULL, &model, error, sizeof error)) return fprintf(stderr, "%s\n", error);
    clock_t began = clock();
    for (long i = 0; i < n; i++) {
        if (digits_run(model, 1, image + 64 * i, logits)) return fprintf(stderr, "%s\n", digits_last_error(model));
        int best = 0;
        for (int k = 0; k < 10; k++) {
            if (logits[k] > logits[best]) best = k;
            apart = fmaxf(apart, fabsf(logits[k] - expected[10 * i + k]));
        }
        right += best == label[i];
    }
    double micros = 1e6 * (clock() - began) / CLOCKS_PER_SEC / n;
    printf("%ld %ld %.2f %g\n", right, n, micros, apart);
    digits_destroy(model);
    return 0;
}
