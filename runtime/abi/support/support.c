/* The support unit: one object, so that nothing but the versioned names is visible outside. */
#define _GNU_SOURCE

#include "features.c"
#include "pool.c"
#include "safetensors.c"
#include "model.c"
