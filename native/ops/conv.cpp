/**
 * Two-dimensional convolution and its two adjoints. The three are one bilinear form in an image, a weight and an output,
 * each the derivative of the others, so that any order of derivative stays among them.
 */
#include <cstring>
#include <type_traits>
#include <vector>

#include "ops/broadcast.h"
#include "ops/conv_direct.h"
#include "ops/conv_scratch.h"
#include "ops/conv_sparse.h"
#include "ops/ops.h"
#include "ops/winograd.h"

namespace sparring {

namespace {

// ---- types ------------------------------------------------------------------------------------------------------

std::array<int64_t, 2> pairOf(const Attributes& attributes, const char* name, int64_t otherwise, int64_t least) {
  if (!attributes.has(name)) return {otherwise, otherwise};
  const std::vector<int64_t>& list = attributes.list(name);
  if (list.size() != 2) fail(ErrorCode::invalidArgument, name, ": expected 2 numbers, received ", list.size());
  for (const int64_t value : list) {
    if (value < least) fail(ErrorCode::invalidArgument, name, ": expected at least ", least, ", received ", value);
  }
  return {list[0], list[1]};
}

void checkRank(const char* what, const Shape& shape, const char* axes) {
  if (shape.rank() < 4) {
    fail(ErrorCode::shapeMismatch, what, ": expected ", axes, ", with any axes in front, received ", shape);
  }
}

void checkDtypes(Tensors in) {
  for (const Tensor& tensor : in) {
    dispatchFloat(tensor.dtype(), [](auto) {});
    if (tensor.dtype() != in[0].dtype()) {
      fail(ErrorCode::dtypeMismatch, "expected tensors of one dtype, received ", dtypeName(in[0].dtype()), " and ",
           dtypeName(tensor.dtype()));
    }
  }
}

/** The geometry of images [.., channels, height, width] and a weight [.., outputs, channels / groups, height, width]. */
ConvGeometry geometryOf(const Shape& image, const Shape& weight, const Attributes& attributes) {
  ConvGeometry g{};
  g.channels = image[-3];
  g.height = image[-2];
  g.width = image[-1];
  g.outputs = weight[-4];
  g.kernel = {weight[-2], weight[-1]};
  g.groups = attributes.integer("groups", 1);
  g.stride = pairOf(attributes, "stride", 1, 1);
  g.padding = pairOf(attributes, "padding", 0, 0);
  g.dilation = pairOf(attributes, "dilation", 1, 1);
  if (g.channels < 1) fail(ErrorCode::shapeMismatch, "input: expected at least one channel, received ", image);
  if (g.groups < 1 || g.outputs % g.groups != 0 || g.channels % g.groups != 0) {
    fail(ErrorCode::invalidArgument, "groups: expected a divisor of ", g.channels, " input and ", g.outputs,
         " output channels, received ", g.groups);
  }
  if (weight[-3] != g.groupChannels()) {
    fail(ErrorCode::shapeMismatch, "weight: expected ", g.groupChannels(), " input channels, received ", weight[-3],
         " (input ", image, ", weight ", weight, ", groups ", g.groups, ")");
  }
  std::array<int64_t, 2> out{};
  for (const int axis : {0, 1}) {
    const int64_t room = image[axis - 2] + 2 * g.padding[axis];
    const int64_t reach = g.dilation[axis] * (g.kernel[axis] - 1) + 1;
    if (g.kernel[axis] < 1 || reach > room) {
      fail(ErrorCode::shapeMismatch, "weight: expected a kernel of 1 to ", room, " pixels in ",
           axis == 0 ? "height" : "width", ", the padded input's, received ", g.kernel[axis], " with dilation ",
           g.dilation[axis]);
    }
    out[axis] = (room - reach) / g.stride[axis] + 1;
  }
  g.outHeight = out[0];
  g.outWidth = out[1];
  return g;
}

void checkCotangent(const Shape& cotangent, const ConvGeometry& g) {
  if (cotangent[-3] != g.outputs || cotangent[-2] != g.outHeight || cotangent[-1] != g.outWidth) {
    fail(ErrorCode::shapeMismatch, "cotangent: expected [.., ", g.outputs, ", ", g.outHeight, ", ", g.outWidth,
         "], what the convolution gives, received ", cotangent);
  }
}

constexpr const char* imageAxes = "[batch, channels, height, width]";
constexpr const char* weightAxes = "[outputs, channels / groups, height, width]";

Types convTypes(Tensors in, const Attributes& attributes) {
  checkDtypes(in);
  const Shape& image = in[0].shape();
  const Shape& weight = in[1].shape();
  checkRank("input", image, imageAxes);
  checkRank("weight", weight, weightAxes);
  const ConvGeometry g = geometryOf(image, weight, attributes);
  Shape lead = broadcast(image.withoutLast(4), weight.withoutLast(4));
  if (in.size() == 3) {
    const Shape& bias = in[2].shape();
    if (bias.rank() < 1 || bias[-1] != g.outputs) {
      fail(ErrorCode::shapeMismatch, "bias: expected [", g.outputs, "], a number for each output channel, received ",
           bias);
    }
    lead = broadcast(lead, bias.withoutLast(1));
  }
  return {{lead.then({image[-4], g.outputs, g.outHeight, g.outWidth}), in[0].dtype()}};
}

/** The image shape that an input gradient is for. */
Shape imageShape(const Shape& cotangent, const Shape& weight, const Attributes& attributes) {
  const auto size = pairOf(attributes, "inputSize", 0, 0);
  return {cotangent[-4], weight[-3] * attributes.integer("groups", 1), size[0], size[1]};
}

Types inputGradTypes(Tensors in, const Attributes& attributes) {
  checkDtypes(in);
  const Shape& cotangent = in[0].shape();
  const Shape& weight = in[1].shape();
  checkRank("cotangent", cotangent, "[batch, outputs, height, width]");
  checkRank("weight", weight, weightAxes);
  const Shape image = imageShape(cotangent, weight, attributes);
  checkCotangent(cotangent, geometryOf(image, weight, attributes));
  return {{broadcast(cotangent.withoutLast(4), weight.withoutLast(4)).then(image), in[0].dtype()}};
}

/** The weight shape that a weight gradient is for. */
Shape weightShape(const Shape& image, const Shape& cotangent, const Attributes& attributes) {
  const auto kernel = pairOf(attributes, "kernelSize", 0, 1);
  return {cotangent[-3], image[-3] / std::max<int64_t>(1, attributes.integer("groups", 1)), kernel[0], kernel[1]};
}

Types weightGradTypes(Tensors in, const Attributes& attributes) {
  checkDtypes(in);
  const Shape& image = in[0].shape();
  const Shape& cotangent = in[1].shape();
  checkRank("input", image, imageAxes);
  checkRank("cotangent", cotangent, "[batch, outputs, height, width]");
  const Shape weight = weightShape(image, cotangent, attributes);
  checkCotangent(cotangent, geometryOf(image, weight, attributes));
  if (image[-4] != cotangent[-4]) {
    fail(ErrorCode::shapeMismatch, "cotangent: expected a batch of ", image[-4], " as the input has, received ",
         cotangent[-4]);
  }
  return {{broadcast(image.withoutLast(4), cotangent.withoutLast(4)).then(weight), in[0].dtype()}};
}

// ---- batches ----------------------------------------------------------------------------------------------------

/** Where N operands stand for each index of the axes in front, over which they broadcast. */
template <int N>
class Lead {
 public:
  Lead(const Shape& shape, const std::array<Shape, N>& operands)
      : count_(shape.size()), walk_(shape, pointers(operands)) {}

