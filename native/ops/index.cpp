/** Picking and placing by index: rows by number, one element a row, one-hot. Gather and scatter are each other's vjp. */
#include <algorithm>
#include <cstring>
#include <limits>

#include "core/parallel.h"
#include "ops/ops.h"

namespace sparring {

namespace {

void checkIndexType(const Tensor& indices) {
  if (indices.dtype() != DType::int32) {
    fail(ErrorCode::dtypeMismatch, "indices: expected int32, received ", dtypeName(indices.dtype()));
  }
}

void checkIndices(const Tensor& indices, int64_t length) {
  const int32_t* index = indices.data<int32_t>();
  for (int64_t i = 0; i < indices.size(); i++) {
    if (index[i] < 0 || index[i] >= length) {
      fail(ErrorCode::outOfRange, "indices: expected 0 to ", length - 1, ", received ", index[i], " at ", i);
    }
  }
}

/** How many places the axis that is scattered into has. */
int64_t placesOf(const Attributes& attributes) {
  const int64_t size = attributes.integer("size");
  if (size < 0 || size > std::numeric_limits<int32_t>::max()) {
    fail(ErrorCode::outOfRange, "size: expected 0 to ", std::numeric_limits<int32_t>::max(), ", received ", size);
  }
  return size;
}

// ---- gather, scatterAdd: [outer, length, inner] with indices [...] ----------------------------------------------------

int gatherAxis(const Shape& shape, const Attributes& attributes) {
  return normalizeAxis(attributes.integer("axis"), shape.rank());
}

const Registration gather_(
    {.name = "gather",
     .leastInputs = 2,
     .mostInputs = 2,
     .infer =
         [](Tensors in, const Attributes& attributes) {
           checkIndexType(in[1]);
           const Shape& shape = in[0].shape();
           const int axis = gatherAxis(shape, attributes);
           return Types{
               {shape.part(0, axis).then(in[1].shape()).then(shape.part(axis + 1, shape.rank())), in[0].dtype()}};
         },
     .run =
         [](Tensors in, Tensors out, const Attributes& attributes) {
           const Shape& shape = in[0].shape();
           const int axis = gatherAxis(shape, attributes);
           checkIndices(in[1], shape[axis]);
           const int64_t length = shape[axis];
           const int64_t picks = in[1].size();
           const size_t bytes = static_cast<size_t>(shape.product(axis + 1, shape.rank())) * dtypeBytes(in[0].dtype());
           const int32_t* index = in[1].data<int32_t>();
           if (bytes == 0) return;
           parallelFor(shape.product(0, axis) * picks,
                       std::max<int64_t>(1, elementGrain * 4 / static_cast<int64_t>(bytes)),
                       [&](int64_t begin, int64_t end) {
                         for (int64_t at = begin; at < end; at++) {
                           const int64_t from = at / picks * length + index[at % picks];
                           std::memcpy(out[0].bytesData() + static_cast<size_t>(at) * bytes,
                                       in[0].bytesData() + static_cast<size_t>(from) * bytes, bytes);
                         }
                       });
         },
     .differentiate =
         [](Vjp& vjp) {
           const Shape& shape = vjp.inputType(0).shape;
           const int axis = gatherAxis(shape, vjp.attributes());
           vjp.give(0, ops::one("scatterAdd",
                                {{"axis", static_cast<double>(axis - shape.rank())},
                                 {"size", static_cast<double>(shape[axis])}},
                                vjp.cotangent(), vjp.input(1)));
         },
     .readsInputs = bit(1)});

/** Adds what stands at each index of `indices` into a tensor of zeros whose axis has `size` places. */
const Registration scatterAdd_(
    {.name = "scatterAdd",
     .leastInputs = 2,
     .mostInputs = 2,
     .infer =
         [](Tensors in, const Attributes& attributes) {
           checkIndexType(in[1]);
           dispatchFloat(in[0].dtype(), [](auto) {});
           const Shape& shape = in[0].shape();
           const Shape& indices = in[1].shape();
           const int inner = static_cast<int>(-1 - attributes.integer("axis"));
           const int outer = shape.rank() - inner - indices.rank();
           if (inner < 0 || outer < 0 || !(shape.part(outer, outer + indices.rank()) == indices)) {
             fail(ErrorCode::shapeMismatch, "expected the axes of the indices ", indices, " before the last ", inner,
                  ", received ", shape);
           }
           return Types{{shape.part(0, outer).then({placesOf(attributes)}).then(shape.last(inner)), in[0].dtype()}};
         },
     .run =
         [](Tensors in, Tensors out, const Attributes& attributes) {
           const int inner = static_cast<int>(-1 - attributes.integer("axis"));
           const int64_t width = in[0].shape().last(inner).size();
           const int64_t size = attributes.integer("size");
           const int64_t picks = in[1].size();
           const int64_t outer = size * width == 0 ? 0 : out[0].size() / (size * width);
           checkIndices(in[1], size);
           const int32_t* index = in[1].data<int32_t>();
           dispatchFloat(in[0].dtype(), [&](auto zero) {
             using T = decltype(zero);
             std::fill_n(out[0].data<T>(), out[0].size(), T{0});
             parallelFor(outer, std::max<int64_t>(1, elementGrain / std::max<int64_t>(1, picks * width)),
                         [&](int64_t begin, int64_t end) {
                           for (int64_t block = begin; block < end; block++) {
                             for (int64_t pick = 0; pick < picks; pick++) {
                               const T* from = in[0].data<T>() + (block * picks + pick) * width;
                               T* to = out[0].data<T>() + (block * size + index[pick]) * width;
                               for (int64_t i = 0; i < width; i++) to[i] += from[i];
                             }
                           }
                         });
           });
         },
     .differentiate =
         [](Vjp& vjp) {
           vjp.give(0, ops::one("gather", {{"axis", static_cast<double>(vjp.attributes().integer("axis"))}},
                                vjp.cotangent(), vjp.input(1)));
         },
     .readsInputs = bit(1)});

// ---- takeAlong, putAlong: one row of indices for each row of the last axis --------------------------------------------

/**
 * Rows of x and rows of indices, paired from the last; where x has more axes in front, the indices are shared by them.
 */
Shape pairedRows(const Shape& x, const Shape& indices) {
  const Shape rows = x.withoutLast(1);
  const Shape indexRows = indices.withoutLast(1);
  if (rows.rank() < indexRows.rank() || !(rows.last(indexRows.rank()) == indexRows)) {
    fail(ErrorCode::shapeMismatch, "expected a row of indices for each row, received ", x, " and indices ", indices);
  }
  return rows;
}

Shape checkedPair(Tensors in) {
  checkIndexType(in[1]);
  if (in[0].rank() < 1 || in[1].rank() < 1) {
    fail(ErrorCode::shapeMismatch, "expected at least one axis, received ", in[0].shape(), " and indices ",
         in[1].shape());
  }
  return pairedRows(in[0].shape(), in[1].shape());
}

const Registration takeAlong_({.name = "takeAlong",
                               .leastInputs = 2,
                               .mostInputs = 2,
                               .infer =
                                   [](Tensors in, const Attributes&) {
                                     return Types{{checkedPair(in).then({in[1].shape()[-1]}), in[0].dtype()}};
                                   },
                               .run =
                                   [](Tensors in, Tensors out, const Attributes&) {
                                     const int64_t length = in[0].shape()[-1];
                                     const int64_t picks = in[1].shape()[-1];
                                     if (out[0].size() == 0) return;
                                     checkIndices(in[1], length);
                                     const int32_t* index = in[1].data<int32_t>();
                                     const int64_t shared = in[1].size();
                                     dispatch(in[0].dtype(), [&](auto zero) {
                                       using T = decltype(zero);
                                       parallelFor(out[0].size() / picks, std::max<int64_t>(1, elementGrain / picks),
                                                   [&](int64_t begin, int64_t end) {
                                                     for (int64_t row = begin; row < end; row++) {
                                                       for (int64_t pick = 0; pick < picks; pick++) {
                                                         const int64_t at = row * picks + pick;
                                                         out[0].data<T>()[at] =
                                                             in[0].data<T>()[row * length + index[at % shared]];
                                                       }
                                                     }
                                                   });
                                     });
                                   },
                               .differentiate =
                                   [](Vjp& vjp) {
                                     vjp.give(0, ops::one("putAlong",
                                                          {{"size", static_cast<double>(vjp.inputType(0).shape[-1])}},
                                                          vjp.cotangent(), vjp.input(1)));
                                   },
                               .readsInputs = bit(1)});

/** Adds each element of a row at its index into a row of `size` zeros. */
const Registration putAlong_(
    {.name = "putAlong",
     .leastInputs = 2,
     .mostInputs = 2,
     .infer =
         [](Tensors in, const Attributes& attributes) {
           dispatchFloat(in[0].dtype(), [](auto) {});
           const Shape rows = checkedPair(in);
           if (in[0].shape()[-1] != in[1].shape()[-1]) {
             fail(ErrorCode::shapeMismatch, "expected as many indices as elements in a row, received ", in[0].shape(),
                  " and indices ", in[1].shape());
           }
           return Types{{rows.then({placesOf(attributes)}), in[0].dtype()}};
         },
     .run =
         [](Tensors in, Tensors out, const Attributes& attributes) {
           const int64_t size = attributes.integer("size");
           const int64_t picks = in[1].shape()[-1];
           checkIndices(in[1], size);
           const int32_t* index = in[1].data<int32_t>();
           const int64_t shared = std::max<int64_t>(1, in[1].size());
           dispatchFloat(in[0].dtype(), [&](auto zero) {
             using T = decltype(zero);
             parallelFor(out[0].shape().withoutLast(1).size(),
                         std::max<int64_t>(1, elementGrain / std::max<int64_t>(1, size)),
                         [&](int64_t begin, int64_t end) {
                           for (int64_t row = begin; row < end; row++) {
                             T* to = out[0].data<T>() + row * size;
                             std::fill_n(to, size, T{0});
                             for (int64_t pick = 0; pick < picks; pick++) {
                               const int64_t at = row * picks + pick;
                               to[index[at % shared]] += in[0].data<T>()[at];
                             }
                           }
                         });
           });
         },
     .differentiate = [](Vjp& vjp) { vjp.give(0, ops::one("takeAlong", {}, vjp.cotangent(), vjp.input(1))); },
     .readsInputs = bit(1)});

// ---- oneHot -----------------------------------------------------------------------------------------------------

const Registration oneHot_({.name = "oneHot",
                            .leastInputs = 1,
                            .mostInputs = 1,
                            .infer =
                                [](Tensors in, const Attributes& attributes) {
                                  checkIndexType(in[0]);
                                  const int64_t classes = attributes.integer("classes");
                                  if (classes < 1)
                                    fail(ErrorCode::outOfRange, "classes: expected at least 1, received ", classes);
                                  return Types{{in[0].shape().then({classes}), ops::newFloat(attributes)}};
                                },
                            .run =
                                [](Tensors in, Tensors out, const Attributes& attributes) {
                                  const int64_t classes = attributes.integer("classes");
                                  checkIndices(in[0], classes);
                                  const int32_t* index = in[0].data<int32_t>();
                                  dispatchFloat(out[0].dtype(), [&](auto zero) {
                                    using T = decltype(zero);
                                    T* to = out[0].data<T>();
                                    std::fill_n(to, out[0].size(), T{0});
                                    for (int64_t i = 0; i < in[0].size(); i++) to[i * classes + index[i]] = T{1};
                                  });
                                }});

}  // namespace

}  // namespace sparring
