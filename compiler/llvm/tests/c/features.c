/* The list of a processor's features, read by the support unit. */
#include "features.c"

#include <stdio.h>

static int is(const char *got, const char *wanted)
{
    return got ? wanted && strcmp(got, wanted) == 0 : !wanted;
}

int main(void)
{
    if (!is(missing_feature(""), NULL) || !is(missing_feature("levitation,ssse3"), "levitation,ssse3"))
        return 1;
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (!is(missing_feature("ssse3"), __builtin_cpu_supports("ssse3") ? NULL : "ssse3") ||
        !is(missing_feature("fma"), __builtin_cpu_supports("fma") ? NULL : "fma") ||
        !is(missing_feature("avx2"), __builtin_cpu_supports("avx2") ? NULL : "avx2") ||
        !is(missing_feature("bmi2"), __builtin_cpu_supports("bmi2") ? NULL : "bmi2") ||
        !is(missing_feature("avx512f"), __builtin_cpu_supports("avx512f") ? NULL : "avx512f") ||
        !is(missing_feature("avx512bw"), __builtin_cpu_supports("avx512bw") ? NULL : "avx512bw") ||
        !is(missing_feature("avx512vl"), __builtin_cpu_supports("avx512vl") ? NULL : "avx512vl") ||
        !is(missing_feature("avx512vbmi"), __builtin_cpu_supports("avx512vbmi") ? NULL : "avx512vbmi") ||
        !is(missing_feature("avx512vnni"), __builtin_cpu_supports("avx512vnni") ? NULL : "avx512vnni") ||
        !is(missing_feature("gfni"), __builtin_cpu_supports("gfni") ? NULL : "gfni"))
        return 2;
    if (!is(missing_feature("ssse3,levitation"), __builtin_cpu_supports("ssse3") ? "levitation" : "ssse3,levitation"))
        return 3;
#endif
    puts("good");
    return 0;
}