  [[nodiscard]] int64_t count() const { return count_; }
  [[nodiscard]] std::array<int64_t, N> at(int64_t index) const {
    std::array<int64_t, N> places = walk_.start(index / walk_.run());
    for (int operand = 0; operand < N; operand++) places[operand] += walk_.moves(operand) ? index % walk_.run() : 0;
    return places;
  }

 private:
  static std::array<const Shape*, N> pointers(const std::array<Shape, N>& operands) {
    std::array<const Shape*, N> result{};
    for (int operand = 0; operand < N; operand++) result[operand] = &operands[operand];
    return result;
  }

  int64_t count_;
  BroadcastWalk<N> walk_;
};

/** The batches of images that a pass works through, each with a weight: all are one where they have the same weight. */
template <int N>
class Batches {
 public:
  /** `shape` ends in [batch, channels, height, width]; the operands are the images' and then the weights' axes in front. */
  Batches(const Shape& shape, const std::array<Shape, N>& operands)
      : together_(
            std::all_of(operands.begin() + 1, operands.end(), [](const Shape& axes) { return axes.size() == 1; })),
        size_(shape[-4]),
        lead_(shape.withoutLast(4), operands) {
    if (together_) size_ *= lead_.count();
  }
  [[nodiscard]] int64_t count() const { return together_ ? 1 : lead_.count(); }
  /** Images in each. */
  [[nodiscard]] int64_t size() const { return size_; }
  /** Which batch of images, which weight and so on the one of that index has. */
  [[nodiscard]] std::array<int64_t, N> at(int64_t index) const {
    return together_ ? std::array<int64_t, N>{} : lead_.at(index);
  }

