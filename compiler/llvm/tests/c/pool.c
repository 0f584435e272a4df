/* The support unit's pool under stress: many loops of all sizes, from several threads at once, and nested. */
#define _GNU_SOURCE

#include "support.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { BLOCKS = 1000, ROUNDS = 3000, CALLERS = 3 };

typedef struct {
    int32_t threads;
    int64_t nested;
    unsigned char counts[BLOCKS];
} loop;

static void mark(void *cx, int64_t from, int64_t to)
{
    loop *l = cx;
    for (int64_t block = from; block < to; block++) {
        __atomic_fetch_add(&l->counts[block], 1, __ATOMIC_RELAXED);
        if (l->nested > 0 && block % 7 == 0) {
            loop inner = {l->threads, 0, {0}};
            dlc_v1_parallel_for(&inner.threads, mark, &inner, l->nested);
            for (int64_t i = 0; i < BLOCKS; i++) {
                if (inner.counts[i] != (i < l->nested))
                    abort();
            }
        }
    }
}

static void *run(void *argument)
{
    unsigned state = (unsigned)(size_t)argument;
    for (int round = 0; round < ROUNDS; round++) {
        state = state * 1103515245u + 12345u;
        loop l = {(int32_t)(state >> 16 & 3) + 1, round % 50 == 0 ? 5 : 0, {0}};
        int64_t blocks = (state >> 18) % BLOCKS;
        dlc_v1_parallel_for(&l.threads, mark, &l, blocks);
        for (int64_t i = 0; i < BLOCKS; i++) {
            if (l.counts[i] != (i < blocks)) {
                fprintf(stderr, "block %lld of %lld ran %d times\n", (long long)i, (long long)blocks, l.counts[i]);
                abort();
            }
        }
    }
    return NULL;
}

int main(void)
{
    if (dlc_v1_default_threads() < 1)
        return 1;
    for (int cycle = 0; cycle < 3; cycle++) {
        pthread_t callers[CALLERS];
        dlc_v1_pool_retain();
        for (size_t i = 0; i < CALLERS; i++) {
            if (pthread_create(&callers[i], NULL, run, (void *)(i + 1)) != 0)
                return 1;
        }
        for (int i = 0; i < CALLERS; i++)
            pthread_join(callers[i], NULL);
        dlc_v1_pool_release();
    }
    puts("good");
    return 0;
}
