#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

namespace sparring {

/** Rows begin to end of an image or an output. */
struct RowRange {
  int64_t begin, end;
  [[nodiscard]] int64_t count() const { return end - begin; }
};

/** Some channels as the kernels of conv_kernels.h see them, in a tensor or in scratch. */
template <class Pointer>
struct ConvView {
  Pointer data;   // where row 0 of the first channel is, or would be
  int64_t plane;  // from one channel to the next
  int64_t set;    // from one set of interleaved images to the next
};

/**
 * How the kernels see the images, or the outputs, of a convolution. They read and write vectors: of neighbouring pixels
 * of a row, or, where rows are too short for that, of the same pixel of several images. Where a tensor does not lie so,
 * the rows at hand go by way of scratch: with padding to the left and zeros to the right; for a stride s taken apart into
 * s phases, so that pixels s apart become neighbours; and with the images of a vector interleaved.
 */
template <class T>
class ConvLayout {
 public:
  struct Settings {
    int64_t height, width;  // of the tensor's planes
    int64_t padding;        // pixels before the first of a row
    int64_t stride;         // how many phases a row is taken apart into
    int64_t phase;          // pixels in a phase
    int64_t images;         // how many are interleaved
  };

  ConvLayout() = default;
  explicit ConvLayout(const Settings& settings) : s_(settings) {}

  /** Numbers from one row to the next. */
  [[nodiscard]] int64_t row() const { return s_.stride * s_.phase * s_.images; }
  /** Where a pixel of a row is, counted with the padding. */
  [[nodiscard]] int64_t place(int64_t column) const {
    return (column % s_.stride * s_.phase + column / s_.stride) * s_.images;
  }
  /** How many images are interleaved. */
  [[nodiscard]] int64_t images() const { return s_.images; }
  /** Numbers of scratch that so many channels of a set of interleaved images take. */
  [[nodiscard]] int64_t size(int64_t channels, RowRange rows) const {
    return spaced(channels * spaced(rows.count() * row()));
  }

  /** Whether a kernel reads the same rows of all channels, or of all images, before it goes on to the next. */
  enum class Across { channels, images };

  /** Rows of the channels that begin at `tensor`, of `count` images `step` apart, to be read. */
  ConvView<const T*> read(const T* tensor, int64_t step, int64_t count, int64_t channels, RowRange rows, Across across,
                          T* scratch) const {
    // A cache set holds 8 lines; of a channel a tile reads more than one, in rows that follow each other.
    const bool crowd = across == Across::channels ? crowded(channels, 4, planeSize()) : crowded(count, 8, step);
    if (inPlace() && !crowd) return {tensor, planeSize(), step};
    const ConvView<T*> view = scratchView(channels, rows, scratch);
    for (int64_t first = 0; first < count; first += s_.images) {
      readSet(tensor + first * step, step, std::min(count - first, s_.images), channels, rows,
              {view.data + first / s_.images * view.set, view.plane, view.set});
    }
    return {view.data, view.plane, view.set};
  }

  /** The same to be written, of one set of images; `close` brings what was written to the tensor. */
  ConvView<T*> open(T* tensor, int64_t channels, RowRange rows, T* scratch) const {
    return inPlace() ? ConvView<T*>{tensor, planeSize(), 0} : scratchView(channels, rows, scratch);
  }
  void close(ConvView<T*> view, T* tensor, int64_t step, int64_t count, int64_t channels, RowRange rows) const {
    if (inPlace()) return;
    eachPhase(channels, rows, view, [&](int64_t at, int64_t begin, int64_t end, int64_t shift, const T* from) {
      for (int64_t image = 0; image < count; image++) {
        T* pixels = tensor + image * step + at + shift;
        if (s_.images == 1 && s_.stride == 1) {
          copyRow(from + begin, end - begin, pixels + begin);
        } else {
          for (int64_t x = begin; x < end; x++) pixels[x * s_.stride] = from[x * s_.images + image];
        }
        // Pixels to the right that no tap reaches.
        for (int64_t x = end; x * s_.stride + shift < s_.width; x++) pixels[x * s_.stride] = T{0};
      }
    });
  }
  /** Sets all rows of an open view to zero. */
  void clear(ConvView<T*> view, int64_t channels, RowRange rows) const {
    for (int64_t channel = 0; channel < channels; channel++) {
      std::fill_n(view.data + channel * view.plane + rows.begin * row(), rows.count() * row(), T{0});
    }
  }

