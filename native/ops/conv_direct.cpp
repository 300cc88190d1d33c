#include "ops/conv_direct.h"

#include <limits>
#include <vector>

namespace sparring {

namespace {

/** Numbers that a block's rows of images may take, so that it stays in the second-level cache. */
constexpr int64_t blockNumbers = 64 * 1024;
/** Numbers that a tile of the weight's cotangent may read before the next begins, so that they stay in the first-level cache. */
constexpr int64_t tileNumbers = 5 * 1024;

/** What scratch is for; what has one use is never overwritten by another. */
enum class Use { image, out, places, taps, tapRows, steps, runs, firstOfRow, zeros };

/** Scratch of this thread, uninitialised; it grows and is kept. */
template <class T, Use use>
T* scratch(int64_t size) {
  static thread_local std::vector<T> memory;
  if (memory.size() < static_cast<size_t>(size)) memory.resize(static_cast<size_t>(size));
  return memory.data();
}

int64_t ceilDivide(int64_t a, int64_t b) { return a >= 0 ? (a + b - 1) / b : -(-a / b); }
int64_t floorDivide(int64_t a, int64_t b) { return -ceilDivide(-a, b); }

/** packed[part of rows][term][row of the part] = value(row, term). */
template <class T, class Value>
void packParts(const Cut& rows, int64_t terms, T* packed, Value value) {
  for (int64_t part = 0; part < rows.parts; part++) {
    for (int64_t term = 0; term < terms; term++) {
      for (int64_t row = rows.begin(part); row < rows.end(part); row++) *packed++ = value(row, term);
    }
  }
}

}  // namespace

// ---- what the three have in common ------------------------------------------------------------------------------

template <class T>
DirectConv<T>::DirectConv(const ConvGeometry& geometry, int64_t batch)
    : g_(geometry), kernels_(kernelsFor<T>(g_.outWidth)) {
  const int64_t lanes = kernels_.lanes;
  // How much is computed for each number that is wanted, with vectors of neighbours and with vectors across images.
  // The latter cost the rearrangement besides.
  const auto waste = [&](int64_t n) { return static_cast<double>(Cut::atMost(n, lanes).parts * lanes) / static_cast<double>(n); };
  constexpr double rearrangement = 1.2;
  const bool across = batch > 0 && waste(batch) * rearrangement < waste(g_.outWidth);
  together_ = across ? lanes : 1;
  outVectors_ = across ? g_.outWidth : Cut::atMost(g_.outWidth, lanes).parts;

  const int64_t outPixels = across ? g_.outWidth : outVectors_ * lanes;
  const bool asTheyAre = outPixels == g_.outWidth && g_.padding[1] == 0 && g_.stride[1] == 1;
  const int64_t phase = asTheyAre ? g_.width : outPixels + (g_.kernel[1] - 1) * g_.dilation[1] / g_.stride[1];
  image_ = ConvLayout<T>({g_.height, g_.width, g_.padding[1], g_.stride[1], phase, together_});
  out_ = ConvLayout<T>({g_.outHeight, g_.outWidth, 0, 1, outPixels, together_});
}

/** The tiles that take the least time, by a simple count of what a processor does in a cycle. */
template <class T>
Tiling DirectConv<T>::chooseTiling(int64_t rows, int mostRows, int64_t columns, int mostColumns) const {
  const auto cycles = [](int64_t r, int64_t c) {
    const double multiplications = static_cast<double>(r * c) / 2;
    const double loads = (static_cast<double>(r) + 1.5 * static_cast<double>(c)) / 2;  // pixels often cross a cache line
    constexpr double latency = 4;
    constexpr double loop = 0.3;
    const double cache = 0.15 * static_cast<double>(c);  // pixels come from further away than what they are multiplied with
    return std::max({multiplications, loads, latency}) + loop + cache;
  };
  Tiling best{};
  double least = std::numeric_limits<double>::infinity();
  for (int64_t most = 1; most <= std::min<int64_t>(mostColumns, columns); most++) {
    const Tiling tiling{Cut::atMost(rows, std::min<int64_t>(mostRows, kernels_.sums / most)), Cut::atMost(columns, most)};
    double total = 0;
    for (const auto& [r, rowParts] : tiling.rows.lengths()) {
      for (const auto& [c, columnParts] : tiling.columns.lengths()) {
        total += static_cast<double>(rowParts * columnParts) * cycles(r, c);
      }
    }
    if (total < least) {
      least = total;
      best = tiling;
    }
  }
  return best;
}

template <class T>
RowRange DirectConv<T>::imageRowsOf(RowRange outRows) const {
  const int64_t begin = outRows.begin * g_.stride[0] - g_.padding[0];
  const int64_t end = (outRows.end - 1) * g_.stride[0] - g_.padding[0] + (g_.kernel[0] - 1) * g_.dilation[0] + 1;
  const int64_t first = std::clamp<int64_t>(begin, 0, g_.height);
  return {first, std::clamp<int64_t>(end, first, g_.height)};
}

template <class T>
RowRange DirectConv<T>::outRowsOf(RowRange imageRows) const {
  const int64_t begin = ceilDivide(imageRows.begin + g_.padding[0] - (g_.kernel[0] - 1) * g_.dilation[0], g_.stride[0]);
  const int64_t end = floorDivide(imageRows.end - 1 + g_.padding[0], g_.stride[0]) + 1;
  const int64_t first = std::clamp<int64_t>(begin, 0, g_.outHeight);
  return {first, std::clamp<int64_t>(end, first, g_.outHeight)};
}

/** All sums of some rows, for as many tiles' rows at a time as have weights that stay in the second-level cache. */
template <class T>
void DirectConv<T>::multiply(const Tiling& tiling, const Terms& terms, ConvView<const T*> source, const T* packed,
                             RowRange rows, ConvView<T*> out, int64_t outRow, const int64_t* places, const T* start) const {
  const Cut batches = Cut::atMost(tiling.rows.parts, std::max<int64_t>(1, blockNumbers / (tiling.rows.length(0) * terms.total + 1)));
  for (int64_t batch = 0; batch < batches.parts; batch++) {
    for (int64_t row = rows.begin; row < rows.end; row++) {
      // From the right: what the backward pass adds to one pixel then comes in the order of the taps, however rows are
      // cut into tiles.
      for (int64_t piece = tiling.columns.parts - 1; piece >= 0; piece--) {
        const int64_t x = tiling.columns.begin(piece) * kernels_.lanes;
        for (int64_t part = batches.begin(batch); part < batches.end(batch); part++) {
          const int64_t first = tiling.rows.begin(part);
          kernels_.product[static_cast<size_t>(tiling.rows.length(part) - 1)][static_cast<size_t>(tiling.columns.length(piece) - 1)](
              {.source = source.data + x,
               .runs = terms.runs + terms.firstOfRow[row],
               .runCount = terms.firstOfRow[row + 1] - terms.firstOfRow[row],
               .length = terms.length,
               .step = source.plane,
               .weights = packed + first * terms.total,
               .out = out.data + row * outRow + x,
               .places = places + first,
               .start = start == nullptr ? nullptr : start + first});
        }
      }
    }
  }
}

// ---- forward ----------------------------------------------------------------------------------------------------

template <class T>
ConvForward<T>::ConvForward(const ConvGeometry& geometry, int64_t batch) : DirectConv<T>(geometry, batch) {
  const ConvGeometry& g = this->g_;
  tiling_ = this->chooseTiling(g.groupOutputs(), Kernels<T>::mostRows, this->outVectors_, Kernels<T>::mostVectors);
  // Taps that fall above or below the image have no terms.
  Run* runs = scratch<Run, Use::runs>(g.outHeight * g.kernel[0] * g.kernel[1]);
  int64_t* firstOfRow = scratch<int64_t, Use::firstOfRow>(g.outHeight + 1);
  int64_t count = 0;
  for (int64_t y = 0; y < g.outHeight; y++) {
    firstOfRow[y] = count;
    for (int64_t ky = 0; ky < g.kernel[0]; ky++) {
      const int64_t row = y * g.stride[0] + ky * g.dilation[0] - g.padding[0];
      if (row < 0 || row >= g.height) continue;
      for (int64_t kx = 0; kx < g.kernel[1]; kx++) {
        runs[count++] = {row * this->image_.row() + this->image_.place(kx * g.dilation[1]),
                         (ky * g.kernel[1] + kx) * g.groupChannels()};
      }
    }
  }
  firstOfRow[g.outHeight] = count;
  terms_ = {runs, firstOfRow, g.groupChannels(), g.taps()};
  T* zeros = scratch<T, Use::zeros>(g.groupOutputs());
  std::fill_n(zeros, g.groupOutputs(), T{0});
  zeros_ = zeros;
}

template <class T>
void ConvForward<T>::pack(const T* weight, T* packed) const {
  const ConvGeometry& g = this->g_;
  const int64_t area = g.kernel[0] * g.kernel[1];
  for (int64_t group = 0; group < g.groups; group++) {
    const int64_t offset = group * g.groupOutputs() * g.taps();
    packParts(tiling_.rows, g.taps(), packed + offset, [&](int64_t output, int64_t term) {
      return weight[offset + (output * g.groupChannels() + term % g.groupChannels()) * area + term / g.groupChannels()];
    });
  }
}

template <class T>
int64_t ConvForward<T>::blocks() const {
  const ConvGeometry& g = this->g_;
  return std::clamp<int64_t>(this->image_.size(g.groupChannels(), {0, g.height}) / blockNumbers, 1, g.outHeight);
}

template <class T>
void ConvForward<T>::run(const T* images, int64_t count, const T* packed, const T* bias, T* outs, RowRange outRows) const {
  const ConvGeometry& g = this->g_;
  const RowRange imageRows = this->imageRowsOf(outRows);
  T* imageScratch = scratch<T, Use::image>(this->image_.size(g.groupChannels(), imageRows));
  T* outScratch = scratch<T, Use::out>(this->out_.size(g.groupOutputs(), outRows));
  int64_t* places = scratch<int64_t, Use::places>(g.groupOutputs());
  for (int64_t group = 0; group < g.groups; group++) {
    T* out = outs + group * g.outSize() / g.groups;
    const auto source = this->image_.read(images + group * g.imageSize() / g.groups, g.imageSize(), count, g.groupChannels(),
                                          imageRows, ConvLayout<T>::Across::channels, imageScratch);
    const auto target = this->out_.open(out, g.groupOutputs(), outRows, outScratch);
    for (int64_t output = 0; output < g.groupOutputs(); output++) places[output] = output * target.plane;
    this->multiply(tiling_, terms_, source, packed + group * g.weightSize() / g.groups, outRows, target, this->out_.row(), places,
                   bias == nullptr ? zeros_ : bias + group * g.groupOutputs());
    this->out_.close(target, out, g.outSize(), count, g.groupOutputs(), outRows);
  }
}

// ---- backward ---------------------------------------------------------------------------------------------------

template <class T>
ConvBackward<T>::ConvBackward(const ConvGeometry& geometry, int64_t batch) : DirectConv<T>(geometry, batch) {
  const ConvGeometry& g = this->g_;
  tiling_ = this->chooseTiling(g.groupChannels() * g.kernel[1], Kernels<T>::mostRows, this->outVectors_, Kernels<T>::mostVectors);
  Run* runs = scratch<Run, Use::runs>(g.height * g.kernel[0]);
  int64_t* firstOfRow = scratch<int64_t, Use::firstOfRow>(g.height + 1);
  int64_t count = 0;
  for (int64_t y = 0; y < g.height; y++) {
    firstOfRow[y] = count;
    for (int64_t ky = 0; ky < g.kernel[0]; ky++) {
      const int64_t row = y + g.padding[0] - ky * g.dilation[0];
      if (row < 0 || row % g.stride[0] != 0 || row / g.stride[0] >= g.outHeight) continue;
      runs[count++] = {row / g.stride[0] * this->out_.row(), ky * g.groupOutputs()};
    }
  }
  firstOfRow[g.height] = count;
  terms_ = {runs, firstOfRow, g.groupOutputs(), g.kernel[0] * g.groupOutputs()};
}

template <class T>
void ConvBackward<T>::pack(const T* weight, T* packed) const {
  const ConvGeometry& g = this->g_;
  for (int64_t group = 0; group < g.groups; group++) {
    const int64_t offset = group * g.groupOutputs() * g.taps();
    packParts(tiling_.rows, terms_.total, packed + offset, [&](int64_t row, int64_t term) {
      const int64_t kx = row / g.groupChannels();
      const int64_t channel = row % g.groupChannels();
      const int64_t ky = term / g.groupOutputs();
      return weight[offset + term % g.groupOutputs() * g.taps() + (channel * g.kernel[0] + ky) * g.kernel[1] + kx];
    });
  }
}

template <class T>
int64_t ConvBackward<T>::blocks() const {
  const ConvGeometry& g = this->g_;
  const int64_t size = this->image_.size(g.groupChannels(), {0, g.height}) + this->out_.size(g.groupOutputs(), {0, g.outHeight});
  return std::clamp<int64_t>(size / blockNumbers, 1, g.height);
}

template <class T>
void ConvBackward<T>::run(const T* cotangents, int64_t count, const T* packed, T* images, RowRange imageRows) const {
  const ConvGeometry& g = this->g_;
  const RowRange outRows = this->outRowsOf(imageRows);
  T* imageScratch = scratch<T, Use::image>(this->image_.size(g.groupChannels(), imageRows));
  T* outScratch = scratch<T, Use::out>(this->out_.size(g.groupOutputs(), outRows));
  int64_t* places = scratch<int64_t, Use::places>(g.groupChannels() * g.kernel[1]);
  for (int64_t group = 0; group < g.groups; group++) {
    T* image = images + group * g.imageSize() / g.groups;
    const auto source = this->out_.read(cotangents + group * g.outSize() / g.groups, g.outSize(), count, g.groupOutputs(), outRows,
                                        ConvLayout<T>::Across::channels, outScratch);
    const auto target = this->image_.open(image, g.groupChannels(), imageRows, imageScratch);
    this->image_.clear(target, g.groupChannels(), imageRows);
    for (int64_t row = 0; row < g.groupChannels() * g.kernel[1]; row++) {
      const int64_t kx = row / g.groupChannels();
      places[row] = row % g.groupChannels() * target.plane + this->image_.place(kx * g.dilation[1]);
    }
    this->multiply(tiling_, terms_, source, packed + group * g.weightSize() / g.groups, imageRows, target, this->image_.row(), places,
                   nullptr);
    this->image_.close(target, image, g.imageSize(), count, g.groupChannels(), imageRows);
  }
}

// ---- the weight's cotangent -------------------------------------------------------------------------------------

template <class T>
void ConvCorrelation<T>::run(const T* images, const T* cotangents, int64_t count, RowRange outputs, T* weight) const {
  const ConvGeometry& g = this->g_;
  if (count == 0) return;
  const int64_t area = g.kernel[0] * g.kernel[1];
  // What is correlated at a time: rows of one set of images that lie together, or all rows of several; of some channels.
  const int64_t sets = Cut::atMost(count, this->together_).parts;
  const auto footprint = [&](RowRange rows) {
    return Kernels<T>::mostOutputs * rows.count() * this->out_.row() + 2 * this->image_.size(1, this->imageRowsOf(rows));
  };
  const Cut rowBlocks = Cut::atMost(g.outHeight, std::max<int64_t>(1, g.outHeight * tileNumbers / footprint({0, g.outHeight})));
  const RowRange longest{0, rowBlocks.length(rowBlocks.parts - 1)};
  const Cut setBlocks = Cut::atMost(sets, rowBlocks.parts > 1 ? 1 : std::max<int64_t>(1, tileNumbers / footprint(longest)));
  const int64_t most = this->image_.size(1, this->imageRowsOf(longest)) * setBlocks.length(setBlocks.parts - 1);
  const Cut channelBlocks = Cut::atMost(g.groupChannels(), std::max<int64_t>(1, 32 * 1024 / most));

  Step* steps = scratch<Step, Use::steps>(g.kernel[0] * setBlocks.length(setBlocks.parts - 1) * rowBlocks.length(rowBlocks.parts - 1) * this->outVectors_);
  struct TapRow {
    int64_t cotangent, source;  // where the first of the rows is
    const Step* steps;
    int64_t stepCount;
  };
  TapRow* tapRows = scratch<TapRow, Use::tapRows>(g.kernel[0]);
  int64_t* taps = scratch<int64_t, Use::taps>(g.groupChannels() * g.kernel[1]);
  int64_t* places = scratch<int64_t, Use::places>(g.groupChannels() * g.kernel[1]);
  for (int64_t block = 0; block < g.groups * channelBlocks.parts * setBlocks.parts * rowBlocks.parts; block++) {
    const int64_t rowBlock = block % rowBlocks.parts;
    const int64_t setBlock = block / rowBlocks.parts % setBlocks.parts;
    const int64_t channelBlock = block / (rowBlocks.parts * setBlocks.parts) % channelBlocks.parts;
    const int64_t group = block / (rowBlocks.parts * setBlocks.parts * channelBlocks.parts);
    const RowRange outRows{rowBlocks.begin(rowBlock), rowBlocks.end(rowBlock)};
    const RowRange imageRows = this->imageRowsOf(outRows);
    const int64_t channels = channelBlocks.length(channelBlock);
    const int64_t firstChannel = group * g.groupChannels() + channelBlocks.begin(channelBlock);
    const int64_t firstOutput = group * g.groupOutputs() + outputs.begin;
    const int64_t firstImage = setBlocks.begin(setBlock) * this->together_;
    const int64_t imageCount = std::min(count, setBlocks.end(setBlock) * this->together_) - firstImage;
    const int64_t setCount = setBlocks.length(setBlock);
    const auto source = this->image_.read(images + firstImage * g.imageSize() + firstChannel * g.height * g.width, g.imageSize(),
                                          imageCount, channels, imageRows, ConvLayout<T>::Across::images,
                                          scratch<T, Use::image>(setCount * this->image_.size(channels, imageRows)));
    const auto cotangent = this->out_.read(cotangents + firstImage * g.outSize() + firstOutput * g.outHeight * g.outWidth,
                                           g.outSize(), imageCount, outputs.count(), outRows, ConvLayout<T>::Across::images,
                                           scratch<T, Use::out>(setCount * this->out_.size(outputs.count(), outRows)));
    for (int64_t tap = 0; tap < channels * g.kernel[1]; tap++) {
      const int64_t channel = tap / g.kernel[1];
      const int64_t kx = tap % g.kernel[1];
      taps[tap] = channel * source.plane + this->image_.place(kx * g.dilation[1]);
      places[tap] = channel * area + kx;
    }
    const Tiling tiling = this->chooseTiling(outputs.count(), Kernels<T>::mostOutputs, channels * g.kernel[1], Kernels<T>::mostTaps);
    // The rows of the output whose tap ky is in the image, and the steps along them: for most ky the same.
    Step* freeSteps = steps;
    for (int64_t ky = 0; ky < g.kernel[0]; ky++) {
      const int64_t shift = ky * g.dilation[0] - g.padding[0];
      const int64_t begin = std::max(outRows.begin, ceilDivide(-shift, g.stride[0]));
      const int64_t rowCount = std::max<int64_t>(0, std::min(outRows.end, ceilDivide(g.height - shift, g.stride[0])) - begin);
      const int64_t stepCount = setCount * rowCount * this->outVectors_;
      const bool asBefore = ky > 0 && stepCount == tapRows[ky - 1].stepCount;
      tapRows[ky] = {begin * this->out_.row(), (begin * g.stride[0] + shift) * this->image_.row(),
                     asBefore ? tapRows[ky - 1].steps : freeSteps, stepCount};
      for (int64_t step = 0; step < stepCount && !asBefore; step++) {
        const int64_t x = step % this->outVectors_ * this->kernels_.lanes;
        const int64_t row = step / this->outVectors_ % rowCount;
        const int64_t set = step / this->outVectors_ / rowCount;
        *freeSteps++ = {set * cotangent.set + row * this->out_.row() + x,
                        set * source.set + row * g.stride[0] * this->image_.row() + x};
      }
    }
    for (int64_t o = 0; o < tiling.rows.parts; o++) {
      for (int64_t ky = 0; ky < g.kernel[0]; ky++) {
        T* sums = weight + (firstOutput + tiling.rows.begin(o)) * g.taps() + channelBlocks.begin(channelBlock) * area + ky * g.kernel[1];
        for (int64_t t = 0; t < tiling.columns.parts; t++) {
          this->kernels_.correlation[static_cast<size_t>(tiling.rows.length(o) - 1)][static_cast<size_t>(tiling.columns.length(t) - 1)](
              {.cotangent = cotangent.data + tiling.rows.begin(o) * cotangent.plane + tapRows[ky].cotangent,
               .cotangentStep = cotangent.plane,
               .source = source.data + tapRows[ky].source,
               .taps = taps + tiling.columns.begin(t),
               .steps = tapRows[ky].steps,
               .stepCount = tapRows[ky].stepCount,
               .sums = sums,
               .sumsStep = g.taps(),
               .places = places + tiling.columns.begin(t)});
        }
      }
    }
  }
}

template class DirectConv<float>;
template class DirectConv<double>;
template class ConvForward<float>;
template class ConvForward<double>;
template class ConvBackward<float>;
template class ConvBackward<double>;
template class ConvCorrelation<float>;
template class ConvCorrelation<double>;

}  // namespace sparring
