/** Pooling over windows of the last two axes, and the pairs of adjoint maps that its derivatives are made of. */
#include <cstring>
#include <limits>
#include <type_traits>

#include "core/clones.h"
#include "core/parallel.h"
#include "ops/ops.h"

namespace sparring {

namespace {

/** Windows begin to end of an axis. */
struct Range {
  int64_t begin, end;
};

/** How windows lie on a plane [height, width], one for each pixel of the output. */
struct Windows {
  int64_t height, width;
  int64_t outHeight, outWidth;
  std::array<int64_t, 2> kernel, stride, padding;
  std::array<Range, 2> inside;  // the windows of each axis that have no padding in them

  [[nodiscard]] int64_t planeSize() const { return height * width; }
  [[nodiscard]] int64_t outSize() const { return outHeight * outWidth; }
};

// ---- types ------------------------------------------------------------------------------------------------------

std::array<int64_t, 2> pairOf(const Attributes& attributes, const char* name, int64_t least) {
  const std::vector<int64_t>& list = attributes.list(name);
  if (list.size() != 2) fail(ErrorCode::invalidArgument, name, ": expected 2 numbers, received ", list.size());
  for (const int64_t value : list) {
    if (value < least) fail(ErrorCode::invalidArgument, name, ": expected at least ", least, ", received ", value);
  }
  return {list[0], list[1]};
}

void checkPlane(const Tensor& tensor, const char* what) {
  dispatchFloat(tensor.dtype(), [](auto) {});
  if (tensor.rank() < 2) {
    fail(ErrorCode::shapeMismatch, what, ": expected [.., height, width], received ", tensor.shape());
  }
}

/** The windows of an axis that have no padding in them. */
Range insideOf(const Windows& w, int axis) {
  const int64_t length = axis == 0 ? w.height : w.width;
  const int64_t count = axis == 0 ? w.outHeight : w.outWidth;
  const int64_t begin = std::min(count, (w.padding[axis] + w.stride[axis] - 1) / w.stride[axis]);
  const int64_t room = length + w.padding[axis] - w.kernel[axis];
  return {begin, std::clamp(room < 0 ? 0 : room / w.stride[axis] + 1, begin, count)};
}

Windows windowsOf(int64_t height, int64_t width, const Attributes& attributes) {
  Windows w{};
  w.height = height;
  w.width = width;
  w.kernel = pairOf(attributes, "kernel", 1);
  w.stride = attributes.has("stride") ? pairOf(attributes, "stride", 1) : w.kernel;
  if (attributes.has("padding")) w.padding = pairOf(attributes, "padding", 0);
  std::array<int64_t, 2> out{};
  for (const int axis : {0, 1}) {
    const int64_t room = (axis == 0 ? height : width) + 2 * w.padding[axis];
    if (w.padding[axis] >= w.kernel[axis]) {
      fail(ErrorCode::invalidArgument, "padding: expected less than the kernel's ", w.kernel[axis],
           ", so that no window lies in it altogether, received ", w.padding[axis]);
    }
    if (w.kernel[axis] > room || room == 2 * w.padding[axis]) {
      fail(ErrorCode::shapeMismatch, "kernel: expected at most ", room, " pixels in ", axis == 0 ? "height" : "width",
           ", the padded input's, received ", w.kernel[axis]);
    }
    out[axis] = (room - w.kernel[axis]) / w.stride[axis] + 1;
  }
  w.outHeight = out[0];
  w.outWidth = out[1];
  w.inside = {insideOf(w, 0), insideOf(w, 1)};
  return w;
}

Windows windowsOf(const Shape& plane, const Attributes& attributes) {
  return windowsOf(plane[-2], plane[-1], attributes);
}

Shape withPlane(const Shape& shape, int64_t height, int64_t width) {
  return shape.withoutLast(2).then({height, width});
}

Types maxPoolTypes(Tensors in, const Attributes& attributes) {
  checkPlane(in[0], "input");
  const Windows w = windowsOf(in[0].shape(), attributes);
  if (w.planeSize() > std::numeric_limits<int32_t>::max()) {
    fail(ErrorCode::outOfRange, "input: expected planes that int32 can index, received ", in[0].shape());
  }
  const Shape shape = withPlane(in[0].shape(), w.outHeight, w.outWidth);
  return {{shape, in[0].dtype()}, {shape, DType::int32}};
}

Types averagePoolTypes(Tensors in, const Attributes& attributes) {
  checkPlane(in[0], "input");
  const Windows w = windowsOf(in[0].shape(), attributes);
  return {{withPlane(in[0].shape(), w.outHeight, w.outWidth), in[0].dtype()}};
}

Types averagePoolGradTypes(Tensors in, const Attributes& attributes) {
  checkPlane(in[0], "cotangent");
  const Shape& shape = in[0].shape();
  const auto size = pairOf(attributes, "inputSize", 0);
  const Windows w = windowsOf(size[0], size[1], attributes);
  if (shape[-2] != w.outHeight || shape[-1] != w.outWidth) {
    fail(ErrorCode::shapeMismatch, "cotangent: expected [.., ", w.outHeight, ", ", w.outWidth,
         "], what the pooling gives, received ", shape);
  }
  return {{withPlane(shape, w.height, w.width), in[0].dtype()}};
}

void checkIndex(const Tensor& index) {
  if (index.dtype() != DType::int32) {
    fail(ErrorCode::dtypeMismatch, "index: expected int32, received ", dtypeName(index.dtype()));
  }
  if (index.rank() < 2) {
    fail(ErrorCode::shapeMismatch, "index: expected [.., height, width], received ", index.shape());
  }
}

Types scatterTypes(Tensors in, const Attributes& attributes) {
  checkPlane(in[0], "cotangent");
  checkIndex(in[1]);
  const Shape& shape = in[0].shape();
  const Shape& index = in[1].shape();
  if (shape.rank() < index.rank() || !(shape.last(index.rank()) == index)) {
    fail(ErrorCode::shapeMismatch, "index: expected the last axes of the cotangent's ", shape, ", received ", index);
  }
  const auto size = pairOf(attributes, "size", 0);
  return {{withPlane(shape, size[0], size[1]), in[0].dtype()}};
}

Types gatherTypes(Tensors in, const Attributes&) {
  checkPlane(in[0], "input");
  checkIndex(in[1]);
  const Shape& shape = in[0].shape();
  const Shape& index = in[1].shape();
  if (shape.rank() < index.rank() || !(shape.withoutLast(2).last(index.rank() - 2) == index.withoutLast(2))) {
    fail(ErrorCode::shapeMismatch, "index: expected the axes of the input's ", shape, " but for the plane, received ",
         index);
  }
  return {{withPlane(shape, index[-2], index[-1]), in[0].dtype()}};
}

// ---- kernels ----------------------------------------------------------------------------------------------------

/** Runs body(plane) for all planes over the pool; `work` is how many elements one plane touches. */
template <class Body>
void eachPlane(int64_t planes, int64_t work, const Body& body) {
  parallelFor(planes, std::max<int64_t>(1, elementGrain / std::max<int64_t>(1, work)), [&](int64_t begin, int64_t end) {
    for (int64_t plane = begin; plane < end; plane++) body(plane);
  });
}

int64_t planesOf(const Tensor& tensor) { return tensor.shape().product(0, tensor.rank() - 2); }

/** The pixels of an axis that a window has, the padding left out. */
Range pixelsOf(const Windows& w, int axis, int64_t window) {
  const int64_t begin = window * w.stride[axis] - w.padding[axis];
  return {std::max<int64_t>(0, begin), std::min(axis == 0 ? w.height : w.width, begin + w.kernel[axis])};
}

/**
 * Calls inside(rows, columns) for the windows that have no padding in them, where a row has `least` or more, and
 * clipped(row, x) for each of the others.
 */
template <class Inside, class Clipped>
void eachWindow(const Windows& w, int64_t least, Inside inside, Clipped clipped) {
  const Range columns = w.inside[1];
  const Range rows = columns.end - columns.begin < least ? Range{0, 0} : w.inside[0];
  if (rows.begin < rows.end) inside(rows, columns);
  for (int64_t row = 0; row < w.outHeight; row++) {
    const bool some = row >= rows.begin && row < rows.end;
    for (int64_t x = 0; x < (some ? columns.begin : w.outWidth); x++) clipped(row, x);
    for (int64_t x = some ? columns.end : w.outWidth; x < w.outWidth; x++) clipped(row, x);
  }
}

/** Four numbers, and four places of numbers, that are worked on at once: vectors that all machines have. */
template <class T>
struct Four {
  static constexpr int64_t count = 4;
  using Place = std::conditional_t<sizeof(T) == sizeof(int32_t), int32_t, int64_t>;
  using Numbers __attribute__((vector_size(count * sizeof(T)))) = T;
  using Places __attribute__((vector_size(count * sizeof(T)))) = Place;