 private:
  [[nodiscard]] bool inPlace() const {
    return s_.images == 1 && s_.stride == 1 && s_.padding == 0 && s_.phase == s_.width;
  }
  [[nodiscard]] int64_t planeSize() const { return s_.height * s_.width; }
  /**
   * Whether so many places, a multiple of a large power of two apart, would crowd into few sets of the first-level cache
   * and drive each other out.
   */
  static bool crowded(int64_t count, int64_t least, int64_t step) {
    return count >= least && step * static_cast<int64_t>(sizeof(T)) % 1024 == 0;
  }
  /** The same or a little more: an odd number of cache lines. */
  static int64_t spaced(int64_t numbers) {
    constexpr int64_t line = 64 / sizeof(T);
    return (((numbers + line - 1) / line) | 1) * line;
  }
  ConvView<T*> scratchView(int64_t channels, RowRange rows, T* scratch) const {
    return {scratch - rows.begin * row(), spaced(rows.count() * row()), size(channels, rows)};
  }

  void readSet(const T* tensor, int64_t step, int64_t count, int64_t channels, RowRange rows, ConvView<T*> view) const {
    if (inPlace()) {
      for (int64_t channel = 0; channel < channels; channel++) {
        std::copy_n(tensor + channel * planeSize() + rows.begin * s_.width, rows.count() * s_.width,
                    view.data + channel * view.plane + rows.begin * s_.width);
      }
      return;
    }
    std::fill_n(view.data + rows.begin * row(), size(channels, rows), T{0});
    eachPhase(channels, rows, view, [&](int64_t at, int64_t begin, int64_t end, int64_t shift, T* to) {
      for (int64_t image = 0; image < count; image++) {
        const T* pixels = tensor + image * step + at + shift;
        if (s_.images == 1 && s_.stride == 1) {
          copyRow(pixels + begin, end - begin, to + begin);
        } else {
          for (int64_t x = begin; x < end; x++) to[x * s_.images + image] = pixels[x * s_.stride];
        }
      }
    });
  }

  /** A copy in place: rows are too short for the library's to be worth its call. */
  static void copyRow(const T* from, int64_t count, T* to) {
    constexpr int64_t piece = 16 / sizeof(T);
    int64_t x = 0;
    for (; x + piece <= count; x += piece) std::memcpy(to + x, from + x, 16);
    for (; x < count; x++) to[x] = from[x];
  }

  /**
   * Calls visit(where the row is in the tensor, begin, end, shift, where the phase is in the view) for each phase of
   * each row; the phase's pixels begin to end are the row's at number * stride + shift.
   */
  template <class Visit>
  void eachPhase(int64_t channels, RowRange rows, ConvView<T*> view, Visit visit) const {
    for (int64_t channel = 0; channel < channels; channel++) {
      for (int64_t row = rows.begin; row < rows.end; row++) {
        for (int64_t phase = 0; phase < s_.stride; phase++) {
          const int64_t shift = phase - s_.padding;
          const int64_t begin = std::min(s_.phase, shift >= 0 ? 0 : (s_.stride - 1 - shift) / s_.stride);
          const int64_t end = std::clamp((s_.width - shift + s_.stride - 1) / s_.stride, begin, s_.phase);
          visit((channel * s_.height + row) * s_.width, begin, end, shift,
                view.data + channel * view.plane + row * this->row() + phase * s_.phase * s_.images);
        }
      }
    }
  }

  Settings s_{};
};

}  // namespace sparring
