#pragma once

/**
 * SPARRING_CLONES before a function compiles it once per instruction set; the loader picks the best the machine has, so
 * one binary serves every x86-64. Clang, which cannot clone templates, goes without; on arm64 NEON is the baseline and there is nothing to pick. Sanitizer builds go
 * without: the pickers run before the sanitizer is ready.
 */
#if defined(__x86_64__) && defined(__linux__) && !defined(__clang__) && !defined(SPARRING_NO_CLONES)
#define SPARRING_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define SPARRING_CLONES
#endif