 private:
  bool together_;
  int64_t size_;
  Lead<N> lead_;
};

/** Calls use(pass) with Winograd's way of a pass where that suits, else with the direct one. */
template <class T, class Winograds, class Direct, class Use>
void withPass(const ConvGeometry& g, int64_t batch, const Use& use) {
  if constexpr (std::is_same_v<T, float>) {
    if (winogradSuits(g)) {
      use(Winograds(g));
      return;
    }
  }
  use(Direct(g, batch));
}

/** Whether a cotangent that is mostly zeros goes a way of its own. */
template <class T>
bool isForSparse(const ConvGeometry& g) {
  return sparseSuits(g) && !(std::is_same_v<T, float> && winogradSuits(g));
}

/** Which images of a cotangent are mostly zeros, where there is a way of their own for them. */
class SparseImages {
 public:
  template <class T>
  SparseImages(const ConvGeometry& g, const T* cotangents, int64_t count) {
    if (!isForSparse<T>(g)) return;
    are_ = convScratch<uint8_t, ConvScratch::sparse>(count);
    parallelFor(count, std::max<int64_t>(1, elementGrain / std::max<int64_t>(1, g.outSize())),
                [&](int64_t begin, int64_t end) {
                  for (int64_t i = begin; i < end; i++) are_[i] = isSparse(cotangents + i * g.outSize(), g.outSize());
                });
    any_ = std::count(are_, are_ + count, 1) > 0;
  }
  [[nodiscard]] bool any() const { return any_; }
  /** Calls visit(begin, how many, whether they are) for images next to each other that are alike, of begin to end. */
  template <class Visit>
  void eachRun(int64_t begin, int64_t end, const Visit& visit) const {
    while (begin < end) {
      int64_t next = any_ ? begin + 1 : end;
      while (next < end && are_[next] == are_[begin]) next++;
      visit(begin, next - begin, any_ && are_[begin] != 0);
      begin = next;
    }
  }

 private:
  uint8_t* are_ = nullptr;
  bool any_ = false;
};

/** All weights of a tensor, packed for a pass. */
template <class T, ConvScratch use = ConvScratch::packed, class Pass>
const T* packAll(const Pass& pass, const Tensor& weight) {
  const int64_t size = std::max<int64_t>(1, pass.geometry().weightSize());
  const int64_t count = weight.size() / size;
  T* packed = convScratch<T, use>(count * pass.packedSize());
  parallelFor(count, std::max<int64_t>(1, elementGrain / size), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) pass.pack(weight.data<T>() + i * size, packed + i * pass.packedSize());
  });
  return packed;
}

/**
 * Calls body(index in front, first image, images, rows) over the pool for all images of all batches, as many at once as
 * the pass works on together; where they are few, in more blocks of their rows than the pass would choose.
 */
