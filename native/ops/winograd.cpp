#include "ops/winograd.h"

#include "ops/conv_scratch.h"

namespace sparring {

namespace {

constexpr int64_t tileSide = 4;
constexpr int64_t squareSide = 6;
constexpr int64_t places = squareSide * squareSide;
constexpr int64_t taps = 9;

/** Numbers that the squares of a block of tiles may take, so that they stay in the second-level cache. */
constexpr int64_t blockNumbers = 160 * 1024;
/** Tiles of a block at least, since each block goes through all squares of the weight. */
constexpr int64_t leastTiles = 64;

/**
 * The same or a little more: an odd number of cache lines. A square is written across all 36 places, which else crowd
 * into a few sets of the cache.
 */
int64_t spaced(int64_t numbers) {
  constexpr int64_t line = 64 / sizeof(float);
  return ((numbers + line - 1) / line | 1) * line;
}

}  // namespace

bool winogradSuits(const ConvGeometry& g) {
  const auto both = [](const std::array<int64_t, 2>& pair, int64_t value) {
    return pair[0] == value && pair[1] == value;
  };
  if (!both(g.kernel, 3) || !both(g.stride, 1) || !both(g.dilation, 1) || g.groups != 1) return false;
  if (g.padding[0] > 2 || g.padding[1] > 2) return false;  // backward, 2 - padding are added
  // A channel's transforms must serve enough others, the weights' enough pixels, and the tiles must not reach far beyond
  // the image, or what is saved in products is lost.
  const int64_t pixels = g.outHeight * g.outWidth;
  const int64_t tiles = Cut::atMost(g.outHeight, tileSide).parts * Cut::atMost(g.outWidth, tileSide).parts;
  return g.channels >= 16 && g.outputs >= 16 && pixels >= 36 && tiles * tileSide * tileSide <= 2 * pixels;
}

// ---- what the three have in common ------------------------------------------------------------------------------

Winograd::Winograd(const ConvGeometry& geometry, const WinogradKernels& kernels, int64_t height, int64_t width,
                   int64_t channels)
    : g_(geometry),
      kernels_(kernels),
      tilesDown_(Cut::atMost(height, tileSide).parts),
      tilesAcross_(Cut::atMost(width, tileSide).parts) {
  const int64_t most = std::max(leastTiles, blockNumbers / (places * channels));
  together_ = std::max<int64_t>(1, most / (tilesDown_ * tilesAcross_));
  blocks_ = Cut::atMost(tilesDown_, std::max<int64_t>(1, most / tilesAcross_)).parts;
}

int64_t Winograd::squaresSize(int64_t tiles, int64_t row) { return squaresIn(nullptr, tiles, row).place * places; }

Winograd::Squares Winograd::squaresIn(float* memory, int64_t tiles, int64_t row) {
  return {memory, spaced(tiles * row), row};
}

void Winograd::toSquares(const Planes<const float*>& planes, std::array<int64_t, 2> padding, int64_t count,
                         RowRange rows, int64_t side, Transform transform, const Squares& squares) const {
  const int64_t lanes = kernels_.lanes;
  const int64_t height = tileSide * (rows.count() - 1) + side;
  const int64_t width = tileSide * (tilesAcross_ - 1) + side;
  const int64_t line = width * lanes;
  float* pixels = convScratch<float, ConvScratch::pixels>(height * line);
  const int64_t top = rows.begin * tileSide - padding[0];
  const int64_t columns = std::min(planes.width, width - padding[1]);
  for (int64_t channel = 0; channel < planes.channels; channel += lanes) {
    float* square = squares.data + channel;
    for (int64_t image = 0; image < count; image++) {
      const float* from = planes.data + image * planes.step + channel * planes.height * planes.width;
      for (int64_t y = 0; y < height; y++) {
        float* to = pixels + y * line;
        if (top + y < 0 || top + y >= planes.height) {
          std::fill_n(to, line, 0.0F);
          continue;
        }
        std::fill_n(to, padding[1] * lanes, 0.0F);
        kernels_.gather(from + (top + y) * planes.width, planes.height * planes.width,
                        std::min(lanes, planes.channels - channel), columns, to + padding[1] * lanes);
        std::fill_n(to + (padding[1] + columns) * lanes, (width - padding[1] - columns) * lanes, 0.0F);
      }
      for (int64_t y = 0; y < rows.count(); y++) {
        for (int64_t x = 0; x < tilesAcross_; x++) {
          transform(pixels + tileSide * (y * line + x * lanes), {line, lanes}, square, squares.grid());
          square += squares.row;
        }
      }
    }
  }
}

void Winograd::fromSquares(const Squares& squares, int64_t count, RowRange rows, const float* start, bool relu,
                           const Planes<float*>& planes) const {
  const int64_t lanes = kernels_.lanes;
  const int64_t line = tileSide * tilesAcross_ * lanes;
  float* pixels = convScratch<float, ConvScratch::pixels>(tileSide * line);
  for (int64_t channel = 0; channel < planes.channels; channel += lanes) {
    const float* square = squares.data + channel;
    for (int64_t image = 0; image < count; image++) {
      float* to = planes.data + image * planes.step + channel * planes.height * planes.width;
      for (int64_t row = rows.begin; row < rows.end; row++) {
        for (int64_t x = 0; x < tilesAcross_; x++) {
          kernels_.output(square, squares.grid(), pixels + x * tileSide * lanes, {line, lanes});
          square += squares.row;
        }
        for (int64_t y = row * tileSide; y < std::min(planes.height, (row + 1) * tileSide); y++) {
          kernels_.scatter(pixels + y % tileSide * line, planes.width, start + channel, relu,
                           std::min(lanes, planes.channels - channel), to + y * planes.width,
                           planes.height * planes.width);
        }
      }
    }
  }
}

void Winograd::multiply(WinogradProduct product, int64_t rows, int64_t vectors, int64_t panelStep) const {
  const Cut tiles = Cut::atMost(rows, kernels_.rows);
  const float* scalars = product.scalars;
  float* out = product.out;
  for (int64_t vector = 0; vector < vectors; vector += WinogradKernels::mostVectors) {
    const int64_t count = std::min<int64_t>(WinogradKernels::mostVectors, vectors - vector);
    for (int64_t tile = 0; tile < tiles.parts; tile++) {
      product.scalars = scalars + tiles.begin(tile) * product.scalarRow;
      product.out = out + tiles.begin(tile) * product.outRow + vector * kernels_.lanes;
      kernels_.product[static_cast<size_t>(tiles.length(tile) - 1)][static_cast<size_t>(count - 1)](product);
    }
    product.vectors += panelStep;
  }
}

// ---- forward and backward -----------------------------------------------------------------------------------------

WinogradFilter::WinogradFilter(const ConvGeometry& geometry, const WinogradKernels& kernels, Side from, Side to,
                               std::array<int64_t, 2> padding)
    : Winograd(geometry, kernels, to.height, to.width, std::max(from.channels, to.channels)),
      from_(from),
      to_(to),
      padding_(padding) {
  float* zeros = convScratch<float, ConvScratch::zeros>(to_.channels);
  std::fill_n(zeros, to_.channels, 0.0F);
  zeros_ = zeros;
}

int64_t WinogradFilter::panel() const { return WinogradKernels::mostVectors * kernels_.lanes; }
int64_t WinogradFilter::packedPlace() const {
  return spaced(Cut::atMost(to_.channels, panel()).parts * panel() * from_.channels);
}
int64_t WinogradFilter::packedSize() const { return places * packedPlace(); }

/** packed[place][panel of outputs][channel][output of the panel], as the products read it. */
void WinogradFilter::packTaps(const float* weight, int64_t outputStep, int64_t channelStep, bool turned,
                              float* packed) const {
  const int64_t lanes = kernels_.lanes;
  float* kernel = convScratch<float, ConvScratch::pixels>(taps * lanes);
  for (int64_t output = 0; output < to_.channels; output += lanes) {
    const int64_t count = std::min(lanes, to_.channels - output);
    float* to = packed + output / panel() * panel() * from_.channels + output % panel();
    for (int64_t channel = 0; channel < from_.channels; channel++) {
      const float* from = weight + output * outputStep + channel * channelStep;
      for (int64_t tap = 0; tap < taps; tap++) {
        float* vector = kernel + (turned ? taps - 1 - tap : tap) * lanes;
        for (int64_t lane = 0; lane < count; lane++) vector[lane] = from[lane * outputStep + tap];
        std::fill(vector + count, vector + lanes, 0.0F);
      }
      kernels_.weight(kernel, {3 * lanes, lanes}, to + channel * panel(), {squareSide * packedPlace(), packedPlace()});
    }
  }
}

void WinogradFilter::filter(const float* images, int64_t count, const float* packed, const float* bias, bool relu,
                            float* outs, RowRange rows) const {
  const int64_t tiles = count * rows.count() * tilesAcross_;
  const int64_t row = std::max(padded(from_.channels), padded(to_.channels));
  // A place's sums take the memory of the place before, whose squares have been used.
  const int64_t size = squaresSize(tiles, row);
  float* memory = convScratch<float, ConvScratch::squares>(size + size / places);
  const Squares sums = squaresIn(memory, tiles, row);
  const Squares squares = squaresIn(memory + sums.place, tiles, row);
  toSquares({images, from_.channels, from_.height, from_.width, from_.channels * from_.height * from_.width}, padding_,
            count, rows, squareSide, kernels_.image, squares);
  for (int64_t place = 0; place < places; place++) {
    multiply({.scalars = squares.data + place * squares.place,
              .scalarRow = row,
              .scalarTerm = 1,
              .vectors = packed + place * packedPlace(),
              .vectorTerm = panel(),
              .terms = from_.channels,
              .out = sums.data + place * sums.place,
              .outRow = row,
              .adds = false},
             tiles, padded(to_.channels) / kernels_.lanes, from_.channels * panel());
  }
  fromSquares(sums, count, rows, bias != nullptr ? bias : zeros_, relu,
              {outs, to_.channels, to_.height, to_.width, to_.channels * to_.height * to_.width});
}

WinogradForward::WinogradForward(const ConvGeometry& g, const WinogradKernels& kernels)
    : WinogradFilter(g, kernels, {g.channels, g.height, g.width}, {g.outputs, g.outHeight, g.outWidth}, g.padding) {}

void WinogradForward::pack(const float* weight, float* packed) const {
  packTaps(weight, g_.taps(), taps, false, packed);
}

void WinogradForward::run(const float* images, int64_t count, const float* packed, const float* bias, float* outs,
                          RowRange rows, bool relu) const {
  filter(images, count, packed, bias, relu, outs, rows);
}

WinogradBackward::WinogradBackward(const ConvGeometry& g, const WinogradKernels& kernels)
    : WinogradFilter(g, kernels, {g.outputs, g.outHeight, g.outWidth}, {g.channels, g.height, g.width},
                     {2 - g.padding[0], 2 - g.padding[1]}) {}

void WinogradBackward::pack(const float* weight, float* packed) const {
  packTaps(weight, taps, g_.taps(), true, packed);
}

void WinogradBackward::run(const float* cotangents, int64_t count, const float* packed, float* images,
                           RowRange rows) const {
  filter(cotangents, count, packed, nullptr, false, images, rows);
}

// ---- the weight's cotangent ---------------------------------------------------------------------------------------

WinogradCorrelation::WinogradCorrelation(const ConvGeometry& g, const WinogradKernels& kernels)
    : Winograd(g, kernels, g.outHeight, g.outWidth, g.channels + g.outputs) {}

void WinogradCorrelation::run(const float* images, const float* cotangents, int64_t count, RowRange outputs,
                              float* weight) const {
  const int64_t lanes = kernels_.lanes;
  const int64_t channels = padded(g_.channels);
  const int64_t rows = outputs.count();
  const Squares sums = squaresIn(convScratch<float, ConvScratch::sums>(squaresSize(rows, channels)), rows, channels);
  for (int64_t place = 0; place < places; place++) std::fill_n(sums.data + place * sums.place, rows * channels, 0.0F);

  const Cut sets = Cut::atMost(count, together_);
  const Cut blocks{tilesDown_, blocks_};
  for (int64_t set = 0; set < sets.parts; set++) {
    for (int64_t block = 0; block < blocks.parts; block++) {
      const RowRange tileRows{blocks.begin(block), blocks.end(block)};
      const int64_t tiles = sets.length(set) * tileRows.count() * tilesAcross_;
      const Squares image =
          squaresIn(convScratch<float, ConvScratch::squares>(squaresSize(tiles, channels)), tiles, channels);
      const Squares cotangent = squaresIn(
          convScratch<float, ConvScratch::cotangentSquares>(squaresSize(tiles, padded(rows))), tiles, padded(rows));
      toSquares({images + sets.begin(set) * g_.imageSize(), g_.channels, g_.height, g_.width, g_.imageSize()},
                g_.padding, sets.length(set), tileRows, squareSide, kernels_.image, image);
      toSquares({cotangents + sets.begin(set) * g_.outSize() + outputs.begin * g_.outHeight * g_.outWidth, rows,
                 g_.outHeight, g_.outWidth, g_.outSize()},
                {0, 0}, sets.length(set), tileRows, tileSide, kernels_.cotangent, cotangent);
      for (int64_t place = 0; place < places; place++) {
        multiply({.scalars = cotangent.data + place * cotangent.place,
                  .scalarRow = 1,
                  .scalarTerm = cotangent.row,
                  .vectors = image.data + place * image.place,
                  .vectorTerm = image.row,
                  .terms = tiles,
                  .out = sums.data + place * sums.place,
                  .outRow = channels,
                  .adds = true},
                 rows, channels / lanes, WinogradKernels::mostVectors * lanes);
      }
    }
  }

  float* kernel = convScratch<float, ConvScratch::pixels>(taps * lanes);
  for (int64_t row = 0; row < rows; row++) {
    for (int64_t channel = 0; channel < g_.channels; channel += lanes) {
      kernels_.weightGrad(sums.data + row * sums.row + channel, sums.grid(), kernel, {3 * lanes, lanes});
      float* to = weight + (outputs.begin + row) * g_.taps() + channel * taps;
      for (int64_t lane = 0; lane < std::min(lanes, g_.channels - channel); lane++) {
        for (int64_t tap = 0; tap < taps; tap++) to[lane * taps + tap] += kernel[tap * lanes + lane];
      }
    }
  }
}

}  // namespace sparring
