/* Classifies digits one a call: classify image.npy label.npy logits.npy, the last as `dlc run` gave it.
 * Prints right answers, digits, microseconds a digit, largest difference. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "digits.h"

static void *npy(const char *path, long *bytes) { /* version 1: the data follow a header of 10 + n bytes */
    unsigned char *all = calloc(1, 1 << 20);
    FILE *file = fopen(path, "rb");
    if (!file || (*bytes = (long)fread(all, 1, 1 << 20, file)) < 10) exit(fprintf(stderr, "cannot read %s\n", path));
    long start = 10 + all[8] + 256 * all[9];
    return fclose(file), *bytes -= start, all + start;
}

int main(int argc, char **argv) {
    char error[256] = "usage: classify image.npy label.npy logits.npy";
    digits_model *model;
    if (argc != 4 || digits_create(NULL, &model, error, sizeof error)) return fprintf(stderr, "%s\n", error);
    long n, bytes, right = 0;
    float logits[10], apart = 0, *image = npy(argv[1], &n), *expected = npy(argv[3], &bytes);
    int32_t *label = npy(argv[2], &bytes);
    double best = INFINITY; /* of five passes: others use this machine too */
    for (int pass = 0; pass < 5; pass++) {
        struct timespec from, to;
        timespec_get(&from, TIME_UTC);
        for (long i = right = 0; i < n / 256; i++) {
            if (digits_run(model, 1, image + 64 * i, logits)) return fprintf(stderr, "%s\n", digits_last_error(model));
            int digit = 0;
            for (int k = 0; k < 10; k++) {
                if (logits[k] > logits[digit]) digit = k;
                apart = fmaxf(apart, fabsf(logits[k] - expected[10 * i + k]));
            }
            right += digit == label[i];
        }
        timespec_get(&to, TIME_UTC);
        best = fmin(best, 1e6 * (to.tv_sec - from.tv_sec) + 1e-3 * (to.tv_nsec - from.tv_nsec));
    }
    printf("%ld %ld %.2f %g\n", right, n / 256, best / (n / 256), apart);
    return digits_destroy(model), 0;
}
