/** Reductions over axes: sum, mean, max, min, norms, and where the largest and smallest element stands. */
#include <algorithm>
#include <cmath>
#include <vector>

#include "core/clones.h"
#include "core/parallel.h"
#include "ops/ops.h"

namespace sparring {

namespace {

/** Which axes of an input an op reduces: all of them when it does not say. */
std::vector<bool> reducedAxes(const Shape& shape, const Attributes& attributes) {
  std::vector<bool> reduced(static_cast<size_t>(shape.rank()), !attributes.has("axes"));
  if (attributes.has("axes")) {
    for (const int64_t axis : attributes.list("axes")) {
      reduced[static_cast<size_t>(normalizeAxis(axis, shape.rank()))] = true;
    }
  }
  return reduced;
}

Shape reducedShape(const Shape& shape, const std::vector<bool>& reduced, bool keepDims) {
  Shape result;
  for (int axis = 0; axis < shape.rank(); axis++) {
    if (!reduced[static_cast<size_t>(axis)]) {
      result.append(shape[axis]);
    } else if (keepDims) {
      result.append(1);
    }
  }
  return result;
}

int64_t reducedCount(const Shape& shape, const Attributes& attributes) {
  const std::vector<bool> reduced = reducedAxes(shape, attributes);
  int64_t count = 1;
  for (int axis = 0; axis < shape.rank(); axis++) {
    if (reduced[static_cast<size_t>(axis)]) count *= shape[axis];
  }
  return count;
}

Types reduceFloat(Tensors in, const Attributes& attributes) {
  dispatchFloat(in[0].dtype(), [](auto) {});
  const Shape& shape = in[0].shape();
  return {{reducedShape(shape, reducedAxes(shape, attributes), attributes.flag("keepDims")), in[0].dtype()}};
}

Types reduceSomeFloat(Tensors in, const Attributes& attributes) {
  if (reducedCount(in[0].shape(), attributes) == 0) {
    fail(ErrorCode::shapeMismatch, "expected at least one element to reduce, received shape ", in[0].shape());
  }
  return reduceFloat(in, attributes);
}

// ---- kernels: [outer, count, inner] -> [outer, inner] ---------------------------------------------------------------

struct Plain {
  template <class T>
  static T of(T x) {
    return x;
  }
};
struct Magnitude {
  template <class T>
  static T of(T x) {
    return x < T{0} ? -x : x;
  }
};
struct Squared {
  template <class T>
  static double of(T x) {
    return static_cast<double>(x) * static_cast<double>(x);
  }
};

/** Adds in double, so that the result is good to the last place of float32 however many terms there are. */
struct Sum {
  template <class T>
  static double combine(double sum, T x) {
    return sum + static_cast<double>(x);
  }
  template <class T>
  static double start() {
    return 0;
  }
};
struct Largest {
  template <class T>
  static T combine(T best, T x) {
    return x > best || x != x ? x : best;
  }
  template <class T>
  static T start() {
    return -std::numeric_limits<T>::infinity();
  }
};
struct Smallest {
  template <class T>
  static T combine(T best, T x) {
    return x < best || x != x ? x : best;
  }
  template <class T>
  static T start() {
    return std::numeric_limits<T>::infinity();
  }
};

/** What Combine adds up elements of T in. */
template <class Combine, class T>
using AccumulatorOf = decltype(Combine::template start<T>());

constexpr int lanes = 16;

/** Reduces a run with several accumulators side by side, which SIMD wants, joined in a fixed order. */
template <class Combine, class Map, class T>
SPARRING_CLONES auto reduceRun(int64_t n, const T* a) {
  using A = AccumulatorOf<Combine, T>;
  A partial[lanes];
  for (A& value : partial) value = Combine::template start<T>();
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    for (int lane = 0; lane < lanes; lane++) partial[lane] = Combine::combine(partial[lane], Map::of(a[i + lane]));
  }
  for (int lane = 0; i < n; i++, lane++) partial[lane] = Combine::combine(partial[lane], Map::of(a[i]));
  A result = partial[0];
  for (int lane = 1; lane < lanes; lane++) result = Combine::combine(result, partial[lane]);
  return result;
}

template <class Combine, class Map, class A, class T>
SPARRING_CLONES void reduceRows(int64_t rows, int64_t stride, int64_t n, const T* a, A* accumulators) {
  for (int64_t i = 0; i < n; i++) accumulators[i] = Combine::template start<T>();
  for (int64_t row = 0; row < rows; row++) {
    for (int64_t i = 0; i < n; i++) accumulators[i] = Combine::combine(accumulators[i], Map::of(a[row * stride + i]));
  }
}

template <class Combine, class Map, class From, class To, class Finish>
void reduceGroup(int64_t outer, int64_t count, int64_t inner, const From* from, To* to, const Finish& finish) {
  if (inner == 1) {
    parallelFor(outer, std::max<int64_t>(1, elementGrain / std::max<int64_t>(1, count)),
                [&](int64_t begin, int64_t end) {
                  for (int64_t i = begin; i < end; i++)
                    to[i] = static_cast<To>(finish(reduceRun<Combine, Map>(count, from + i * count)));
                });
    return;
  }
  constexpr int64_t width = 256;
  const int64_t blocks = (inner + width - 1) / width;
  const int64_t work = std::max<int64_t>(1, count * std::min(inner, width));
  parallelFor(outer * blocks, std::max<int64_t>(1, elementGrain / work), [&](int64_t begin, int64_t end) {
    AccumulatorOf<Combine, From> accumulators[width];
    for (int64_t block = begin; block < end; block++) {
      const int64_t at = block % blocks * width;
      const int64_t n = std::min(width, inner - at);
      const int64_t row = block / blocks;
      reduceRows<Combine, Map>(count, inner, n, from + row * count * inner + at, accumulators);
      for (int64_t i = 0; i < n; i++) to[row * inner + at + i] = static_cast<To>(finish(accumulators[i]));
    }
  });
}

template <class T>
T* scratch(int slot, int64_t size) {
  static thread_local std::vector<T> buffers[2];
  std::vector<T>& buffer = buffers[slot];
  if (buffer.size() < static_cast<size_t>(size)) buffer.resize(static_cast<size_t>(size));
  return buffer.data();
}

constexpr auto unchanged = [](auto value) { return value; };

/**
 * Reduces group after group of neighbouring axes, the last first; only the first pass maps the elements, and only the
 * last one finishes and rounds.
 */
template <class Combine, class Map, class T, class Finish>
void reduceTensor(const Tensor& in, const Tensor& out, const Attributes& attributes, const Finish& finish) {
  using A = AccumulatorOf<Combine, T>;
  Shape shape = in.shape();
  std::vector<bool> reduced = reducedAxes(shape, attributes);
  const A* partial = nullptr;
  bool mapped = false;
  int slot = 0;
  for (int end = shape.rank(); end >= 0; end--) {
    if (end > 0 && !reduced[static_cast<size_t>(end - 1)]) continue;
    int begin = end;
    while (begin > 0 && reduced[static_cast<size_t>(begin - 1)]) begin--;
    if (begin == end && mapped) break;
    const bool last = std::none_of(reduced.begin(), reduced.begin() + begin, [](bool value) { return value; });
    const int64_t outer = shape.product(0, begin);
    const int64_t inner = shape.product(end, shape.rank());
    const int64_t count = shape.product(begin, end);
    const auto reduceTo = [&](auto* to, const auto& finished) {
      if (mapped) {
        reduceGroup<Combine, Plain>(outer, count, inner, partial, to, finished);
      } else {
        reduceGroup<Combine, Map>(outer, count, inner, in.data<T>(), to, finished);
      }
    };
    if (last) {
      reduceTo(out.data<T>(), finish);
      return;
    }
    A* to = scratch<A>(slot, outer * inner);
    reduceTo(to, unchanged);
    partial = to;
    mapped = true;
    shape = shape.part(0, begin).then(shape.part(end, shape.rank()));
    reduced.erase(reduced.begin() + begin, reduced.begin() + end);
    slot = 1 - slot;
    end = begin;
  }
}

template <class Combine, class Map>
void runReduce(Tensors in, Tensors out, const Attributes& attributes) {
  dispatchFloat(in[0].dtype(),
                [&](auto zero) { reduceTensor<Combine, Map, decltype(zero)>(in[0], out[0], attributes, unchanged); });
}

// ---- derivatives ------------------------------------------------------------------------------------------------

/** The shape that an output or its cotangent broadcasts against the input in: reduced axes have length 1. */
Shape keptShape(Vjp& vjp) {
  const Shape& shape = vjp.inputType(0).shape;
  return reducedShape(shape, reducedAxes(shape, vjp.attributes()), true);
}

Value keptCotangent(Vjp& vjp) { return ops::reshape(vjp.cotangent(), vjp.lead().then(keptShape(vjp))); }

void giveSpread(Vjp& vjp, const Value& cotangent) {
  vjp.give(0, ops::broadcastTo(cotangent, vjp.lead().then(vjp.inputType(0).shape)));
}

std::vector<int64_t> axesFromTheEnd(Vjp& vjp) {
  const Shape& shape = vjp.inputType(0).shape;
  const std::vector<bool> reduced = reducedAxes(shape, vjp.attributes());
  std::vector<int64_t> axes;
  for (int axis = 0; axis < shape.rank(); axis++) {
    if (reduced[static_cast<size_t>(axis)]) axes.push_back(axis - shape.rank());
  }
  return axes;
}

/** The cotangent of an extreme goes to the elements that attain it, in equal shares. */
Value shares(Vjp& vjp, const Value& elements) {
  const Value winners = ops::equal(elements, ops::reshape(vjp.output(), keptShape(vjp)));
  const std::vector<int64_t> axes = axesFromTheEnd(vjp);
  return axes.empty() ? winners : ops::div(winners, ops::sum(winners, axes, true));
}

void differentiateExtreme(Vjp& vjp) { vjp.give(0, ops::mul(keptCotangent(vjp), shares(vjp, vjp.input(0)))); }

const Registration sum_({.name = "sum",
                         .leastInputs = 1,
                         .mostInputs = 1,
                         .infer = reduceFloat,
                         .run = runReduce<Sum, Plain>,
                         .differentiate = [](Vjp& vjp) { giveSpread(vjp, keptCotangent(vjp)); }});

const Registration mean_({.name = "mean",
                          .leastInputs = 1,
                          .mostInputs = 1,
                          .infer = reduceSomeFloat,
                          .run =
                              [](Tensors in, Tensors out, const Attributes& attributes) {
                                const auto count = static_cast<double>(reducedCount(in[0].shape(), attributes));
                                dispatchFloat(in[0].dtype(), [&](auto zero) {
                                  reduceTensor<Sum, Plain, decltype(zero)>(in[0], out[0], attributes,
                                                                           [=](double sum) { return sum / count; });
                                });
                              },
                          .differentiate =
                              [](Vjp& vjp) {
                                const auto count =
                                    static_cast<double>(reducedCount(vjp.inputType(0).shape, vjp.attributes()));
                                giveSpread(vjp, ops::affine(keptCotangent(vjp), 1 / count));
                              }});

const Registration max_({.name = "max",
                         .leastInputs = 1,
                         .mostInputs = 1,
                         .infer = reduceSomeFloat,
                         .run = runReduce<Largest, Plain>,
                         .differentiate = differentiateExtreme,
                         .readsInputs = bit(0),
                         .readsOutputs = bit(0)});

const Registration min_({.name = "min",
                         .leastInputs = 1,
                         .mostInputs = 1,
                         .infer = reduceSomeFloat,
                         .run = runReduce<Smallest, Plain>,
                         .differentiate = differentiateExtreme,
                         .readsInputs = bit(0),
                         .readsOutputs = bit(0)});

/** L1, L2 and L-infinity norms over axes. The derivative at zero is zero, never NaN. */
const Registration normL1_({.name = "normL1",
                            .leastInputs = 1,
                            .mostInputs = 1,
                            .infer = reduceFloat,
                            .run = runReduce<Sum, Magnitude>,
                            .differentiate =
                                [](Vjp& vjp) { vjp.give(0, ops::mul(keptCotangent(vjp), ops::sign(vjp.input(0)))); },
                            .readsInputs = bit(0)});

const Registration normL2_({.name = "normL2",
                            .leastInputs = 1,
                            .mostInputs = 1,
                            .infer = reduceFloat,
                            .run =
                                [](Tensors in, Tensors out, const Attributes& attributes) {
                                  dispatchFloat(in[0].dtype(), [&](auto zero) {
                                    reduceTensor<Sum, Squared, decltype(zero)>(
                                        in[0], out[0], attributes, [](double sum) { return std::sqrt(sum); });
                                  });
                                },
                            .differentiate =
                                [](Vjp& vjp) {
                                  const Value norm = ops::reshape(vjp.output(), keptShape(vjp));
                                  const Value zero = ops::full({}, 0, norm.dtype());
                                  const Value one = ops::full({}, 1, norm.dtype());
                                  const Value divisor = ops::where(ops::equal(norm, zero), one, norm);
                                  vjp.give(0, ops::mul(keptCotangent(vjp), ops::div(vjp.input(0), divisor)));
                                },
                            .readsInputs = bit(0),
                            .readsOutputs = bit(0)});

const Registration normLinf_({.name = "normLinf",
                              .leastInputs = 1,
                              .mostInputs = 1,
                              .infer = reduceSomeFloat,
                              .run =
                                  [](Tensors in, Tensors out, const Attributes& attributes) {
                                    dispatchFloat(in[0].dtype(), [&](auto zero) {
                                      reduceTensor<Largest, Magnitude, decltype(zero)>(in[0], out[0], attributes,
                                                                                       unchanged);
                                    });
                                  },
                              .differentiate =
                                  [](Vjp& vjp) {
                                    const Value winners = shares(vjp, ops::one("abs", {}, vjp.input(0)));
                                    vjp.give(0,
                                             ops::mul(keptCotangent(vjp), ops::mul(ops::sign(vjp.input(0)), winners)));
                                  },
                              .readsInputs = bit(0),
                              .readsOutputs = bit(0)});

// ---- argmax, argmin ---------------------------------------------------------------------------------------------

Types reduceToIndex(Tensors in, const Attributes& attributes) {
  dispatchFloat(in[0].dtype(), [](auto) {});
  const Shape& shape = in[0].shape();
  const int axis = normalizeAxis(attributes.integer("axis"), shape.rank());
  if (shape[axis] == 0)
    fail(ErrorCode::shapeMismatch, "expected at least one element along axis ", axis, ", received shape ", shape);
  return {{shape.part(0, axis).then(shape.part(axis + 1, shape.rank())), DType::int32}};
}

/** The first of the best; NaN beats every number, so that it does not go unseen. */
template <class Combine>
void runIndexOf(Tensors in, Tensors out, const Attributes& attributes) {
  dispatchFloat(in[0].dtype(), [&](auto zero) {
    using T = decltype(zero);
    const Shape& shape = in[0].shape();
    const int axis = normalizeAxis(attributes.integer("axis"), shape.rank());
    const int64_t count = shape[axis];
    const int64_t inner = shape.product(axis + 1, shape.rank());
    const T* from = in[0].data<T>();
    int32_t* to = out[0].data<int32_t>();
    parallelFor(out[0].size(), std::max<int64_t>(1, elementGrain / count), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i++) {
        const T* a = from + i / inner * count * inner + i % inner;
        int64_t best = 0;
        for (int64_t at = 1; at < count && a[best * inner] == a[best * inner]; at++) {
          if (Combine::combine(a[best * inner], a[at * inner]) != a[best * inner]) best = at;
        }
        to[i] = static_cast<int32_t>(best);
      }
    });
  });
}

const Registration argmax_(
    {.name = "argmax", .leastInputs = 1, .mostInputs = 1, .infer = reduceToIndex, .run = runIndexOf<Largest>});
const Registration argmin_(
    {.name = "argmin", .leastInputs = 1, .mostInputs = 1, .infer = reduceToIndex, .run = runIndexOf<Smallest>});

}  // namespace

}  // namespace sparring