  /** The same where they need not be aligned. */
  using Loose __attribute__((vector_size(count * sizeof(T)), aligned(sizeof(T)), may_alias)) = T;

  /**
   * Reads those from the first on, `step` apart: `stride`, where it is known. By twos, one number after the last is read
   * besides or, where that might not be there, one before the first.
   */
  template <int64_t stride, bool last>
  static void read(const T* first, int64_t step, Numbers& numbers) {
    if constexpr (stride == 1) {
      numbers = *reinterpret_cast<const Loose*>(first);
    } else if constexpr (stride == 2) {
      const Numbers low = *reinterpret_cast<const Loose*>(last ? first - 1 : first);
      const Numbers high = *reinterpret_cast<const Loose*>((last ? first - 1 : first) + count);
      if constexpr (last) {
        numbers = __builtin_shufflevector(low, high, 1, 3, 5, 7);
      } else {
        numbers = __builtin_shufflevector(low, high, 0, 2, 4, 6);
      }
    } else {
      numbers = Numbers{first[0], first[step], first[2 * step], first[3 * step]};
    }
  }

  /** Calls visit(numbers, ky, kx) for the taps of four windows without padding, from the corner of the first on. */
  template <class Known, class Visit>
  static void eachTap(const Windows& w, const T* corner, Visit visit) {
    const int64_t lastTap = Known::kernel(w, 1) - 1;
    Numbers numbers{};
    for (int64_t ky = 0; ky < Known::kernel(w, 0); ky++) {
      const T* row = corner + ky * w.width;
      for (int64_t kx = 0; kx < lastTap; kx++) {
        read<Known::stride, false>(row + kx, w.stride[1], numbers);
        visit(numbers, ky, kx);
      }
      read<Known::stride, true>(row + lastTap, w.stride[1], numbers);
      visit(numbers, ky, lastTap);
    }
  }

