#pragma once

#include <cstdint>

#include "ops/conv_direct.h"

/**
 * The two adjoints of a convolution for cotangents that are mostly zeros, as those behind max pooling and relu are: of a
 * window of 2x2 pixels pooling leaves one, and relu takes half of those away. Each number of the cotangent that is not
 * zero adds the weights of its output, times itself, to a window of the image's cotangent, or the window of the image to the
 * cotangent of the weights. With the channels of a pixel side by side, [row, column, channel], a row of a window is one
 * run of numbers for both.
 *
 * A zero adds nothing, even where what it would be multiplied with is infinite or not a number.
 */
namespace sparring {

/** Whether the shapes of one image are such that this way may be the faster one. */
bool sparseSuits(const ConvGeometry& geometry);

/** Whether so many numbers of a cotangent hold so few that are not zero that this way is the faster one. */
template <class T>
bool isSparse(const T* cotangent, int64_t size);

/** What the two have in common. */
class SparseConv {
 public:
  explicit SparseConv(const ConvGeometry& geometry) : g_(geometry) {}
  [[nodiscard]] const ConvGeometry& geometry() const { return g_; }
  /** Numbers of a weight as [kernel row, output, kernel column, channel]. */
  [[nodiscard]] int64_t packedSize() const { return g_.weightSize(); }

 protected:
  /** Numbers of a row of a window. */
  [[nodiscard]] int64_t runSize() const { return g_.kernel[1] * g_.channels; }
  /** Numbers of a row of an image as [row, column, channel], with the padding on both sides. */
  [[nodiscard]] int64_t lineSize() const { return (g_.width + 2 * g_.padding[1]) * g_.channels; }
  /** The row of the image under a tap of a row of the output. */
  [[nodiscard]] int64_t imageRow(int64_t outRow, int64_t tap) const {
    return outRow * g_.stride[0] - g_.padding[0] + tap * g_.dilation[0];
  }
  /** Whether windows of a row of the output reach into those rows of the image. */
  [[nodiscard]] bool reaches(int64_t outRow, RowRange imageRows) const;
  /** Calls visit(number, its place when packed) for some outputs of a weight [outputs, channels, height, width]. */
  template <class T, class Visit>
  void eachWeight(T* weight, RowRange outputs, const Visit& visit) const;
  /** Calls visit(number, its place in the lines) for those rows of an image [channels, height, width]. */
  template <class T, class Visit>
  void eachPixel(T* image, RowRange rows, const Visit& visit) const;

  ConvGeometry g_;
};

/** Cotangents and weights to the cotangents of images, as ConvBackward. */
template <class T>
class SparseBackward : public SparseConv {
 public:
  using SparseConv::SparseConv;
  void pack(const T* weight, T* packed) const;
  void run(const T* cotangents, int64_t count, const T* packed, T* images, RowRange imageRows) const;
};

/** Images and cotangents to the cotangent of the weight, as ConvCorrelation. */
template <class T>
class SparseCorrelation : public SparseConv {
 public:
  using SparseConv::SparseConv;
  /** Adds what `count` images say of the weights of outputs begin to end. */
  void run(const T* images, const T* cotangents, int64_t count, RowRange outputs, T* weight) const;
};

}  // namespace sparring
