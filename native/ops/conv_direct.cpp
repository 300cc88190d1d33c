#include "ops/conv_direct.h"

#include <limits>

#include "ops/conv_scratch.h"

namespace sparring {

namespace {

/** Numbers that a block's rows of images may take, so that it stays in the second-level cache. */
constexpr int64_t blockNumbers = 64 * 1024;
/** Numbers that a tile's weights meet before the next tile's do, so that they stay in the first-level cache. */
constexpr int64_t bandNumbers = 4 * 1024;
/** The same as for a block, for correlations, which read it all again for every few outputs. */
constexpr int64_t correlatedNumbers = 32 * 1024;
/** Numbers that a tile of the weight's cotangent may read before the next begins, so that they stay in the first-level cache. */
constexpr int64_t tileNumbers = 11 * 512;

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

/** For each row, how many from there on have the same runs of terms, each `shift` further than the row before. */
const int64_t* findAlike(const Run* runs, const int64_t* firstOfRow, int64_t rows, int64_t shift) {
  int64_t* alike = convScratch<int64_t, ConvScratch::alike>(rows);
  const auto follows = [&](const Run& run, const Run& next) {
    return next.source == run.source + shift && next.first == run.first;
  };
  for (int64_t row = rows - 1; row >= 0; row--) {
    const Run* begin = runs + firstOfRow[row];
    const Run* end = runs + firstOfRow[row + 1];
    const bool isLike = row + 1 < rows && std::equal(begin, end, end, runs + firstOfRow[row + 2], follows);
    alike[row] = isLike ? alike[row + 1] + 1 : 1;
  }
  return alike;
}

}  // namespace

// ---- what the three have in common ------------------------------------------------------------------------------

template <class T>
DirectConv<T>::DirectConv(const ConvGeometry& geometry, int64_t batch)
    : g_(geometry), kernels_(kernelsFor<T>(g_.outWidth)) {
  const int64_t lanes = kernels_.lanes;
  // How much is computed for each number that is wanted, with vectors of neighbours and with vectors across images.
  // The latter cost the rearrangement besides.
  const auto waste = [&](int64_t n) {
    return static_cast<double>(Cut::atMost(n, lanes).parts * lanes) / static_cast<double>(n);
  };
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

/** The tiles that take the least time, by a simple count of what a processor does in a cycle, term by term. */
template <class T>
Tiling DirectConv<T>::chooseTiling(int64_t rows, int mostRows, int64_t columns, int mostColumns, int64_t terms) const {
  const auto cycles = [terms](int64_t r, int64_t c) {
    const double multiplications = static_cast<double>(r * c) / 2;
    const double loads =
        (static_cast<double>(r) + 1.5 * static_cast<double>(c)) / 2;  // pixels often cross a cache line
    constexpr double latency = 4;
    constexpr double loop = 0.3;
    const double cache =
        0.15 * static_cast<double>(c);  // pixels come from further away than what they are multiplied with
    const double beginning = 30 / static_cast<double>(terms);  // and end of a tile
    return std::max({multiplications, loads, latency}) + loop + cache + beginning;
  };
  Tiling best{};
  double least = std::numeric_limits<double>::infinity();
  for (int64_t most = 1; most <= std::min<int64_t>(mostColumns, columns); most++) {
    const Tiling tiling{Cut::atMost(rows, std::min<int64_t>(mostRows, kernels_.sums / most)),
                        Cut::atMost(columns, most)};
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

template <class T>
int64_t DirectConv<T>::vectorsOf(const Terms& terms, int64_t rows) const {
  const int64_t together = *std::max_element(terms.alike, terms.alike + rows);
  return std::clamp<int64_t>(bandNumbers / terms.row, 1, together) * outVectors_;
}

/**
 * All sums of some rows. Tiles' rows go by in as many batches as have weights that stay in the second-level cache; a tile's
 * weights meet all rows of pixels that stay in the first-level cache before the next tile's do. A tile takes vectors of
 * several rows where their terms are alike.
 */
template <class T>
void DirectConv<T>::multiply(const Tiling& tiling, const Terms& terms, const T* source, const int64_t* steps,
                             const T* packed, RowRange rows, T* out, int64_t outRow, const int64_t* places,
                             const T* start, bool relu) const {
  const Cut batches =
      Cut::atMost(tiling.rows.parts, std::max<int64_t>(1, blockNumbers / (tiling.rows.length(0) * terms.total + 1)));
  const Cut bands = Cut::atMost(rows.count(), std::max<int64_t>(1, bandNumbers / terms.row));
  const int64_t most = tiling.columns.length(tiling.columns.parts - 1);
  const int64_t bandRows = bands.length(bands.parts - 1);
  Column* columns = convScratch<Column, ConvScratch::columns>(bandRows * outVectors_);
  for (int64_t row = 0; row < bandRows; row++) {
    for (int64_t vector = 0; vector < outVectors_; vector++) {
      const int64_t x = vector * kernels_.lanes;
      columns[row * outVectors_ + vector] = {row * terms.shift + x, row * outRow + x};
    }
  }
  Product<T> product{};
  product.source = source;
  product.length = terms.length;
  product.steps = steps;
  product.relu = relu;
  const auto multiplyRows = [&](int64_t row, int64_t count, int64_t part) {
    const int64_t first = tiling.rows.begin(part);
    product.weights = packed + first * terms.total;
    product.places = places + first;
    product.start = start == nullptr ? nullptr : start + first;
    product.runs = terms.runs + terms.firstOfRow[row];
    product.runCount = terms.firstOfRow[row + 1] - terms.firstOfRow[row];
    product.out = out + row * outRow;
    const Cut tiles = Cut::atMost(count * outVectors_, most);
    // From the right: what the backward pass adds to one pixel then comes in the order of the taps, however rows are
    // cut into tiles.
    for (int64_t tile = tiles.parts - 1; tile >= 0; tile--) {
      product.columns = columns + tiles.begin(tile);
      kernels_.product[static_cast<size_t>(tiling.rows.length(part) - 1)][static_cast<size_t>(tiles.length(tile) - 1)](
          product);
    }
  };
  for (int64_t batch = 0; batch < batches.parts; batch++) {
    for (int64_t band = 0; band < bands.parts; band++) {
      const int64_t end = rows.begin + bands.end(band);
      for (int64_t part = batches.begin(batch); part < batches.end(batch); part++) {
        for (int64_t row = rows.begin + bands.begin(band); row < end;) {
          const int64_t count = std::min(terms.alike[row], end - row);
          multiplyRows(row, count, part);
          row += count;
        }
      }
    }
  }
}

// ---- forward ----------------------------------------------------------------------------------------------------

template <class T>
ConvForward<T>::ConvForward(const ConvGeometry& geometry, int64_t batch) : DirectConv<T>(geometry, batch) {
  // A run goes along the taps of a row, and at each through the channels.
  Run* runs = convScratch<Run, ConvScratch::runs>(g_.outHeight * g_.kernel[0]);
  int64_t* firstOfRow = convScratch<int64_t, ConvScratch::firstOfRow>(g_.outHeight + 1);
  int64_t count = 0;
  for (int64_t y = 0; y < g_.outHeight; y++) {
    firstOfRow[y] = count;
    for (int64_t ky = 0; ky < g_.kernel[0]; ky++) {
      const int64_t row = y * g_.stride[0] + ky * g_.dilation[0] - g_.padding[0];
      if (row < 0 || row >= g_.height) continue;  // taps above or below the image have no terms
      runs[count++] = {row * image_.row(), ky * g_.kernel[1] * g_.groupChannels()};
    }
  }
  firstOfRow[g_.outHeight] = count;
  const int64_t shift = g_.stride[0] * image_.row();
  terms_ = {.runs = runs,
            .firstOfRow = firstOfRow,
            .length = g_.kernel[1] * g_.groupChannels(),
            .total = g_.taps(),
            .row = g_.groupChannels() * shift,
            .shift = shift,
            .alike = findAlike(runs, firstOfRow, g_.outHeight, shift)};
  tiling_ = this->chooseTiling(g_.groupOutputs(), Kernels<T>::mostRows, this->vectorsOf(terms_, g_.outHeight),
                               Kernels<T>::mostVectors, terms_.total);
  T* zeros = convScratch<T, ConvScratch::zeros>(g_.groupOutputs());
  std::fill_n(zeros, g_.groupOutputs(), T{0});
  zeros_ = zeros;
}

template <class T>
void ConvForward<T>::pack(const T* weight, T* packed) const {
  const int64_t area = g_.kernel[0] * g_.kernel[1];
  for (int64_t group = 0; group < g_.groups; group++) {
    const int64_t offset = group * g_.groupOutputs() * g_.taps();
    packParts(tiling_.rows, g_.taps(), packed + offset, [&](int64_t output, int64_t term) {
      return weight[offset + (output * g_.groupChannels() + term % g_.groupChannels()) * area +
                    term / g_.groupChannels()];
    });
  }
}

template <class T>
int64_t ConvForward<T>::blocks() const {
  return std::clamp<int64_t>(image_.size(g_.groupChannels(), {0, g_.height}) / blockNumbers, 1, g_.outHeight);
}

template <class T>
void ConvForward<T>::run(const T* images, int64_t count, const T* packed, const T* bias, T* outs, RowRange outRows,
                         bool relu) const {
  const RowRange imageRows = this->imageRowsOf(outRows);
  T* imageScratch = convScratch<T, ConvScratch::image>(image_.size(g_.groupChannels(), imageRows));
  T* outScratch = convScratch<T, ConvScratch::out>(out_.size(g_.groupOutputs(), outRows));
  int64_t* places = convScratch<int64_t, ConvScratch::places>(g_.groupOutputs());
  int64_t* steps = convScratch<int64_t, ConvScratch::termSteps>(terms_.length);
  for (int64_t group = 0; group < g_.groups; group++) {
    T* out = outs + group * g_.outSize() / g_.groups;
    const auto source = image_.read(images + group * g_.imageSize() / g_.groups, g_.imageSize(), count,
                                    g_.groupChannels(), imageRows, ConvLayout<T>::Across::channels, imageScratch);
    const auto target = out_.open(out, g_.groupOutputs(), outRows, outScratch);
    for (int64_t output = 0; output < g_.groupOutputs(); output++) places[output] = output * target.plane;
    for (int64_t term = 0; term < terms_.length; term++) {
      const int64_t kx = term / g_.groupChannels();
      steps[term] = image_.place(kx * g_.dilation[1]) + term % g_.groupChannels() * source.plane;
    }
    this->multiply(tiling_, terms_, source.data, steps, packed + group * g_.weightSize() / g_.groups, outRows,
                   target.data, out_.row(), places, bias == nullptr ? zeros_ : bias + group * g_.groupOutputs(), relu);
    out_.close(target, out, g_.outSize(), count, g_.groupOutputs(), outRows);
  }
}

// ---- backward ---------------------------------------------------------------------------------------------------

template <class T>
ConvBackward<T>::ConvBackward(const ConvGeometry& geometry, int64_t batch) : DirectConv<T>(geometry, batch) {
  Run* runs = convScratch<Run, ConvScratch::runs>(g_.height * g_.kernel[0]);
  int64_t* firstOfRow = convScratch<int64_t, ConvScratch::firstOfRow>(g_.height + 1);
  int64_t count = 0;
  for (int64_t y = 0; y < g_.height; y++) {
    firstOfRow[y] = count;
    for (int64_t ky = 0; ky < g_.kernel[0]; ky++) {
      const int64_t row = y + g_.padding[0] - ky * g_.dilation[0];
      if (row < 0 || row % g_.stride[0] != 0 || row / g_.stride[0] >= g_.outHeight) continue;
      runs[count++] = {row / g_.stride[0] * out_.row(), ky * g_.groupOutputs()};
    }
  }
  firstOfRow[g_.height] = count;
  terms_ = {.runs = runs,
            .firstOfRow = firstOfRow,
            .length = g_.groupOutputs(),
            .total = g_.kernel[0] * g_.groupOutputs(),
            .row = g_.groupOutputs() * out_.row(),
            .shift = out_.row(),
            .alike = findAlike(runs, firstOfRow, g_.height, out_.row())};
  tiling_ = this->chooseTiling(g_.groupChannels() * g_.kernel[1], Kernels<T>::mostRows,
                               this->vectorsOf(terms_, g_.height), Kernels<T>::mostVectors, terms_.total);
}

template <class T>
void ConvBackward<T>::pack(const T* weight, T* packed) const {
  for (int64_t group = 0; group < g_.groups; group++) {
    const int64_t offset = group * g_.groupOutputs() * g_.taps();
    packParts(tiling_.rows, terms_.total, packed + offset, [&](int64_t row, int64_t term) {
      const int64_t kx = row / g_.groupChannels();
      const int64_t channel = row % g_.groupChannels();
      const int64_t ky = term / g_.groupOutputs();
      return weight[offset + term % g_.groupOutputs() * g_.taps() + (channel * g_.kernel[0] + ky) * g_.kernel[1] + kx];
    });
  }
}

template <class T>
int64_t ConvBackward<T>::blocks() const {
  const int64_t size =
      image_.size(g_.groupChannels(), {0, g_.height}) + out_.size(g_.groupOutputs(), {0, g_.outHeight});
  return std::clamp<int64_t>(size / blockNumbers, 1, g_.height);
}

template <class T>
void ConvBackward<T>::run(const T* cotangents, int64_t count, const T* packed, T* images, RowRange imageRows) const {
  const RowRange outRows = this->outRowsOf(imageRows);
  T* imageScratch = convScratch<T, ConvScratch::image>(image_.size(g_.groupChannels(), imageRows));
  T* outScratch = convScratch<T, ConvScratch::out>(out_.size(g_.groupOutputs(), outRows));
  int64_t* places = convScratch<int64_t, ConvScratch::places>(g_.groupChannels() * g_.kernel[1]);
  int64_t* steps = convScratch<int64_t, ConvScratch::termSteps>(terms_.length);
  for (int64_t group = 0; group < g_.groups; group++) {
    T* image = images + group * g_.imageSize() / g_.groups;
    const auto source = out_.read(cotangents + group * g_.outSize() / g_.groups, g_.outSize(), count, g_.groupOutputs(),
                                  outRows, ConvLayout<T>::Across::channels, outScratch);
    const auto target = image_.open(image, g_.groupChannels(), imageRows, imageScratch);
    image_.clear(target, g_.groupChannels(), imageRows);
    for (int64_t row = 0; row < g_.groupChannels() * g_.kernel[1]; row++) {
      const int64_t kx = row / g_.groupChannels();
      places[row] = row % g_.groupChannels() * target.plane + image_.place(kx * g_.dilation[1]);
    }
    for (int64_t output = 0; output < g_.groupOutputs(); output++) steps[output] = output * source.plane;
    this->multiply(tiling_, terms_, source.data, steps, packed + group * g_.weightSize() / g_.groups, imageRows,
                   target.data, image_.row(), places, nullptr, false);
    image_.close(target, image, g_.imageSize(), count, g_.groupChannels(), imageRows);
  }
}

// ---- the weight's cotangent -------------------------------------------------------------------------------------

template <class T>
ConvCorrelation<T>::ConvCorrelation(const ConvGeometry& geometry, int64_t batch) : DirectConv<T>(geometry, batch) {
  // Rows of one set of images that lie together, or all rows of several sets: as many as stay in the first-level cache
  // while a tile reads them, and of so many channels that all stay in the second-level one.
  const auto footprint = [&](RowRange rows) {
    return Kernels<T>::mostOutputs * rows.count() * out_.row() + image_.size(1, this->imageRowsOf(rows));
  };
  const int64_t rows = g_.outHeight * tileNumbers / footprint({0, g_.outHeight});
  rowBlocks_ = Cut::atMost(g_.outHeight, std::max<int64_t>(1, rows));
  const RowRange longest{0, rowBlocks_.length(rowBlocks_.parts - 1)};
  mostSets_ = rowBlocks_.parts > 1 ? 1 : std::max<int64_t>(1, tileNumbers / footprint(longest));
  const int64_t channel = mostSets_ * image_.size(1, this->imageRowsOf(longest));
  channelBlocks_ = Cut::atMost(g_.groupChannels(), std::max<int64_t>(1, correlatedNumbers / channel));
}

template <class T>
void ConvCorrelation<T>::run(const T* images, const T* cotangents, int64_t count, RowRange outputs, T* weight) const {
  const Cut setBlocks = Cut::atMost(Cut::atMost(count, together_).parts, mostSets_);
  for (int64_t group = 0; group < g_.groups; group++) {
    for (int64_t channels = 0; channels < channelBlocks_.parts; channels++) {
      const int64_t firstChannel = group * g_.groupChannels() + channelBlocks_.begin(channels);
      const int64_t firstOutput = group * g_.groupOutputs() + outputs.begin;
      T* sums = weight + firstOutput * g_.taps() + channelBlocks_.begin(channels) * g_.kernel[0] * g_.kernel[1];
      for (int64_t sets = 0; sets < setBlocks.parts; sets++) {
        const int64_t first = setBlocks.begin(sets) * together_;
        for (int64_t rows = 0; rows < rowBlocks_.parts; rows++) {
          runBlock(images + first * g_.imageSize() + firstChannel * g_.height * g_.width,
                   channelBlocks_.length(channels),
                   cotangents + first * g_.outSize() + firstOutput * g_.outHeight * g_.outWidth, outputs.count(),
                   std::min(count, setBlocks.end(sets) * together_) - first,
                   {rowBlocks_.begin(rows), rowBlocks_.end(rows)}, sums);
        }
      }
    }
  }
}

template <class T>
void ConvCorrelation<T>::runBlock(const T* images, int64_t channels, const T* cotangents, int64_t outputs,
                                  int64_t count, RowRange outRows, T* weight) const {
  const RowRange imageRows = this->imageRowsOf(outRows);
  const int64_t sets = Cut::atMost(count, together_).parts;
  const auto source = image_.read(images, g_.imageSize(), count, channels, imageRows, ConvLayout<T>::Across::images,
                                  convScratch<T, ConvScratch::image>(sets * image_.size(channels, imageRows)));
  const auto cotangent = out_.read(cotangents, g_.outSize(), count, outputs, outRows, ConvLayout<T>::Across::images,
                                   convScratch<T, ConvScratch::out>(sets * out_.size(outputs, outRows)));
  const int64_t tapCount = channels * g_.kernel[1];
  int64_t* taps = convScratch<int64_t, ConvScratch::taps>(tapCount);
  int64_t* places = convScratch<int64_t, ConvScratch::places>(tapCount);
  for (int64_t tap = 0; tap < tapCount; tap++) {
    const int64_t channel = tap / g_.kernel[1];
    const int64_t kx = tap % g_.kernel[1];
    taps[tap] = channel * source.plane + image_.place(kx * g_.dilation[1]);
    places[tap] = channel * g_.kernel[0] * g_.kernel[1] + kx;
  }
  const TapRow* tapRows = findTapRows(source.set, cotangent.set, sets, outRows);
  const Tiling tiling = this->chooseTiling(outputs, Kernels<T>::mostOutputs, tapCount, Kernels<T>::mostTaps,
                                           sets * outRows.count() * outVectors_);
  for (int64_t row = 0; row < tiling.rows.parts; row++) {
    for (int64_t ky = 0; ky < g_.kernel[0]; ky++) {
      for (int64_t column = 0; column < tiling.columns.parts; column++) {
        const auto kernel = kernels_.correlation[static_cast<size_t>(tiling.rows.length(row) - 1)]
                                                [static_cast<size_t>(tiling.columns.length(column) - 1)];
        kernel({.cotangent = cotangent.data + tiling.rows.begin(row) * cotangent.plane + tapRows[ky].cotangent,
                .cotangentStep = cotangent.plane,
                .source = source.data + tapRows[ky].source,
                .taps = taps + tiling.columns.begin(column),
                .steps = tapRows[ky].steps,
                .stepCount = tapRows[ky].stepCount,
                .sums = weight + tiling.rows.begin(row) * g_.taps() + ky * g_.kernel[1],
                .sumsStep = g_.taps(),
                .places = places + tiling.columns.begin(column)});
      }
    }
  }
}

/** For each tap in y, the rows of the output where it is in the image, and the steps along them. */
template <class T>
const typename ConvCorrelation<T>::TapRow* ConvCorrelation<T>::findTapRows(int64_t imageSet, int64_t outSet,
                                                                           int64_t sets, RowRange outRows) const {
  TapRow* result = convScratch<TapRow, ConvScratch::tapRows>(g_.kernel[0]);
  Step* steps = convScratch<Step, ConvScratch::steps>(g_.kernel[0] * sets * outRows.count() * outVectors_);
  for (int64_t ky = 0; ky < g_.kernel[0]; ky++) {
    const int64_t shift = ky * g_.dilation[0] - g_.padding[0];
    const int64_t begin = std::max(outRows.begin, ceilDivide(-shift, g_.stride[0]));
    const int64_t end = std::min(outRows.end, ceilDivide(g_.height - shift, g_.stride[0]));
    const int64_t rows = std::max<int64_t>(0, end - begin);
    const int64_t stepCount = sets * rows * outVectors_;
    result[ky] = {begin * out_.row(), (begin * g_.stride[0] + shift) * image_.row(), steps, stepCount};
    if (ky > 0 && stepCount == result[ky - 1].stepCount) {
      result[ky].steps = result[ky - 1].steps;
      continue;
    }
    for (int64_t set = 0; set < sets; set++) {
      for (int64_t row = 0; row < rows; row++) {
        for (int64_t x = 0; x < outVectors_ * kernels_.lanes; x += kernels_.lanes) {
          *steps++ = {set * outSet + row * out_.row() + x, set * imageSet + row * g_.stride[0] * image_.row() + x};
        }
      }
    }
  }
  return result;
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
