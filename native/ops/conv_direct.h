#pragma once

#include <array>
#include <cstdint>
#include <utility>

#include "ops/conv_kernels.h"
#include "ops/conv_layout.h"

namespace sparring {

/** How one image [channels, height, width] becomes [outputs, outHeight, outWidth]; pairs are of height and width. */
struct ConvGeometry {
  int64_t channels, height, width;
  int64_t outputs, outHeight, outWidth;
  int64_t groups;
  std::array<int64_t, 2> kernel, stride, padding, dilation;

  [[nodiscard]] int64_t imageSize() const { return channels * height * width; }
  [[nodiscard]] int64_t outSize() const { return outputs * outHeight * outWidth; }
  [[nodiscard]] int64_t groupChannels() const { return channels / groups; }
  [[nodiscard]] int64_t groupOutputs() const { return outputs / groups; }
  /** How many weights one output channel has: the terms of the sum behind one output pixel. */
  [[nodiscard]] int64_t taps() const { return groupChannels() * kernel[0] * kernel[1]; }
  [[nodiscard]] int64_t weightSize() const { return outputs * taps(); }
  /** Multiplications of one image. */
  [[nodiscard]] int64_t work() const { return outSize() * taps(); }
};

/** A range cut into parts whose lengths differ by one at most. */
struct Cut {
  int64_t total;
  int64_t parts;

  /** As few parts as there can be of at most `most`. */
  static Cut atMost(int64_t total, int64_t most) { return {total, (total + most - 1) / most}; }
  [[nodiscard]] int64_t begin(int64_t part) const { return total * part / parts; }
  [[nodiscard]] int64_t end(int64_t part) const { return begin(part + 1); }
  [[nodiscard]] int64_t length(int64_t part) const { return end(part) - begin(part); }
  /** The two lengths that there are, and how many parts have them. */
  [[nodiscard]] std::array<std::pair<int64_t, int64_t>, 2> lengths() const {
    const int64_t longer = total % parts;
    return {{{total / parts, parts - longer}, {total / parts + 1, longer}}};
  }
};

/** The tiles that a matrix of sums is computed in. */
struct Tiling {
  Cut rows;
  Cut columns;
};

/** The terms of the sums of each row of pixels. */
struct Terms {
  const Run* runs;
  const int64_t* firstOfRow;  // and, after the last row, how many there are
  int64_t length;             // of each run
  int64_t total;              // of a row with all its runs
  int64_t row;                // numbers that the terms of one row have and those of the row before do not
  int64_t shift;              // from where the terms of one row lie to where those of the next do
  const int64_t* alike;       // how many rows from each on, itself among them, have its terms, each `shift` further
};

/**
 * Convolution by the kernels of conv_kernels.h. What an image gives does not depend on the others of its batch, nor on
 * where its rows are cut: each sum has the same terms in the same order.
 */
template <class T>
class DirectConv {
 public:
  /** For batches of so many images, where it is worth while to work on several at once. */
  DirectConv(const ConvGeometry& geometry, int64_t batch);

  [[nodiscard]] const ConvGeometry& geometry() const { return g_; }
  /** How many images are worked on at once. */
  [[nodiscard]] int64_t together() const { return together_; }
  /** Numbers of a packed weight. */
  [[nodiscard]] int64_t packedSize() const { return g_.weightSize(); }

 protected:
  [[nodiscard]] Tiling chooseTiling(int64_t rows, int mostRows, int64_t columns, int mostColumns, int64_t terms) const;
  /** The rows of the image under rows of the output, and the rows of the output over rows of the image. */
  [[nodiscard]] RowRange imageRowsOf(RowRange outRows) const;
  [[nodiscard]] RowRange outRowsOf(RowRange imageRows) const;

  /** Vectors of the rows, of so many, that are worked on together. */
  [[nodiscard]] int64_t vectorsOf(const Terms& terms, int64_t rows) const;
  void multiply(const Tiling& tiling, const Terms& terms, const T* source, const int64_t* steps, const T* packed,
                RowRange rows, T* out, int64_t outRow, const int64_t* places, const T* start, bool relu) const;

  ConvGeometry g_;
  const Kernels<T>& kernels_;
  int64_t together_;
  int64_t outVectors_;  // in a row of the output
  ConvLayout<T> image_;
  ConvLayout<T> out_;
};

/** Images and weights to outputs. */
template <class T>
class ConvForward : public DirectConv<T> {
 public:
  ConvForward(const ConvGeometry& geometry, int64_t batch);
  /** Rearranges a weight [outputs, channels / groups, kernel height, kernel width]. */
  void pack(const T* weight, T* packed) const;
  /** Rows of the output, and into how many blocks they are best cut, for the cache. */
  [[nodiscard]] int64_t rows() const { return g_.outHeight; }
  [[nodiscard]] int64_t blocks() const;
  /** Those rows of the output of `count` images, at most as many as are worked on together; with relu if asked for. */
  void run(const T* images, int64_t count, const T* packed, const T* bias, T* outs, RowRange outRows, bool relu) const;

 private:
  using DirectConv<T>::g_;
  using DirectConv<T>::outVectors_;
  using DirectConv<T>::image_;
  using DirectConv<T>::out_;

  Tiling tiling_;  // outputs by vectors of rows
  Terms terms_;
  const T* zeros_;
};

/**
 * Cotangents and weights to the cotangents of images. For each tap in x apart, the sums over outputs and taps in y are
 * products like those of the forward pass; shifted by the tap they add up to a row of the image. So no sum has terms
 * from the padding of a cotangent, and few channels with several taps still fill a tile.
 */
template <class T>
class ConvBackward : public DirectConv<T> {
 public:
  ConvBackward(const ConvGeometry& geometry, int64_t batch);
  void pack(const T* weight, T* packed) const;
  [[nodiscard]] int64_t rows() const { return g_.height; }
  [[nodiscard]] int64_t blocks() const;
  void run(const T* cotangents, int64_t count, const T* packed, T* images, RowRange imageRows) const;

 private:
  using DirectConv<T>::g_;
  using DirectConv<T>::outVectors_;
  using DirectConv<T>::image_;
  using DirectConv<T>::out_;

  Tiling tiling_;  // channels and taps in x, by vectors of rows
  Terms terms_;
};

/** Images and cotangents to the cotangent of the weight. */
template <class T>
class ConvCorrelation : public DirectConv<T> {
 public:
  ConvCorrelation(const ConvGeometry& geometry, int64_t batch);
  /** Adds what `count` images say of the weights of outputs begin to end of each group. */
  void run(const T* images, const T* cotangents, int64_t count, RowRange outputs, T* weight) const;

 private:
  using DirectConv<T>::g_;
  using DirectConv<T>::kernels_;
  using DirectConv<T>::together_;
  using DirectConv<T>::outVectors_;
  using DirectConv<T>::image_;
  using DirectConv<T>::out_;

  /** The rows of the output where a tap in y is in the image. */
  struct TapRow {
    int64_t cotangent, source;  // where the first of them is
    const Step* steps;          // along all of them, from there
    int64_t stepCount;
  };

  void runBlock(const T* images, int64_t channels, const T* cotangents, int64_t outputs, int64_t count,
                RowRange outRows, T* weight) const;
  const TapRow* findTapRows(int64_t imageSet, int64_t outSet, int64_t sets, RowRange outRows) const;

  Cut rowBlocks_;
  Cut channelBlocks_;
  int64_t mostSets_;  // of images that lie together, in a block
};

}  // namespace sparring