template <class Pass, class Body>
void eachBlock(const Pass& pass, int64_t batches, int64_t batch, const Body& body) {
  const int64_t rows = pass.rows();
  const int64_t together = pass.together();
  const int64_t sets = Cut::atMost(batch, together).parts;
  const int64_t threads = threadCount();
  const int64_t wanted = threads == 1 ? 1 : Cut::atMost(4 * threads, batches * sets).parts;
  const Cut blocks{rows, std::min(rows, std::max(pass.blocks(), wanted))};
  constexpr int64_t leastWork = 32 * 1024;
  const int64_t grain =
      std::max<int64_t>(1, leastWork / std::max<int64_t>(1, pass.geometry().work() * together / blocks.parts));
  parallelFor(batches * sets * blocks.parts, grain, [&](int64_t begin, int64_t end) {
    for (int64_t index = begin; index < end; index++) {
      const int64_t block = index % blocks.parts;
      const int64_t first = index / blocks.parts % sets * together;
      body(index / blocks.parts / sets, first, std::min(together, batch - first),
           RowRange{blocks.begin(block), blocks.end(block)});
    }
  });
}

template <bool relu>
void runConv(Tensors in, Tensors out, const Attributes& attributes) {
  if (out[0].size() == 0) return;
  const ConvGeometry g = geometryOf(in[0].shape(), in[1].shape(), attributes);
  const Tensor* bias = in.size() == 3 ? &in[2] : nullptr;
  const Batches<3> batches(out[0].shape(), {in[0].shape().withoutLast(4), in[1].shape().withoutLast(4),
                                            bias != nullptr ? bias->shape().withoutLast(1) : Shape{}});
  dispatchFloat(in[0].dtype(), [&](auto zero) {
    using T = decltype(zero);
    withPass<T, WinogradForward, ConvForward<T>>(g, batches.size(), [&](const auto& pass) {
      const T* packed = packAll<T>(pass, in[1]);
      eachBlock(pass, batches.count(), batches.size(), [&](int64_t index, int64_t first, int64_t count, RowRange rows) {
        const auto [image, weight, shift] = batches.at(index);
        pass.run(in[0].data<T>() + (image * batches.size() + first) * g.imageSize(), count,
                 packed + weight * pass.packedSize(), bias != nullptr ? bias->data<T>() + shift * g.outputs : nullptr,
                 out[0].data<T>() + (index * batches.size() + first) * g.outSize(), rows, relu);
      });
    });
  });
}

void runInputGrad(Tensors in, Tensors out, const Attributes& attributes) {
  if (out[0].size() == 0) return;
  const ConvGeometry g = geometryOf(out[0].shape(), in[1].shape(), attributes);
  if (g.outputs == 0) {
    std::memset(out[0].bytesData(), 0, out[0].bytes());
    return;
  }
  const Batches<2> batches(out[0].shape(), {in[0].shape().withoutLast(4), in[1].shape().withoutLast(4)});
  dispatchFloat(in[0].dtype(), [&](auto zero) {
    using T = decltype(zero);
    const SparseImages sparseImages(g, in[0].data<T>(), in[0].size() / std::max<int64_t>(1, g.outSize()));
    const SparseBackward<T> sparse(g);
    const T* sparsePacked = sparseImages.any() ? packAll<T, ConvScratch::sparsePacked>(sparse, in[1]) : nullptr;
    withPass<T, WinogradBackward, ConvBackward<T>>(g, batches.size(), [&](const auto& pass) {
      const T* packed = packAll<T>(pass, in[1]);
      eachBlock(pass, batches.count(), batches.size(), [&](int64_t index, int64_t first, int64_t count, RowRange rows) {
        const auto [cotangent, weight] = batches.at(index);
        const int64_t from = cotangent * batches.size();
        const int64_t to = index * batches.size();
        sparseImages.eachRun(from + first, from + first + count, [&](int64_t begin, int64_t alike, bool areSparse) {
          const T* cotangents = in[0].data<T>() + begin * g.outSize();
          T* images = out[0].data<T>() + (to + begin - from) * g.imageSize();
          if (areSparse) {
            sparse.run(cotangents, alike, sparsePacked + weight * sparse.packedSize(), images, rows);
          } else {
            pass.run(cotangents, alike, packed + weight * pass.packedSize(), images, rows);
          }
        });
      });
    });
  });
}