  /** Calls visit(corner, place), on the plane and in the output, for each four windows of those rows and columns. */
  template <class Visit>
  static void eachFour(const Windows& w, Range rows, Range columns, Visit visit) {
    for (int64_t row = rows.begin; row < rows.end; row++) {
      for (int64_t block = columns.begin; block < columns.end; block += count) {
        const int64_t x = std::min(block, columns.end - count);
        visit((row * w.stride[0] - w.padding[0]) * w.width + x * w.stride[1] - w.padding[1], row * w.outWidth + x);
      }
    }
  }
};

/** What the compiler knows of windows: the stride in x and the length of both sides, or 0 where it does not. */
template <int64_t strideX, int64_t side>
struct Known {
  static constexpr int64_t stride = strideX;
  static int64_t kernel(const Windows& w, size_t axis) { return side == 0 ? w.kernel[axis] : side; }
};

/** Calls body(known) with what is known of windows that are common. */
template <class Body>
void withKnown(const Windows& w, const Body& body) {
  if (w.stride[1] == 1) return body(Known<1, 0>{});
  if (w.stride[1] == 2 && w.kernel == std::array<int64_t, 2>{2, 2}) return body(Known<2, 2>{});
  if (w.stride[1] == 2 && w.kernel[1] > 1) return body(Known<2, 0>{});
  return body(Known<0, 0>{});
}

/** The largest pixels of windows without padding, at least four in a row. */
template <class T, class Known>
SPARRING_CLONES void maxInside(const Windows& w, Range rows, Range columns, const T* plane, T* values, int32_t* index) {
  using Place = typename Four<T>::Place;
  using Places = typename Four<T>::Places;
  const auto step = static_cast<Place>(w.stride[1]);
  const Places steps{0, step, 2 * step, 3 * step};
  Four<T>::eachFour(w, rows, columns, [&](int64_t corner, int64_t place) {
    auto best = typename Four<T>::Numbers{} - std::numeric_limits<T>::infinity();
    Places at{};
    Four<T>::template eachTap<Known>(w, plane + corner, [&](const auto& pixels, int64_t ky, int64_t kx) {
      const auto wins = (pixels > best) | (pixels != pixels);
      best = wins ? pixels : best;
      at = wins ? Places{} + static_cast<Place>(ky * w.width + kx) : at;
    });
    at += steps + static_cast<Place>(corner);
    *reinterpret_cast<typename Four<T>::Loose*>(values + place) = best;
    *reinterpret_cast<typename Four<int32_t>::Loose*>(index + place) =
        __builtin_convertvector(at, typename Four<int32_t>::Loose);
  });
}

template <class T>
void maxClipped(const Windows& w, int64_t row, int64_t x, const T* plane, T* value, int32_t* index) {
  const Range rows = pixelsOf(w, 0, row);
  const Range columns = pixelsOf(w, 1, x);
  int64_t at = rows.begin * w.width + columns.begin;
  T best = plane[at];
  for (int64_t y = rows.begin; y < rows.end; y++) {
    for (int64_t place = y * w.width + columns.begin; place < y * w.width + columns.end; place++) {
      const T pixel = plane[place];
      const int64_t wins = int64_t{pixel > best} | int64_t{pixel != pixel};  // no branch: there is no guessing it
      best = wins != 0 ? pixel : best;
      at += wins * (place - at);
    }
  }
  *value = best;
  *index = static_cast<int32_t>(at);
}

/** The sums of windows without padding, at least four in a row, times `share`. */
template <class T, class Known>
SPARRING_CLONES void meanInside(const Windows& w, Range rows, Range columns, const T* plane, T share, T* means) {
  Four<T>::eachFour(w, rows, columns, [&](int64_t corner, int64_t place) {
    typename Four<T>::Numbers sum{};
    Four<T>::template eachTap<Known>(w, plane + corner, [&](const auto& pixels, int64_t, int64_t) { sum += pixels; });
    *reinterpret_cast<typename Four<T>::Loose*>(means + place) = sum * share;
  });
}

template <class T>
T meanClipped(const Windows& w, int64_t row, int64_t x, const T* plane, T share) {
  const Range rows = pixelsOf(w, 0, row);
  const Range columns = pixelsOf(w, 1, x);
  T sum = 0;
  for (int64_t y = rows.begin; y < rows.end; y++) {
    for (int64_t column = columns.begin; column < columns.end; column++) sum += plane[y * w.width + column];
  }
  return sum * share;
}

void runMaxPool(Tensors in, Tensors out, const Attributes& attributes) {
  const Windows w = windowsOf(in[0].shape(), attributes);
  dispatchFloat(in[0].dtype(), [&](auto zero) {
    using T = decltype(zero);
    eachPlane(planesOf(in[0]), w.planeSize(), [&](int64_t number) {
      const T* plane = in[0].data<T>() + number * w.planeSize();
      T* values = out[0].data<T>() + number * w.outSize();
      int32_t* index = out[1].data<int32_t>() + number * w.outSize();
      eachWindow(
          w, Four<T>::count,
          [&](Range rows, Range columns) {
            withKnown(w, [&](auto known) { maxInside<T, decltype(known)>(w, rows, columns, plane, values, index); });
          },
          [&](int64_t row, int64_t x) {
            maxClipped(w, row, x, plane, values + row * w.outWidth + x, index + row * w.outWidth + x);
          });
    });
  });
}

void runScatter(Tensors in, Tensors out, const Attributes&) {
  const int64_t outSize = out[0].shape()[-2] * out[0].shape()[-1];
  const int64_t inSize = in[0].shape()[-2] * in[0].shape()[-1];
  const int64_t shared = planesOf(in[1]);
  dispatchFloat(in[0].dtype(), [&](auto zero) {
    using T = decltype(zero);
    eachPlane(planesOf(in[0]), outSize, [&](int64_t plane) {
      const T* from = in[0].data<T>() + plane * inSize;
      const int32_t* index = in[1].data<int32_t>() + plane % shared * inSize;
      T* to = out[0].data<T>() + plane * outSize;
      std::fill_n(to, outSize, T{0});
      for (int64_t i = 0; i < inSize; i++) to[index[i]] += from[i];
    });
  });
}

void runGather(Tensors in, Tensors out, const Attributes&) {
  const int64_t outSize = out[0].shape()[-2] * out[0].shape()[-1];
  const int64_t inSize = in[0].shape()[-2] * in[0].shape()[-1];
  const int64_t shared = planesOf(in[1]);
  dispatchFloat(in[0].dtype(), [&](auto zero) {
    using T = decltype(zero);
    eachPlane(planesOf(in[0]), outSize, [&](int64_t plane) {
      const T* from = in[0].data<T>() + plane * inSize;
      const int32_t* index = in[1].data<int32_t>() + plane % shared * outSize;
      T* to = out[0].data<T>() + plane * outSize;
      for (int64_t i = 0; i < outSize; i++) to[i] = from[index[i]];
    });
  });
}

/** The part of a window's mean that one of its pixels is; padding counts as pixels. */
template <class T>
T share(const Windows& w) {
  return T{1} / static_cast<T>(w.kernel[0] * w.kernel[1]);
}

void runAveragePool(Tensors in, Tensors out, const Attributes& attributes) {
  const Windows w = windowsOf(in[0].shape(), attributes);
  dispatchFloat(in[0].dtype(), [&](auto zero) {
    using T = decltype(zero);
    eachPlane(planesOf(in[0]), w.planeSize(), [&](int64_t number) {
      const T* plane = in[0].data<T>() + number * w.planeSize();
      T* means = out[0].data<T>() + number * w.outSize();
      eachWindow(
          w, Four<T>::count,
          [&](Range rows, Range columns) {
            withKnown(w,
                      [&](auto known) { meanInside<T, decltype(known)>(w, rows, columns, plane, share<T>(w), means); });
          },
          [&](int64_t row, int64_t x) { means[row * w.outWidth + x] = meanClipped(w, row, x, plane, share<T>(w)); });
    });
  });
}

void runAveragePoolGrad(Tensors in, Tensors out, const Attributes& attributes) {
  const Windows w = windowsOf(out[0].shape(), attributes);
  dispatchFloat(in[0].dtype(), [&](auto zero) {
    using T = decltype(zero);
    eachPlane(planesOf(in[0]), w.planeSize(), [&](int64_t number) {
      const T* cotangents = in[0].data<T>() + number * w.outSize();
      T* plane = out[0].data<T>() + number * w.planeSize();
      std::fill_n(plane, w.planeSize(), T{0});
      eachWindow(
          w, 1,
          [&](Range rows, Range columns) {
            for (int64_t row = rows.begin; row < rows.end; row++) {
              T* corner = plane + (row * w.stride[0] - w.padding[0]) * w.width - w.padding[1];
              for (int64_t tap = 0; tap < w.kernel[0] * w.kernel[1]; tap++) {
                T* pixels = corner + tap / w.kernel[1] * w.width + tap % w.kernel[1];
                for (int64_t x = columns.begin; x < columns.end; x++) {
                  pixels[x * w.stride[1]] += cotangents[row * w.outWidth + x] * share<T>(w);
                }
              }
            }
          },
          [&](int64_t row, int64_t x) {
            const Range columns = pixelsOf(w, 1, x);
            const Range rows = pixelsOf(w, 0, row);
            for (int64_t y = rows.begin; y < rows.end; y++) {
              for (int64_t column = columns.begin; column < columns.end; column++) {
                plane[y * w.width + column] += cotangents[row * w.outWidth + x] * share<T>(w);
              }
            }
          });
    });
  });
}

// ---- registrations ----------------------------------------------------------------------------------------------

std::vector<int64_t> planeOf(const TensorType& type) { return ops::asList(type.shape.last(2)); }

/** The windows' settings, for the adjoint. */
Attributes settings(const Vjp& vjp) {
  Attributes result;
  for (const char* name : {"kernel", "stride", "padding"}) {
    if (vjp.attributes().has(name)) result.set(name, vjp.attributes().list(name));
  }
  return result;
}

/** The largest pixel of each window, and where on its plane it is: the first of equals; one that is no number wins. */
const Registration maxPool_({.name = "maxPool2d",
                             .leastInputs = 1,
                             .mostInputs = 1,
                             .infer = maxPoolTypes,
                             .run = runMaxPool,
                             .differentiate =
                                 [](Vjp& vjp) {
                                   vjp.give(0, ops::one("scatterPlane", {{"size", planeOf(vjp.inputType(0))}},
                                                        vjp.cotangent(), vjp.output(1).detached()));
                                 },
                             .readsOutputs = bit(1)});

/** Adds each element to the place of its plane that the index names; planes in front of the index's share it. */
const Registration scatter_({.name = "scatterPlane",
                             .leastInputs = 2,
                             .mostInputs = 2,
                             .infer = scatterTypes,
                             .run = runScatter,
                             .differentiate =
                                 [](Vjp& vjp) {
                                   if (!vjp.needs(0)) return;
                                   vjp.give(0, ops::one("gatherPlane", {}, vjp.cotangent(), vjp.input(1)));
                                 },
                             .readsInputs = bit(1)});

/** Reads each element from the place of its plane that the index names: the adjoint of scatterPlane. */
const Registration gather_(
    {.name = "gatherPlane",
     .leastInputs = 2,
     .mostInputs = 2,
     .infer = gatherTypes,
     .run = runGather,
     .differentiate =
         [](Vjp& vjp) {
           if (!vjp.needs(0)) return;
           vjp.give(0, ops::one("scatterPlane", {{"size", planeOf(vjp.inputType(0))}}, vjp.cotangent(), vjp.input(1)));
         },
     .readsInputs = bit(1)});

/** The mean of each window; padding counts as zeros. */
const Registration averagePool_({.name = "averagePool2d",
                                 .leastInputs = 1,
                                 .mostInputs = 1,
                                 .infer = averagePoolTypes,
                                 .run = runAveragePool,
                                 .differentiate = [](Vjp& vjp) {
                                   Attributes attributes = settings(vjp);
                                   attributes.set("inputSize", planeOf(vjp.inputType(0)));
                                   vjp.give(0, ops::one("averagePool2dGrad", attributes, vjp.cotangent()));
                                 }});

const Registration averagePoolGrad_({.name = "averagePool2dGrad",
                                     .leastInputs = 1,
                                     .mostInputs = 1,
                                     .infer = averagePoolGradTypes,
                                     .run = runAveragePoolGrad,
                                     .differentiate = [](Vjp& vjp) {
                                       vjp.give(0, ops::one("averagePool2d", settings(vjp), vjp.cotangent()));
                                     }});

}  // namespace

}  // namespace sparring
