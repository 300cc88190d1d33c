/** Other shapes of the same numbers: reshape, slices, permutation, joining, padding, broadcasting. */
#include <algorithm>
#include <cstring>
#include <numeric>

#include "ops/broadcast.h"
#include "ops/functions.h"
#include "ops/ops.h"

namespace sparring {

namespace {

/** A list of settings for the last axes; axes before them are taken whole, so that a rule works under any lead. */
struct LastAxes {
  int first;  // the first axis that the list speaks of
  const std::vector<int64_t>& values;

  [[nodiscard]] int64_t at(int axis, int64_t otherwise) const {
    return axis < first ? otherwise : values[static_cast<size_t>(axis - first)];
  }
};

LastAxes lastAxes(const Shape& shape, const Attributes& attributes, const char* name) {
  const std::vector<int64_t>& values = attributes.list(name);
  const int first = shape.rank() - static_cast<int>(values.size());
  if (first < 0)
    fail(ErrorCode::shapeMismatch, name, ": expected at most ", shape.rank(), " entries, received ", values.size());
  return {first, values};
}

/**
 * Copies blocks between dense arrays: element i of the box stands at from + i·fromStrides and to + i·toStrides. The last
 * axis is the inner loop.
 */
void copyBox(const Shape& box, const std::byte* from, const Shape& fromStrides, std::byte* to, const Shape& toStrides,
             size_t bytes) {
  if (box.size() == 0) return;
  const int rank = box.rank();
  const int64_t n = rank == 0 ? 1 : box[-1];
  const int64_t stepFrom = rank == 0 ? 1 : fromStrides[-1];
  const int64_t stepTo = rank == 0 ? 1 : toStrides[-1];
  parallelFor(box.size() / n, std::max<int64_t>(1, elementGrain / n), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; row++) {
      int64_t rest = row;
      int64_t atFrom = 0;
      int64_t atTo = 0;
      for (int axis = rank - 2; axis >= 0; axis--) {
        const int64_t at = rest % box[axis];
        rest /= box[axis];
        atFrom += at * fromStrides[axis];
        atTo += at * toStrides[axis];
      }
      const std::byte* source = from + static_cast<size_t>(atFrom) * bytes;
      std::byte* target = to + static_cast<size_t>(atTo) * bytes;
      if (stepFrom == 1 && stepTo == 1) {
        std::memcpy(target, source, static_cast<size_t>(n) * bytes);
        continue;
      }
      const auto copyStrided = [&](auto zero) {
        using T = decltype(zero);
        const T* s = reinterpret_cast<const T*>(source);
        T* t = reinterpret_cast<T*>(target);
        for (int64_t i = 0; i < n; i++) t[i * stepTo] = s[i * stepFrom];
      };
      if (bytes == 4) {
        copyStrided(uint32_t{});
      } else if (bytes == 8) {
        copyStrided(uint64_t{});
      } else {
        copyStrided(uint8_t{});
      }
    }
  });
}

Shape stridesOf(const Shape& shape) {
  Shape strides = shape;
  int64_t stride = 1;
  for (int axis = shape.rank() - 1; axis >= 0; axis--) {
    strides[axis] = stride;
    stride *= shape[axis];
  }
  return strides;
}

// ---- reshape ----------------------------------------------------------------------------------------------------

const Registration reshape_({.name = "reshape",
                             .leastInputs = 1,
                             .mostInputs = 1,
                             .infer =
                                 [](Tensors in, const Attributes& attributes) {
                                   Shape shape = attributes.shape("shape");
                                   int open = -1;
                                   int64_t known = 1;
                                   for (int axis = 0; axis < shape.rank(); axis++) {
                                     if (shape[axis] == -1 && open < 0) {
                                       open = axis;
                                     } else {
                                       known *= shape[axis];
                                     }
                                   }
                                   if (open >= 0 && known > 0 && in[0].size() % known == 0)
                                     shape[open] = in[0].size() / known;
                                   const bool negative = std::any_of(shape.begin(), shape.end(),
                                                                     [](int64_t length) { return length < 0; });
                                   if (negative || shape.size() != in[0].size()) {
                                     fail(ErrorCode::shapeMismatch, "cannot give the ", in[0].size(), " elements of ",
                                          in[0].shape(), " the shape ", shape);
                                   }
                                   return Types{{shape, in[0].dtype()}};
                                 },
                             .run = nullptr,
                             .differentiate =
                                 [](Vjp& vjp) {
                                   vjp.give(0, ops::reshape(vjp.cotangent(), vjp.lead().then(vjp.inputType(0).shape)));
                                 }});