void runWeightGrad(Tensors in, Tensors out, const Attributes& attributes) {
  if (out[0].size() == 0) return;
  const ConvGeometry g = geometryOf(in[0].shape(), out[0].shape(), attributes);
  const Lead<2> lead(out[0].shape().withoutLast(4), {in[0].shape().withoutLast(4), in[1].shape().withoutLast(4)});
  const int64_t batch = in[0].shape()[-4];
  const int64_t size = g.weightSize();
  dispatchFloat(in[0].dtype(), [&](auto zero) {
    using T = decltype(zero);
    // The batch is summed in as many parts as there are threads, whoever computes them, so that the order of the sum
    // does not depend on how many gradients are asked for at once. Threads that have no part share out the outputs.
    const Cut parts{batch, std::clamp<int64_t>(threadCount(), 1, std::max<int64_t>(1, batch))};
    const Cut outputs{g.groupOutputs(), std::clamp<int64_t>(threadCount() / parts.parts, 1, g.groupOutputs())};
    const SparseCorrelation<T> sparse(g);
    withPass<T, WinogradCorrelation, ConvCorrelation<T>>(g, batch / parts.parts, [&](const auto& pass) {
      const auto sumPart = [&](int64_t index, int64_t part, RowRange some, T* weight) {
        const auto [image, cotangent] = lead.at(index);
        for (int64_t group = 0; group < g.groups; group++) {
          const int64_t first = group * g.groupOutputs() + some.begin;
          std::fill_n(weight + first * g.taps(), some.count() * g.taps(), T{0});
        }
        const T* images = in[0].data<T>() + (image * batch + parts.begin(part)) * g.imageSize();
        const T* cotangents = in[1].data<T>() + (cotangent * batch + parts.begin(part)) * g.outSize();
        if (isForSparse<T>(g) && isSparse(cotangents, parts.length(part) * g.outSize())) {
          sparse.run(images, cotangents, parts.length(part), some, weight);
        } else {
          pass.run(images, cotangents, parts.length(part), some, weight);
        }
      };
      const auto add = [&](const T* part, T* weight) {
        for (int64_t i = 0; i < size; i++) weight[i] += part[i];
      };
      T* to = out[0].data<T>();
      if (lead.count() == 1) {
        T* others = convScratch<T, ConvScratch::parts>((parts.parts - 1) * size);
        const auto task = [&](int index) {
          const int64_t part = index % parts.parts;
          const int64_t piece = index / parts.parts;
          sumPart(0, part, {outputs.begin(piece), outputs.end(piece)}, part == 0 ? to : others + (part - 1) * size);
        };
        runTasks(static_cast<int>(parts.parts * outputs.parts), TaskRef(task));
        for (int64_t part = 1; part < parts.parts; part++) add(others + (part - 1) * size, to);
        return;
      }
      parallelFor(lead.count(), 1, [&](int64_t begin, int64_t end) {
        T* other = convScratch<T, ConvScratch::part>(size);
        for (int64_t index = begin; index < end; index++) {
          T* weight = to + index * size;
          sumPart(index, 0, {0, g.groupOutputs()}, weight);
          for (int64_t part = 1; part < parts.parts; part++) {
            sumPart(index, part, {0, g.groupOutputs()}, other);
            add(other, weight);
          }
        }
      });
    });
  });
}

// ---- derivatives ------------------------------------------------------------------------------------------------

/** The settings that all three share, and what one of them needs to know besides. */
Attributes settings(const Vjp& vjp, const char* name = nullptr, const Shape& size = {}) {
  Attributes result;
  for (const char* shared : {"stride", "padding", "dilation"}) {
    if (vjp.attributes().has(shared)) result.set(shared, vjp.attributes().list(shared));
  }
  result.set("groups", static_cast<double>(vjp.attributes().integer("groups", 1)));
  if (name != nullptr) result.set(name, ops::asList(size.last(2)));
  return result;
}

