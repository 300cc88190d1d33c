/** Pooling over windows of the last two axes, and the pairs of adjoint maps that its derivatives are made of. */
#include <limits>

#include "core/clones.h"
#include "core/parallel.h"
#include "ops/ops.h"

namespace sparring {

namespace {

/** How windows lie on a plane [height, width], one for each pixel of the output. */
struct Windows {
  int64_t height, width;
  int64_t outHeight, outWidth;
  std::array<int64_t, 2> kernel, stride, padding;

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

/** Calls visit(output row, image row, tap, first column, last column) for each tap of each window, as runs of columns. */
template <class Visit>
void eachTap(const Windows& w, int64_t row, Visit visit) {
  for (int64_t ky = 0; ky < w.kernel[0]; ky++) {
    const int64_t y = row * w.stride[0] - w.padding[0] + ky;
    if (y < 0 || y >= w.height) continue;
    for (int64_t kx = 0; kx < w.kernel[1]; kx++) {
      const int64_t shift = kx - w.padding[1];
      const int64_t stride = w.stride[1];
      const int64_t begin = std::min(w.outWidth, shift >= 0 ? 0 : (-shift + stride - 1) / stride);
      const int64_t end = std::clamp((w.width - shift + stride - 1) / stride, begin, w.outWidth);
      visit(y * w.width + shift, begin, end);
    }
  }
}

/** Takes over where the tap's pixel is larger, or no number. A fixed step lets the compiler vectorise the strided read. */
template <int fixedStep, class T>
SPARRING_CLONES void keepLargest(int64_t begin, int64_t end, int64_t step, const T* plane, int32_t offset, T* best,
                                 int32_t* index) {
  const int64_t by = fixedStep > 0 ? fixedStep : step;
  const T* pixels = plane + offset;
  for (int64_t x = begin; x < end; x++) {
    const T pixel = pixels[x * by];
    const bool wins = pixel > best[x] || pixel != pixel;
    best[x] = wins ? pixel : best[x];
    index[x] = wins ? offset + static_cast<int32_t>(x * by) : index[x];
  }
}

template <class T>
void maxPoolPlane(const Windows& w, const T* plane, T* values, int32_t* index) {
  const auto keep = w.stride[1] == 1 ? keepLargest<1, T> : w.stride[1] == 2 ? keepLargest<2, T> : keepLargest<0, T>;
  for (int64_t row = 0; row < w.outHeight; row++) {
    T* best = values + row * w.outWidth;
    int32_t* at = index + row * w.outWidth;
    const int64_t top = std::max<int64_t>(0, row * w.stride[0] - w.padding[0]) * w.width;
    for (int64_t x = 0; x < w.outWidth; x++) {
      best[x] = -std::numeric_limits<T>::infinity();
      at[x] = static_cast<int32_t>(top + std::max<int64_t>(0, x * w.stride[1] - w.padding[1]));
    }
    eachTap(w, row, [&](int64_t offset, int64_t begin, int64_t end) {
      keep(begin, end, w.stride[1], plane, static_cast<int32_t>(offset), best, at);
    });
  }
}

void runMaxPool(Tensors in, Tensors out, const Attributes& attributes) {
  const Windows w = windowsOf(in[0].shape(), attributes);
  dispatchFloat(in[0].dtype(), [&](auto zero) {
    using T = decltype(zero);
    eachPlane(planesOf(in[0]), w.planeSize(), [&](int64_t plane) {
      maxPoolPlane(w, in[0].data<T>() + plane * w.planeSize(), out[0].data<T>() + plane * w.outSize(),
                   out[1].data<int32_t>() + plane * w.outSize());
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
    eachPlane(planesOf(in[0]), w.planeSize(), [&](int64_t plane) {
      const T* from = in[0].data<T>() + plane * w.planeSize();
      for (int64_t row = 0; row < w.outHeight; row++) {
        T* means = out[0].data<T>() + plane * w.outSize() + row * w.outWidth;
        std::fill_n(means, w.outWidth, T{0});
        eachTap(w, row, [&](int64_t offset, int64_t begin, int64_t end) {
          for (int64_t x = begin; x < end; x++) means[x] += from[offset + x * w.stride[1]];
        });
        for (int64_t x = 0; x < w.outWidth; x++) means[x] *= share<T>(w);
      }
    });
  });
}

void runAveragePoolGrad(Tensors in, Tensors out, const Attributes& attributes) {
  const Windows w = windowsOf(out[0].shape(), attributes);
  dispatchFloat(in[0].dtype(), [&](auto zero) {
    using T = decltype(zero);
    eachPlane(planesOf(in[0]), w.planeSize(), [&](int64_t plane) {
      T* to = out[0].data<T>() + plane * w.planeSize();
      std::fill_n(to, w.planeSize(), T{0});
      for (int64_t row = 0; row < w.outHeight; row++) {
        const T* cotangents = in[0].data<T>() + plane * w.outSize() + row * w.outWidth;
        eachTap(w, row, [&](int64_t offset, int64_t begin, int64_t end) {
          for (int64_t x = begin; x < end; x++) to[offset + x * w.stride[1]] += cotangents[x] * share<T>(w);
        });
      }
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
