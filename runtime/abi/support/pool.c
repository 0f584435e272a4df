/* The thread pool: persistent workers that spin for a while and then sleep. Each thread begins with a share of the blocks
 * of its own, the same ones in every loop of so many, so that what they read is still in its caches; then it helps the
 * others. So which thread runs which block is open; kernels give the same bits for any. One loop runs at a time: a
 * caller that finds the pool busy, a nested one for instance, runs its blocks itself. */
#include "support.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define MAX_WORKERS 255
#define SPINS 4000

/* The blocks of one thread's share that nobody has taken yet; on cache lines of its own. */
typedef struct {
    int64_t next;
    int64_t end;
    char apart[112];
} share;

typedef struct {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    pthread_t workers[MAX_WORKERS];
    int32_t worker_count;
    int32_t sleepers;
    int32_t users;
    int32_t stopping;
    /* From here on atomics. */
    int32_t busy;
    int32_t open;
    int32_t active;
    uint32_t generation;
    share shares[MAX_WORKERS + 1];
    /* Written only while no worker is active. */
    dlc_v1_kernel kernel;
    void *cx;
    int32_t threads;
} pool_state;

/* One for all models of a process, wherever the linker sees them together; the number is that of its layout, so that
 * models of two layouts have two. */
__attribute__((weak, visibility("default"))) pool_state dlc_v1_pool_2;
__attribute__((weak, visibility("default"))) pool_state dlc_v1_pool_2 = {
    PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, {0}, 0, 0, 0, 0, 0, 0, 0, 0, {{0, 0, {0}}}, 0, 0, 0,
};

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void take_blocks(pool_state *pool, int32_t number)
{
    for (int32_t i = 0; i < pool->threads; i++) {
        share *from = &pool->shares[(number + i) % pool->threads];
        for (;;) {
            int64_t block = __atomic_fetch_add(&from->next, 1, __ATOMIC_RELAXED);
            if (block >= from->end)
                break;
            pool->kernel(pool->cx, block, block + 1);
        }
    }
}

/* Takes part in the loop that is open, if it is for so many threads. The caller is number 0. */
static void join(pool_state *pool, int32_t number)
{
    __atomic_fetch_add(&pool->active, 1, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&pool->open, __ATOMIC_SEQ_CST) && number < pool->threads)
        take_blocks(pool, number);
    __atomic_fetch_sub(&pool->active, 1, __ATOMIC_SEQ_CST);
}

static void *work(void *argument)
{
    pool_state *pool = &dlc_v1_pool_2;
    int32_t number = (int32_t)(intptr_t)argument;
    uint32_t seen = 0;
    for (;;) {
        int32_t spins = 0;
        while (__atomic_load_n(&pool->generation, __ATOMIC_ACQUIRE) == seen && spins < SPINS) {
            relax();
            spins++;
        }
        if (__atomic_load_n(&pool->generation, __ATOMIC_ACQUIRE) == seen) {
            pthread_mutex_lock(&pool->lock);
            pool->sleepers++;
            while (__atomic_load_n(&pool->generation, __ATOMIC_ACQUIRE) == seen && !pool->stopping)
                pthread_cond_wait(&pool->wake, &pool->lock);
            pool->sleepers--;
            int32_t stopping = pool->stopping;
            pthread_mutex_unlock(&pool->lock);
            if (stopping)
                return NULL;
        }
        seen = __atomic_load_n(&pool->generation, __ATOMIC_ACQUIRE);
        join(pool, number);
    }
}

/* With the lock held. Fewer workers than wanted, or none, only make it slower. */
static void add_workers(pool_state *pool, int32_t wanted)
{
    while (!pool->stopping && pool->worker_count < wanted && pool->worker_count < MAX_WORKERS) {
        intptr_t number = pool->worker_count + 1;
        if (pthread_create(&pool->workers[pool->worker_count], NULL, work, (void *)number) != 0)
            return;
        pool->worker_count++;
    }
}

void dlc_v1_parallel_for(void *argument, dlc_v1_kernel kernel, void *cx, int64_t blocks)
{
    pool_state *pool = &dlc_v1_pool_2;
    int32_t threads = argument ? *(const int32_t *)argument : 1;
    if (threads > blocks)
        threads = blocks > 0 ? (int32_t)blocks : 1;
    if (threads <= 1 || __atomic_exchange_n(&pool->busy, 1, __ATOMIC_ACQUIRE)) {
        kernel(cx, 0, blocks);
        return;
    }
    pool->kernel = kernel;
    pool->cx = cx;
    pool->threads = threads;
    int64_t each = blocks / threads, more = blocks % threads;
    for (int32_t i = 0; i < threads; i++) {
        int64_t first = i * each + (i < more ? i : more);
        pool->shares[i].end = first + each + (i < more);
        __atomic_store_n(&pool->shares[i].next, first, __ATOMIC_RELAXED);
    }
    __atomic_store_n(&pool->open, 1, __ATOMIC_SEQ_CST);
    pthread_mutex_lock(&pool->lock);
    add_workers(pool, threads - 1);
    __atomic_fetch_add(&pool->generation, 1, __ATOMIC_RELEASE);
    if (pool->sleepers > 0)
        pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);

    take_blocks(pool, 0);

    /* Who enters from now on sees that it is closed; who entered before is waited for. */
    __atomic_store_n(&pool->open, 0, __ATOMIC_SEQ_CST);
    for (int32_t spins = 0; __atomic_load_n(&pool->active, __ATOMIC_SEQ_CST) != 0; spins++) {
        if (spins < SPINS)
            relax();
        else
            sched_yield();
    }
    __atomic_store_n(&pool->busy, 0, __ATOMIC_RELEASE);
}

void dlc_v1_pool_retain(void)
{
    pool_state *pool = &dlc_v1_pool_2;
    pthread_mutex_lock(&pool->lock);
    pool->users++;
    pthread_mutex_unlock(&pool->lock);
}

/* The last user ends the workers, so that code may be unloaded. */
void dlc_v1_pool_release(void)
{
    pool_state *pool = &dlc_v1_pool_2;
    pthread_mutex_lock(&pool->lock);
    if (--pool->users > 0) {
        pthread_mutex_unlock(&pool->lock);
        return;
    }
    pool->stopping = 1;
    pthread_cond_broadcast(&pool->wake);
    int32_t count = pool->worker_count;
    pthread_mutex_unlock(&pool->lock);
    for (int32_t i = 0; i < count; i++)
        pthread_join(pool->workers[i], NULL);
    pthread_mutex_lock(&pool->lock);
    pool->worker_count = 0;
    pool->stopping = 0;
    pthread_mutex_unlock(&pool->lock);
}

/* The processors that this process may use, a container's limit included. */
int32_t dlc_v1_default_threads(void)
{
    long count = sysconf(_SC_NPROCESSORS_ONLN);
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) < count)
        count = CPU_COUNT(&set);
    FILE *file = fopen("/sys/fs/cgroup/cpu.max", "r");
    if (file) {
        long long quota, period;
        if (fscanf(file, "%lld %lld", &quota, &period) == 2 && quota > 0 && period > 0) {
            long long limit = (quota + period - 1) / period;
            if (limit < count)
                count = (long)limit;
        }
        fclose(file);
    }
    if (count < 1)
        count = 1;
    return count > MAX_WORKERS ? MAX_WORKERS : (int32_t)count;
}
