#pragma once

#include <array>
#include <cstdint>
#include <vector>

/**
 * The inner loops of convolution. All read pixels where they lie, a vector of neighbours at a time: no matrix of patches
 * is ever written. Sums stay in registers while their terms go by; a tile of them is large enough that every number loaded
 * is used several times.
 */
namespace sparring {

/** Terms that follow each other: from `source` their pixels lie, and their weights are the panel's from number `first` on. */
struct Run {
  int64_t source;
  int64_t first;
};

/** Where a vector of pixels lies, in the source and in what comes of it. */
struct Column {
  int64_t source;
  int64_t out;
};

/**
 * out[r][x] (+)= sum of weight[term][r] * source[term][x], for a tile of rows r and vectors of pixels x. The terms are
 * those of `runs`, `length` each; their weights are as many numbers apart as the tile has rows.
 */
template <class T>
struct Product {
  const T* source;
  const Run* runs;
  int64_t runCount;
  int64_t length;
  /** Where the pixels of a run's terms lie, from where the run's do. */
  const int64_t* steps;
  const T* weights;
  T* out;
  /** Where each row's pixels are in `out`. */
  const int64_t* places;
  const Column* columns;
  /** What each row's sums start from; null to start from what is in `out`. */
  const T* start;
  /** Whether sums that are negative become 0: relu. */
  bool relu;
};

/** Where a vector of pixels is, in the cotangent and in the source. */
struct Step {
  int64_t cotangent;
  int64_t source;
};

/**
 * sums[r][t] += sum of cotangent[r][pixel] * source[t][pixel], for a tile of rows r and taps t, over the pixels of
 * `steps`.
 */
template <class T>
struct Correlation {
  const T* cotangent;
  int64_t cotangentStep;  // from one row of the tile to the next
  const T* source;
  const int64_t* taps;  // from `source` to each tap's pixels
  const Step* steps;
  int64_t stepCount;
  T* sums;
  int64_t sumsStep;       // from one row of the tile to the next
  const int64_t* places;  // where each tap's sum is
};

/** to[i] += sum of factors[k] * source[places[k] + i], for `length` numbers i. */
template <class T>
struct RunSum {
  const T* factors;
  const int64_t* places;
  int64_t count;
  const T* source;
  T* to;
  int64_t length;
};

/** The inner loops in all sizes of tile, for one kind of vector. */
template <class T>
struct Kernels {
  static constexpr int mostRows = 24;
  static constexpr int mostVectors = 4;
  static constexpr int mostOutputs = 4;
  static constexpr int mostTaps = 6;
  static constexpr int mostRun = 13;

  /** Numbers in a vector. */
  int lanes;
  /** Vectors of sums that the registers hold. */
  int sums;
  /** By rows and vectors, less one each; null where the registers do not hold the tile. */
  std::array<std::array<void (*)(const Product<T>&), mostVectors>, mostRows> product;
  /** By rows and taps, likewise. */
  std::array<std::array<void (*)(const Correlation<T>&), mostTaps>, mostOutputs> correlation;
  /** By how many vectors the numbers take, less one; there is one vector of them at least. */
  std::array<void (*)(const RunSum<T>&), mostRun> runSum;
};

/** All that this machine can run, the newest last. */
template <class T>
const std::vector<const Kernels<T>*>& kernelsOfMachine();

/** The kernels that take the least time along a row of that many pixels, on this machine. */
template <class T>
const Kernels<T>& kernelsFor(int64_t width);

}  // namespace sparring