// ---- slice and pad ----------------------------------------------------------------------------------------------

/** How far each of the last axes goes on behind its stop. */
std::vector<int64_t> behind(const Shape& shape, const std::vector<int64_t>& stops) {
  std::vector<int64_t> after;
  const int first = shape.rank() - static_cast<int>(stops.size());
  for (size_t index = 0; index < stops.size(); index++)
    after.push_back(shape[first + static_cast<int>(index)] - stops[index]);
  return after;
}

Types inferSlice(Tensors in, const Attributes& attributes) {
  Shape shape = in[0].shape();
  const LastAxes starts = lastAxes(shape, attributes, "starts");
  const LastAxes stops = lastAxes(shape, attributes, "stops");
  for (int axis = 0; axis < shape.rank(); axis++) {
    const int64_t start = starts.at(axis, 0);
    const int64_t stop = stops.at(axis, shape[axis]);
    if (start < 0 || stop < start || stop > shape[axis]) {
      fail(ErrorCode::outOfRange, "expected 0 <= start <= stop <= ", shape[axis], " on axis ", axis, ", received ",
           start, " to ", stop);
    }
    shape[axis] = stop - start;
  }
  return {{shape, in[0].dtype()}};
}

void differentiateSlice(Vjp& vjp) {
  const Shape& shape = vjp.inputType(0).shape;
  const std::vector<int64_t>& starts = vjp.attributes().list("starts");
  const std::vector<int64_t> after = behind(shape, vjp.attributes().list("stops"));
  vjp.give(0, ops::one("pad", {{"before", starts}, {"after", after}, {"value", 0.0}}, vjp.cotangent()));
}

int64_t sliceStart(Tensors in, const Attributes& attributes) {
  const Shape strides = stridesOf(in[0].shape());
  const LastAxes starts = lastAxes(in[0].shape(), attributes, "starts");
  int64_t start = 0;
  for (int axis = 0; axis < strides.rank(); axis++) start += starts.at(axis, 0) * strides[axis];
  return start;
}

const Registration slice_({.name = "slice",
                           .leastInputs = 1,
                           .mostInputs = 1,
                           .infer = inferSlice,
                           .run =
                               [](Tensors in, Tensors out, const Attributes& attributes) {
                                 const size_t bytes = dtypeBytes(in[0].dtype());
                                 copyBox(out[0].shape(),
                                         in[0].bytesData() + static_cast<size_t>(sliceStart(in, attributes)) * bytes,
                                         stridesOf(in[0].shape()), out[0].bytesData(), stridesOf(out[0].shape()),
                                         bytes);
                               },
                           .differentiate = differentiateSlice});

/** A slice of the first axis only, which shares the memory of its input. */
const Registration rows_({.name = "rows",
                          .leastInputs = 1,
                          .mostInputs = 1,
                          .infer =
                              [](Tensors in, const Attributes& attributes) {
                                if (attributes.list("starts").size() != static_cast<size_t>(in[0].rank())) {
                                  fail(ErrorCode::internal, "expected the range of every axis");
                                }
                                return inferSlice(in, attributes);
                              },
                          .run = nullptr,
                          .differentiate = differentiateSlice,
                          .viewOffset = sliceStart});

