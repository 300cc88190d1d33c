#pragma once

#include <array>
#include <cstdint>
#include <vector>

/**
 * The inner loops of Winograd's convolution (winograd.h gives the mathematics). A vector holds the same pixel of several
 * channels, so that a transform, which adds pixels to pixels, never looks inside one.
 */
namespace sparring {

/** A square of vectors: how many numbers from one row, and from one column, to the next. */
struct Grid {
  int64_t row;
  int64_t column;
};

/** to = M from M', for one of the matrices M of winograd.h, for as many channels at once as a vector has numbers. */
using Transform = void (*)(const float* from, Grid fromGrid, float* to, Grid toGrid);

/** out[r][x] (+)= sum over terms of scalars[r][term] * vectors[term][x], for a tile of rows r and a few vectors x. */
struct WinogradProduct {
  const float* scalars;
  int64_t scalarRow;
  int64_t scalarTerm;
  const float* vectors;
  int64_t vectorTerm;
  int64_t terms;
  float* out;
  int64_t outRow;
  /** Whether the sums start from what is in `out`, not from zero. */
  bool adds;
};

/** The loops for one instruction set. */
struct WinogradKernels {
  static constexpr int mostRows = 12;
  static constexpr int mostVectors = 2;

  /** Numbers in a vector. */
  int lanes;
  /** Rows that a product's tile of `mostVectors` may have, by the registers. */
  int rows;
  /** By rows and vectors, less one each; null beyond `rows`. */
  std::array<std::array<void (*)(const WinogradProduct&), mostVectors>, mostRows> product;

  Transform image;       // 6x6 pixels to 6x6: B' d B
  Transform weight;      // 3x3 taps to 6x6: G g G'
  Transform output;      // 6x6 to 4x4 pixels: A' m A
  Transform cotangent;   // 4x4 pixels to 6x6: A y A'
  Transform weightGrad;  // 6x6 to 3x3 taps: G' u G

  /** pixels[x][c] = planes[c][x] for the channels there are, at most as many as lanes; zero for the lanes beyond. */
  void (*gather)(const float* planes, int64_t plane, int64_t channels, int64_t count, float* pixels);
  /** planes[c][x] = pixels[x][c] + start[c], likewise, or relu of it. */
  void (*scatter)(const float* pixels, int64_t count, const float* start, bool relu, int64_t channels, float* planes,
                  int64_t plane);
};

/** The loops that this machine can run, the best first. */
const std::vector<const WinogradKernels*>& winogradKernels();

}  // namespace sparring
