/**
 * What a search over (example, class) pairs needs that is decided pair by pair: which pairs can still win, and which of
 * those that were tried is the best of its example.
 */
#include <algorithm>
#include <cstring>
#include <limits>
#include <vector>

#include "ops/ops.h"

namespace sparring {

namespace {

void expect(const Tensor& tensor, const char* name, DType dtype, const Shape& shape) {
  if (tensor.dtype() == dtype && tensor.shape() == shape) return;
  fail(tensor.dtype() == dtype ? ErrorCode::shapeMismatch : ErrorCode::dtypeMismatch, name, ": expected ",
       dtypeName(dtype), " ", shape, ", received ", dtypeName(tensor.dtype()), " ", tensor.shape());
}

constexpr double tried = -std::numeric_limits<double>::infinity();

/**
 * selectPairs(bounds [B, K], best [B]): of each example the pair (example, class) of the highest bound, if that exceeds
 * the best of the example, and how many there are. Their bounds are set to -Infinity, so that each pair is given once.
 */
const Registration select_({.name = "selectPairs",
                            .leastInputs = 2,
                            .mostInputs = 2,
                            .infer =
                                [](Tensors in, const Attributes&) {
                                  const Shape& shape = in[0].shape();
                                  if (shape.rank() != 2)
                                    fail(ErrorCode::shapeMismatch, "bounds: expected [B,K], received ", shape);
                                  expect(in[0], "bounds", DType::float64, shape);
                                  expect(in[1], "best", DType::float64, {shape[0]});
                                  const TensorType places{{shape[0]}, DType::int32};
                                  return Types{places, places, {{}, DType::int32}};
                                },
                            .run =
                                [](Tensors in, Tensors out, const Attributes&) {
                                  const int64_t classes = in[0].shape()[1];
                                  int32_t count = 0;
                                  for (int64_t example = 0; example < in[0].shape()[0]; example++) {
                                    double* row = in[0].data<double>() + example * classes;
                                    double* highest = std::max_element(row, row + classes);
                                    if (!(*highest > in[1].data<double>()[example])) continue;
                                    out[0].data<int32_t>()[count] = static_cast<int32_t>(example);
                                    out[1].data<int32_t>()[count++] = static_cast<int32_t>(highest - row);
                                    *highest = tried;
                                  }
                                  out[2].data<int32_t>()[0] = count;
                                },
                            .writesInputs = bit(0)});

/**
 * keepBest(best [B], rows [B, D], target [B], tried [B], example [R], class [R], value [R], candidates [R, D]): where a
 * pair's value exceeds the best of its example (or is as good, and the class comes first), it takes its place with its
 * row and class; the pairs tried are counted.
 */
const Registration keep_({.name = "keepBest",
                          .leastInputs = 8,
                          .mostInputs = 8,
                          .infer =
                              [](Tensors in, const Attributes&) {
                                const Shape examples = in[0].shape();
                                const Shape pairs = in[4].shape();
                                const int64_t width = in[1].rank() == 2 ? in[1].shape()[1] : 0;
                                dispatchFloat(in[1].dtype(), [](auto) {});
                                expect(in[0], "best", DType::float64, examples);
                                expect(in[1], "rows", in[1].dtype(), examples.then({width}));
                                expect(in[2], "target", DType::int32, examples);
                                expect(in[3], "tried", DType::int32, examples);
                                expect(in[4], "example", DType::int32, pairs);
                                expect(in[5], "class", DType::int32, pairs);
                                expect(in[6], "value", DType::float64, pairs);
                                expect(in[7], "candidates", in[1].dtype(), pairs.then({width}));
                                return Types{};
                              },
                          .run =
                              [](Tensors in, Tensors, const Attributes&) {
                                const size_t bytes = static_cast<size_t>(in[1].shape()[1]) * dtypeBytes(in[1].dtype());
                                auto* best = in[0].data<double>();
                                auto* target = in[2].data<int32_t>();
                                for (int64_t pair = 0; pair < in[4].size(); pair++) {
                                  const int32_t example = in[4].data<int32_t>()[pair];
                                  const int32_t candidate = in[5].data<int32_t>()[pair];
                                  const double value = in[6].data<double>()[pair];
                                  in[3].data<int32_t>()[example]++;
                                  const bool first = value == best[example] && candidate < target[example];
                                  if (!(value > best[example]) && !first) continue;  // NaN wins nothing
                                  best[example] = value;
                                  target[example] = candidate;
                                  std::memcpy(in[1].bytesData() + static_cast<size_t>(example) * bytes,
                                              in[7].bytesData() + static_cast<size_t>(pair) * bytes, bytes);
                                }
                              },
                          .writesInputs = bit(0) | bit(1) | bit(2) | bit(3)});

}  // namespace

}  // namespace sparring
