#include "ops/conv_sparse.h"

#include <algorithm>

#include "core/clones.h"
#include "ops/conv_scratch.h"

namespace sparring {

namespace {

/** Rows of windows, weights of an output and outputs below this are not worth the setting out. No row is shorter than a vector. */
constexpr int64_t leastRun = 32;
constexpr int64_t leastTaps = 256;
constexpr int64_t leastOutputs = 8;
/** Numbers of an image, of an output or of a weight beyond this would not stay in the second-level cache. */
constexpr int64_t mostNumbers = 256 * 1024;
/** The share of numbers that are not zero up to which this way is the faster one, for LeNet's second layer with AVX-512. */
constexpr double mostShare = 0.3;

template <class T>
SPARRING_CLONES int64_t countNonZero(const T* numbers, int64_t size) {
  int64_t count = 0;
  for (int64_t i = 0; i < size; i++) count += numbers[i] != T{0};
  return count;
}

/** A sum for each of several lists: of runs of numbers, each times a factor, which is a number of the cotangent. */
template <class T>
struct Sums {
  T* factors;
  int64_t* places;  // where the factors' runs begin
  int64_t* starts;  // where the lists begin, and after the last one where it ends

  Sums(int64_t lists, int64_t most)
      : factors(convScratch<T, ConvScratch::factors>(most)),
        places(convScratch<int64_t, ConvScratch::factorPlaces>(most)),
        starts(convScratch<int64_t, ConvScratch::listStarts>(lists + 1)) {
    starts[0] = 0;
  }
  /** Makes a list of those of `size` numbers, `step` apart, that are not zero; the i-th's run begins at place(i). */
  template <class Place>
  void set(int64_t list, const T* numbers, int64_t size, int64_t step, const Place& place) {
    // Without a branch, which would be foretold wrongly as often as not.
    int64_t end = starts[list];
    for (int64_t i = 0; i < size; i++) {
      const T number = numbers[i * step];
      factors[end] = number;
      places[end] = place(i);
      end += number != T{0};
    }
    starts[list + 1] = end;
  }
};

/** Adds the sums of lists begin to end to runs of `length` numbers that are `step` apart. */
template <class T>
void addSums(const Sums<T>& sums, int64_t begin, int64_t end, const T* from, T* to, int64_t step, int64_t length) {
  const Kernels<T>& kernels = kernelsFor<T>(length);
  const Cut parts = Cut::atMost((length + kernels.lanes - 1) / kernels.lanes, Kernels<T>::mostRun);
  for (int64_t list = begin; list < end; list++, to += step) {
    const int64_t first = sums.starts[list];
    for (int64_t part = 0; part < parts.parts; part++) {
      const int64_t at = parts.begin(part) * kernels.lanes;
      const int64_t numbers = std::min(length, parts.end(part) * kernels.lanes) - at;
      kernels.runSum[static_cast<size_t>(parts.length(part) - 1)]({.factors = sums.factors + first,
                                                                   .places = sums.places + first,
                                                                   .count = sums.starts[list + 1] - first,
                                                                   .source = from + at,
                                                                   .to = to + at,
                                                                   .length = numbers});
    }
  }
}

}  // namespace

bool sparseSuits(const ConvGeometry& g) {
  return g.groups == 1 && g.dilation[1] == 1 && g.kernel[1] * g.channels >= leastRun && g.taps() >= leastTaps &&
         g.outputs >= leastOutputs && std::max({g.imageSize(), g.outSize(), g.weightSize()}) <= mostNumbers;
}

template <class T>
bool isSparse(const T* cotangent, int64_t size) {
  return static_cast<double>(countNonZero(cotangent, size)) <= mostShare * static_cast<double>(size);
}

bool SparseConv::reaches(int64_t outRow, RowRange imageRows) const {
  for (int64_t tap = 0; tap < g_.kernel[0]; tap++) {
    if (imageRow(outRow, tap) >= imageRows.begin && imageRow(outRow, tap) < imageRows.end) return true;
  }
  return false;
}

template <class T, class Visit>
void SparseConv::eachWeight(T* weight, RowRange outputs, const Visit& visit) const {
  weight += outputs.begin * g_.taps();
  for (int64_t output = outputs.begin; output < outputs.end; output++) {
    for (int64_t channel = 0; channel < g_.channels; channel++) {
      for (int64_t y = 0; y < g_.kernel[0]; y++) {
        for (int64_t x = 0; x < g_.kernel[1]; x++)
          visit(*weight++, ((y * g_.outputs + output) * g_.kernel[1] + x) * g_.channels + channel);
      }
    }
  }
}

template <class T, class Visit>
void SparseConv::eachPixel(T* image, RowRange rows, const Visit& visit) const {
  for (int64_t channel = 0; channel < g_.channels; channel++) {
    for (int64_t y = rows.begin; y < rows.end; y++) {
      T* pixel = image + (channel * g_.height + y) * g_.width;
      int64_t place = y * lineSize() + g_.padding[1] * g_.channels + channel;
      for (int64_t x = 0; x < g_.width; x++, place += g_.channels) visit(*pixel++, place);
    }
  }
}

// ---- backward ---------------------------------------------------------------------------------------------------

template <class T>
void SparseBackward<T>::pack(const T* weight, T* packed) const {
  eachWeight(weight, {0, g_.outputs}, [&](T number, int64_t place) { packed[place] = number; });
}

template <class T>
void SparseBackward<T>::run(const T* cotangents, int64_t count, const T* packed, T* images, RowRange imageRows) const {
  const int64_t pixels = g_.outHeight * g_.outWidth;
  const int64_t size = imageRows.count() * lineSize();
  T* memory = convScratch<T, ConvScratch::image>(size);
  T* lines = memory - imageRows.begin * lineSize();
  Sums<T> listsOfPixels(pixels, g_.outSize());
  for (int64_t image = 0; image < count; image++) {
    const T* cotangent = cotangents + image * g_.outSize();
    for (int64_t pixel = 0; pixel < pixels; pixel++) {
      const int64_t outputs = reaches(pixel / g_.outWidth, imageRows) ? g_.outputs : 0;
      listsOfPixels.set(pixel, cotangent + pixel, outputs, pixels, [&](int64_t output) { return output * runSize(); });
    }
    std::fill_n(memory, size, T{0});
    for (int64_t tap = 0; tap < g_.kernel[0]; tap++) {
      for (int64_t y = 0; y < g_.outHeight; y++) {
        const int64_t row = imageRow(y, tap);
        if (row < imageRows.begin || row >= imageRows.end) continue;
        addSums(listsOfPixels, y * g_.outWidth, (y + 1) * g_.outWidth, packed + tap * g_.outputs * runSize(),
                lines + row * lineSize(), g_.stride[1] * g_.channels, runSize());
      }
    }
    eachPixel(images + image * g_.imageSize(), imageRows, [&](T& number, int64_t place) { number = lines[place]; });
  }
}

// ---- the weight's cotangent -------------------------------------------------------------------------------------

template <class T>
void SparseCorrelation<T>::run(const T* images, const T* cotangents, int64_t count, RowRange outputs, T* weight) const {
  const int64_t pixels = g_.outHeight * g_.outWidth;
  const int64_t size = (g_.height + 2 * g_.padding[0]) * lineSize();
  T* padded = convScratch<T, ConvScratch::image>(size);
  T* lines = padded + g_.padding[0] * lineSize();
  T* packed = convScratch<T, ConvScratch::sparseSums>(g_.weightSize());
  std::fill_n(padded, size, T{0});
  std::fill_n(packed, g_.weightSize(), T{0});
  int64_t* windows = convScratch<int64_t, ConvScratch::windows>(pixels);
  for (int64_t pixel = 0; pixel < pixels; pixel++) {
    windows[pixel] = pixel / g_.outWidth * g_.stride[0] * lineSize() + pixel % g_.outWidth * g_.stride[1] * g_.channels;
  }
  Sums<T> listsOfOutputs(g_.outputs, g_.outSize());
  for (int64_t image = 0; image < count; image++) {
    const T* cotangent = cotangents + image * g_.outSize();
    for (int64_t output = 0; output < g_.outputs; output++)
      listsOfOutputs.set(output, cotangent + output * pixels, pixels, 1, [&](int64_t pixel) { return windows[pixel]; });
    eachPixel(images + image * g_.imageSize(), {0, g_.height}, [&](T number, int64_t place) { lines[place] = number; });
    for (int64_t tap = 0; tap < g_.kernel[0]; tap++) {
      addSums(listsOfOutputs, outputs.begin, outputs.end, padded + tap * g_.dilation[0] * lineSize(),
              packed + (tap * g_.outputs + outputs.begin) * runSize(), runSize(), runSize());
    }
  }
  eachWeight(weight, outputs, [&](T& number, int64_t place) { number += packed[place]; });
}

template bool isSparse(const float*, int64_t);
template bool isSparse(const double*, int64_t);
template class SparseBackward<float>;
template class SparseBackward<double>;
template class SparseCorrelation<float>;
template class SparseCorrelation<double>;

}  // namespace sparring
