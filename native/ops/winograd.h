#pragma once

#include "ops/conv_direct.h"
#include "ops/winograd_kernels.h"

/**
 * Convolution with kernels of 3x3 and stride 1 by Winograd's minimal filtering F(4x4, 3x3): a tile of 4x4 output pixels
 * takes 36 multiplications for each pair of channels, where the definition takes 144.
 *
 * For an output tile y (4x4), the image tile d under it (6x6; neighbours overlap by two pixels) and the kernel g (3x3),
 *
 *     y = A' [ sum over channels of (G g G') * (B' d B) ] A        (* is element by element, ' transposes)
 *
 * so a convolution has three stages, for as many tiles at once as stay in the second-level cache:
 *
 *     1. the image's tiles to squares,    B' d B;  the weights to squares G g G', once for all images
 *     2. at each of the 36 places of a square, a product of matrices: [tiles, channels] by [channels, outputs]
 *     3. the sums m to output tiles,      A' m A, and the bias
 *
 * The image's cotangent is the convolution of the output's cotangent with the kernels turned round and their channels
 * exchanged. The weight's cotangent is the same form transposed: the sum over tiles of G' [(A y A') * (B' d B)] G.
 *
 * The matrices evaluate, and interpolate, polynomials at 0, a, -a, b, -b and infinity:
 *
 *     B' = a²b²   0   -a²-b²    0     1  0       G = 1/(a²b²)  (1  0  0)        A' = 1  1  1  1  1  0
 *           0   -ab²   -b²      a     1  0           1/n(a,b)  (1  a a²)             0  a -a  b -b  0
 *           0    ab²   -b²     -a     1  0           1/n(a,b)  (1 -a a²)             0  a² a² b² b² 0
 *           0   -ba²   -a²      b     1  0           1/n(b,a)  (1  b b²)             0  a³-a³ b³-b³ 1
 *           0    ba²   -a²     -b     1  0           1/n(b,a)  (1 -b b²)
 *           0   a²b²    0    -a²-b²   0  1                     (0  0  1)        n(p,q) = 2p²(p²-q²)
 *
 * The points decide the rounding error: the usual 1 and 2 cost a digit, while with a = 5/8 and b = 3/2 the error is
 * about twice that of the sum over its definition. Their powers are exact, as numbers of few binary digits.
 *
 * What an image gives does not depend on the others of its batch, nor on where its tiles are cut into blocks: each sum
 * has the same terms in the same order.
 */
namespace sparring {

/** Whether this way is faster than the direct one; a matter of one image's shapes alone, so that batches agree. */
bool winogradSuits(const ConvGeometry& geometry);

/** What the three passes have in common. */
class Winograd {
 public:
  [[nodiscard]] const ConvGeometry& geometry() const { return g_; }
  /** Rows of tiles of an image. */
  [[nodiscard]] int64_t rows() const { return tilesDown_; }
  /** How many images are worked on at once. */
  [[nodiscard]] int64_t together() const { return together_; }
  /** Into how many blocks an image's rows of tiles are best cut, for the cache. */
  [[nodiscard]] int64_t blocks() const { return blocks_; }

 protected:
  /** Some planes of images, which are `step` numbers apart. */
  template <class Pointer>
  struct Planes {
    Pointer data;
    int64_t channels, height, width;
    int64_t step;
  };
  /** Squares of tiles, as a matrix [tiles, channels] for each of their 36 places. */
  struct Squares {
    float* data;
    int64_t place;  // from one matrix to the next
    int64_t row;    // from one tile to the next

    [[nodiscard]] Grid grid() const { return {6 * place, place}; }
  };

  /** For outputs of height by width pixels; `channels` is how many numbers of squares a tile takes for each place. */
  Winograd(const ConvGeometry& geometry, const WinogradKernels& kernels, int64_t height, int64_t width,
           int64_t channels);

  /** The numbers of so many channels in whole vectors. */
  [[nodiscard]] int64_t padded(int64_t channels) const {
    return Cut::atMost(channels, kernels_.lanes).parts * kernels_.lanes;
  }
  /** Squares of that many tiles and numbers for each, in memory for them. */
  static Squares squaresIn(float* memory, int64_t tiles, int64_t row);
  static int64_t squaresSize(int64_t tiles, int64_t row);

  /** The squares of tiles of `side` pixels in those rows of tiles of `count` images. */
  void toSquares(const Planes<const float*>& planes, std::array<int64_t, 2> padding, int64_t count, RowRange rows,
                 int64_t side, Transform transform, const Squares& squares) const;
  /** The output tiles of squares, with what is to be added to each channel, or relu of them. */
  void fromSquares(const Squares& squares, int64_t count, RowRange rows, const float* start, bool relu,
                   const Planes<float*>& planes) const;
  /**
   * A product of matrices of so many rows and vectors, in tiles that the registers hold; from the vectors of one tile to
   * those of the next it is `panelStep` numbers.
   */
  void multiply(WinogradProduct product, int64_t rows, int64_t vectors, int64_t panelStep) const;

  ConvGeometry g_;
  const WinogradKernels& kernels_;
  int64_t tilesDown_, tilesAcross_;
  int64_t together_, blocks_;
};

/** A convolution of planes with kernels: forward, and with turned kernels backward. */
class WinogradFilter : public Winograd {
 public:
  /** Numbers of a weight's squares. */
  [[nodiscard]] int64_t packedSize() const;

 protected:
  /** What is filtered, or what that gives. */
  struct Side {
    int64_t channels, height, width;
  };
  WinogradFilter(const ConvGeometry& geometry, const WinogradKernels& kernels, Side from, Side to,
                 std::array<int64_t, 2> padding);

  /** The squares of a weight whose taps for an output, and for a channel, are so far apart; turned, from the last. */
  void packTaps(const float* weight, int64_t outputStep, int64_t channelStep, bool turned, float* packed) const;
  /** The three stages, for those rows of tiles of `count` images; `bias` may be null. */
  void filter(const float* images, int64_t count, const float* packed, const float* bias, bool relu, float* outs,
              RowRange rows) const;

 private:
  /** Outputs whose weights lie together for each channel, as a product reads them. */
  [[nodiscard]] int64_t panel() const;
  /** Numbers of a weight's squares for each place. */
  [[nodiscard]] int64_t packedPlace() const;

  Side from_, to_;
  std::array<int64_t, 2> padding_;
  const float* zeros_;
};

/** Images and weights to outputs, as ConvForward. */
class WinogradForward : public WinogradFilter {
 public:
  explicit WinogradForward(const ConvGeometry& geometry, const WinogradKernels& kernels = *winogradKernels().front());
  void pack(const float* weight, float* packed) const;
  void run(const float* images, int64_t count, const float* packed, const float* bias, float* outs, RowRange rows,
           bool relu) const;
};

/** Cotangents and weights to the cotangents of images, as ConvBackward. */
class WinogradBackward : public WinogradFilter {
 public:
  explicit WinogradBackward(const ConvGeometry& geometry, const WinogradKernels& kernels = *winogradKernels().front());
  void pack(const float* weight, float* packed) const;
  void run(const float* cotangents, int64_t count, const float* packed, float* images, RowRange rows) const;
};

/** Images and cotangents to the cotangent of the weight, as ConvCorrelation. */
class WinogradCorrelation : public Winograd {
 public:
  explicit WinogradCorrelation(const ConvGeometry& geometry,
                               const WinogradKernels& kernels = *winogradKernels().front());
  /** Adds what `count` images say of the weights of outputs begin to end. */
  void run(const float* images, const float* cotangents, int64_t count, RowRange outputs, float* weight) const;
};

}  // namespace sparring
