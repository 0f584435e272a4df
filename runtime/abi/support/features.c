/* Whether this processor can run the code, asked before any of it runs. */
#include "support.h"

#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>

/* A feature's bit: of leaf 1 or 7, in ebx or ecx, and which registers the system must save for it. */
typedef struct {
    const char *name;
    int leaf, in_ecx, bit;
    uint32_t saved;
} feature;

#define AVX_STATE 0x6u
#define AVX512_STATE 0xe6u

static const feature FEATURES[] = {
    {"ssse3", 1, 1, 9, 0},
    {"fma", 1, 1, 12, AVX_STATE},
    {"sse4.1", 1, 1, 19, 0},
    {"sse4.2", 1, 1, 20, 0},
    {"popcnt", 1, 1, 23, 0},
    {"avx", 1, 1, 28, AVX_STATE},
    {"f16c", 1, 1, 29, AVX_STATE},
    {"bmi", 7, 0, 3, 0},
    {"avx2", 7, 0, 5, AVX_STATE},
    {"bmi2", 7, 0, 8, 0},
    {"avx512f", 7, 0, 16, AVX512_STATE},
    {"avx512dq", 7, 0, 17, AVX512_STATE},
    {"avx512ifma", 7, 0, 21, AVX512_STATE},
    {"avx512cd", 7, 0, 28, AVX512_STATE},
    {"avx512bw", 7, 0, 30, AVX512_STATE},
    {"avx512vl", 7, 0, 31, AVX512_STATE},
    {"avx512vbmi", 7, 1, 1, AVX512_STATE},
    {"avx512vbmi2", 7, 1, 6, AVX512_STATE},
    {"gfni", 7, 1, 8, 0},
    {"avx512vnni", 7, 1, 11, AVX512_STATE},
    {"avx512bitalg", 7, 1, 12, AVX512_STATE},
    {"avx512vpopcntdq", 7, 1, 14, AVX512_STATE},
};

static int has_feature(const feature *wanted)
{
    uint32_t a, b, c, d, saved = 0;
    if (!__get_cpuid_count(1, 0, &a, &b, &c, &d))
        return 0;
    /* Whether the system has switched the register states on. */
    if (c & 1u << 27) {
        uint32_t high;
        __asm__ volatile("xgetbv" : "=a"(saved), "=d"(high) : "c"(0));
    }
    if ((saved & wanted->saved) != wanted->saved)
        return 0;
    if (wanted->leaf == 7 && !__get_cpuid_count(7, 0, &a, &b, &c, &d))
        return 0;
    return ((wanted->in_ecx ? c : b) >> wanted->bit & 1) != 0;
}

static const char *missing_feature(const char *list)
{
    while (*list) {
        size_t length = strcspn(list, ",");
        size_t i, count = sizeof FEATURES / sizeof FEATURES[0];
        for (i = 0; i < count; i++) {
            if (strlen(FEATURES[i].name) == length && strncmp(FEATURES[i].name, list, length) == 0)
                break;
        }
        if (i == count || !has_feature(&FEATURES[i]))
            return list;
        list += length;
        list += *list == ',';
    }
    return NULL;
}

#else

/* What compiled code needs beyond its architecture is not asked for elsewhere. */
static const char *missing_feature(const char *list)
{
    return *list ? list : NULL;
}

#endif