const Registration pad_({.name = "pad",
                         .leastInputs = 1,
                         .mostInputs = 1,
                         .infer =
                             [](Tensors in, const Attributes& attributes) {
                               Shape shape = in[0].shape();
                               const LastAxes before = lastAxes(shape, attributes, "before");
                               const LastAxes after = lastAxes(shape, attributes, "after");
                               if (before.first != after.first) {
                                 fail(ErrorCode::invalidArgument, "after: expected as many entries as before, ",
                                      before.values.size(), ", received ", after.values.size());
                               }
                               for (int axis = 0; axis < shape.rank(); axis++) {
                                 if (before.at(axis, 0) < 0 || after.at(axis, 0) < 0) {
                                   fail(ErrorCode::outOfRange, "expected no negative padding on axis ", axis,
                                        ", received ", before.at(axis, 0), " and ", after.at(axis, 0));
                                 }
                                 shape[axis] += before.at(axis, 0) + after.at(axis, 0);
                               }
                               return Types{{shape, in[0].dtype()}};
                             },
                         .run =
                             [](Tensors in, Tensors out, const Attributes& attributes) {
                               const size_t bytes = dtypeBytes(in[0].dtype());
                               dispatch(in[0].dtype(), [&](auto zero) {
                                 using T = decltype(zero);
                                 std::fill_n(out[0].data<T>(), out[0].size(), numberAs<T>(attributes.number("value")));
                               });
                               const Shape strides = stridesOf(out[0].shape());
                               const LastAxes before = lastAxes(in[0].shape(), attributes, "before");
                               int64_t start = 0;
                               for (int axis = 0; axis < strides.rank(); axis++)
                                 start += before.at(axis, 0) * strides[axis];
                               copyBox(in[0].shape(), in[0].bytesData(), stridesOf(in[0].shape()),
                                       out[0].bytesData() + static_cast<size_t>(start) * bytes, strides, bytes);
                             },
                         .differentiate =
                             [](Vjp& vjp) {
                               const std::vector<int64_t>& before = vjp.attributes().list("before");
                               const Shape& shape = vjp.inputType(0).shape;
                               std::vector<int64_t> stops;
                               const int first = shape.rank() - static_cast<int>(before.size());
                               for (size_t index = 0; index < before.size(); index++) {
                                 stops.push_back(before[index] + shape[first + static_cast<int>(index)]);
                               }
                               vjp.give(0, ops::one("slice", {{"starts", before}, {"stops", stops}}, vjp.cotangent()));
                             }});

// ---- permute ----------------------------------------------------------------------------------------------------

/** The permutation of all axes that a permutation of the last ones amounts to. */
std::vector<int> wholePermutation(const Shape& shape, const Attributes& attributes) {
  const LastAxes axes = lastAxes(shape, attributes, "axes");
  std::vector<int> result(static_cast<size_t>(shape.rank()));
  std::iota(result.begin(), result.end(), 0);
  std::vector<bool> seen(axes.values.size(), false);
  for (size_t index = 0; index < axes.values.size(); index++) {
    const int axis = normalizeAxis(axes.values[index], static_cast<int>(axes.values.size()));
    if (seen[static_cast<size_t>(axis)])
      fail(ErrorCode::invalidArgument, "axes: expected a permutation, received axis ", axis, " twice");
    seen[static_cast<size_t>(axis)] = true;
    result[static_cast<size_t>(axes.first) + index] = axes.first + axis;
  }
  return result;
}

const Registration permute_(
    {.name = "permute",
     .leastInputs = 1,
     .mostInputs = 1,
     .infer =
         [](Tensors in, const Attributes& attributes) {
           Shape shape;
           for (const int axis : wholePermutation(in[0].shape(), attributes)) shape.append(in[0].shape()[axis]);
           return Types{{shape, in[0].dtype()}};
         },
     .run =
         [](Tensors in, Tensors out, const Attributes& attributes) {
           const Shape strides = stridesOf(in[0].shape());
           Shape from;
           for (const int axis : wholePermutation(in[0].shape(), attributes)) from.append(strides[axis]);
           copyBox(out[0].shape(), in[0].bytesData(), from, out[0].bytesData(), stridesOf(out[0].shape()),
                   dtypeBytes(in[0].dtype()));
         },
     .differentiate =
         [](Vjp& vjp) {
           const std::vector<int64_t>& axes = vjp.attributes().list("axes");
           std::vector<int64_t> inverse(axes.size());
           for (size_t index = 0; index < axes.size(); index++) {
             inverse[static_cast<size_t>(normalizeAxis(axes[index], static_cast<int>(axes.size())))] =
                 static_cast<int64_t>(index);
           }
           vjp.give(0, ops::one("permute", {{"axes", inverse}}, vjp.cotangent()));
         }});

