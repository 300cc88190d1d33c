#pragma once

#include <array>
#include <cstdint>

/**
 * The inner loops of matrix products, one set for each instruction set. A tile of sums stays in registers while its terms
 * go by; every number loaded is used several times.
 */
namespace sparring {

/**
 * c[r][x] = start[x] + sum over terms of a[term][r] * b[term][x], for a tile of rows r and neighbouring columns x. The
 * terms are added up by themselves, one after the other, and what the sum starts from is added last.
 */
template <class T>
struct GemmTile {
  int64_t terms;
  const T* a;  // packed: `gemmRows` numbers lie between terms
  const T* b;
  int64_t bStep;  // from one term to the next
  T* c;
  int64_t cStride;
  const T* start;  // null to start from what is in c
  // What is read next, by somebody else, is called for meanwhile: every `gemmAhead` terms a number, `aheadStep` on.
  const T* ahead;
  int64_t aheadStep;
};

/**
 * c[x] = start[x] + sum over terms of a[term] * b[x][term]: a single row of a product, at least a vector of columns, its
 * terms added up in the order that tiles would have, a block at a time.
 */
template <class T>
struct GemmRow {
  int64_t columns;
  int64_t terms;
  int64_t block;
  const T* a;
  int64_t aStep;  // from one term to the next
  const T* b;
  int64_t bStride;  // from one column to the next
  const T* start;   // null to start from zeros
  T* c;
};

/** Rows that lie side by side in a packed `a`: a multiple of every tile's. */
constexpr int gemmRows = 12;

/** Once in so many terms, a number of `ahead` is called for. */
constexpr int gemmAhead = 4;

template <class T>
struct GemmKernels {
  static constexpr int mostRows = 12;
  static constexpr int mostVectors = 4;

  const char* name;
  /** Numbers in a vector. */
  int lanes;
  /** Vectors of sums that the registers hold. */
  int sums;
  /** By rows and vectors, less one each; null where the registers do not hold the tile. */
  std::array<std::array<void (*)(const GemmTile<T>&), mostVectors>, mostRows> tile;
  /** packed[term][row] = source[row][term], with `step` numbers between terms, for rows that lie `stride` apart. */
  void (*turn)(int64_t rows, int64_t terms, const T* source, int64_t stride, T* packed, int64_t step);
  /** packed[term][row] = source[term][row], with `step` numbers between terms, for terms that lie `stride` apart. */
  void (*copy)(int64_t rows, int64_t terms, const T* source, int64_t stride, T* packed, int64_t step);
  /** A row of a product, at least `lanes` columns of it. */
  void (*row)(const GemmRow<T>& row);
};

/** The best kernels that this machine can run; null without AVX2. */
template <class T>
const GemmKernels<T>* gemmKernels();

/** All that this machine can run, for tests. */
template <class T>
std::array<const GemmKernels<T>*, 2> allGemmKernels();

}  // namespace sparring