Value conv(const Vjp& vjp, const Value& image, const Value& weight) {
  return ops::one("conv2d", settings(vjp), image, weight);
}
Value inputGrad(const Vjp& vjp, const Value& cotangent, const Value& weight, const Shape& image) {
  return ops::one("conv2dInputGrad", settings(vjp, "inputSize", image), cotangent, weight);
}
Value weightGrad(const Vjp& vjp, const Value& image, const Value& cotangent, const Shape& weight) {
  return ops::one("conv2dWeightGrad", settings(vjp, "kernelSize", weight), image, cotangent);
}

/** Of a tensor on the side of the filters, each element meets the kernel's taps once. */
double flopsOf(const Tensor& filtered, const Tensor& weight) {
  return 2.0 * static_cast<double>(filtered.size() * weight.shape().last(3).size());
}
double convFlops(Tensors in, Tensors out, const Attributes&) { return flopsOf(out[0], in[1]); }

const Registration conv_({.name = "conv2d",
                          .leastInputs = 2,
                          .mostInputs = 3,
                          .infer = convTypes,
                          .run = runConv<false>,
                          .differentiate =
                              [](Vjp& vjp) {
                                const Value ct = vjp.cotangent();
                                if (vjp.needs(0)) {
                                  vjp.giveBroadcast(0, inputGrad(vjp, ct, vjp.input(1), vjp.inputType(0).shape));
                                }
                                if (vjp.needs(1)) {
                                  vjp.giveBroadcast(1, weightGrad(vjp, vjp.input(0), ct, vjp.inputType(1).shape));
                                }
                                if (vjp.inputCount() == 3 && vjp.needs(2)) {
                                  const int64_t rank = ct.shape().rank();
                                  vjp.giveBroadcast(2, ops::sum(ct, {rank - 4, rank - 2, rank - 1}));
                                }
                              },
                          .readsInputs = bit(0) | bit(1),
                          .flops = convFlops});

/** The sums pass through relu on their way from the registers to memory. */
const FusionRegistration convRelu_({.first = "conv2d",
                                    .second = "relu",
                                    .input = 0,
                                    .together = {.name = "conv2d relu",
                                                 .leastInputs = 2,
                                                 .mostInputs = 3,
                                                 .infer = convTypes,
                                                 .run = runConv<true>,
                                                 .flops = convFlops}});

const Registration inputGrad_({.name = "conv2dInputGrad",
                               .leastInputs = 2,
                               .mostInputs = 2,
                               .infer = inputGradTypes,
                               .run = runInputGrad,
                               .differentiate =
                                   [](Vjp& vjp) {
                                     const Value g = vjp.cotangent();
                                     if (vjp.needs(0)) vjp.giveBroadcast(0, conv(vjp, g, vjp.input(1)));
                                     if (vjp.needs(1)) {
                                       vjp.giveBroadcast(1, weightGrad(vjp, g, vjp.input(0), vjp.inputType(1).shape));
                                     }
                                   },
                               .readsInputs = bit(0) | bit(1),
                               .flops = [](Tensors in, Tensors, const Attributes&) { return flopsOf(in[0], in[1]); }});

const Registration weightGrad_({.name = "conv2dWeightGrad",
                                .leastInputs = 2,
                                .mostInputs = 2,
                                .infer = weightGradTypes,
                                .run = runWeightGrad,
                                .differentiate =
                                    [](Vjp& vjp) {
                                      const Value g = vjp.cotangent();
                                      if (vjp.needs(0)) {
                                        vjp.giveBroadcast(0, inputGrad(vjp, vjp.input(1), g, vjp.inputType(0).shape));
                                      }
                                      if (vjp.needs(1)) vjp.giveBroadcast(1, conv(vjp, vjp.input(0), g));
                                    },
                                .readsInputs = bit(0) | bit(1),
                                .flops = [](Tensors in, Tensors out,
                                            const Attributes&) { return flopsOf(in[1], out[0]); }});

}  // namespace

}  // namespace sparring