// ---- concat -----------------------------------------------------------------------------------------------------

const Registration concat_(
    {.name = "concat",
     .leastInputs = 1,
     .mostInputs = 1 << 20,
     .infer =
         [](Tensors in, const Attributes& attributes) {
           Shape shape = in[0].shape();
           const int axis = normalizeAxis(attributes.integer("axis"), shape.rank());
           for (const Tensor& next : in.subspan(1)) {
             Shape expected = shape;
             if (next.rank() == shape.rank()) expected[axis] = next.shape()[axis];
             if (!(next.shape() == expected)) {
               fail(ErrorCode::shapeMismatch, "expected shapes that differ on axis ", axis, " only, received ",
                    in[0].shape(), " and ", next.shape());
             }
             if (next.dtype() != in[0].dtype()) {
               fail(ErrorCode::dtypeMismatch, "expected tensors of one dtype, received ", dtypeName(in[0].dtype()),
                    " and ", dtypeName(next.dtype()));
             }
             shape[axis] += next.shape()[axis];
           }
           return Types{{shape, in[0].dtype()}};
         },
     .run =
         [](Tensors in, Tensors out, const Attributes& attributes) {
           const size_t bytes = dtypeBytes(out[0].dtype());
           const int axis = normalizeAxis(attributes.integer("axis"), out[0].rank());
           const Shape strides = stridesOf(out[0].shape());
           int64_t at = 0;
           for (const Tensor& part : in) {
             copyBox(part.shape(), part.bytesData(), stridesOf(part.shape()),
                     out[0].bytesData() + static_cast<size_t>(at * strides[axis]) * bytes, strides, bytes);
             at += part.shape()[axis];
           }
         },
     .differentiate =
         [](Vjp& vjp) {
           const Shape& whole = vjp.outputType().shape;
           const int axis = normalizeAxis(vjp.attributes().integer("axis"), whole.rank());
           int64_t at = 0;
           for (int index = 0; index < vjp.inputCount(); index++) {
             const Shape& part = vjp.inputType(index).shape;
             std::vector<int64_t> starts(static_cast<size_t>(whole.rank() - axis), 0);
             std::vector<int64_t> stops(whole.begin() + axis, whole.end());
             starts[0] = at;
             stops[0] = at += part[axis];
             if (vjp.needs(index))
               vjp.give(index, ops::one("slice", {{"starts", starts}, {"stops", stops}}, vjp.cotangent()));
           }
         }});

// ---- broadcastTo ------------------------------------------------------------------------------------------------

const Registration broadcastTo_({.name = "broadcastTo",
                                 .leastInputs = 1,
                                 .mostInputs = 1,
                                 .infer =
                                     [](Tensors in, const Attributes& attributes) {
                                       const Shape shape = ops::newShape(attributes);
                                       if (!(broadcast(in[0].shape(), shape) == shape)) {
                                         fail(ErrorCode::shapeMismatch, "cannot stretch ", in[0].shape(), " to ",
                                              shape);
                                       }
                                       return Types{{shape, in[0].dtype()}};
                                     },
                                 .run =
                                     [](Tensors in, Tensors out, const Attributes&) {
                                       dispatch(in[0].dtype(), [&](auto zero) {
                                         using T = decltype(zero);
                                         mapTwo<T, T, T>(out[0], in[0], in[0], [](T a, T) { return a; });
                                       });
                                     },
                                 .differentiate = [](Vjp& vjp) { vjp.giveBroadcast(0, vjp.cotangent()); }});

}  // namespace

}  // namespace sparring
