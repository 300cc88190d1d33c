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

/** An example waits for at most this much room, so that what it is given does not depend on how much there is. */
constexpr int64_t mostAtOnce = 64;

/**
 * selectPairs(bounds [B, K], best [B], tried [B], room): of each example the pairs (example, class) of the highest bounds
 * that exceed the best of the example, and how many there are. An example gets half as many as it has tried, but one at
 * least: few are tried in vain when the best rises, and many take few rounds. Which ones depends on the example
 * alone. Their bounds are set to -Infinity, so that each pair is given once.
 */
const Registration select_({.name = "selectPairs",
                            .leastInputs = 3,
                            .mostInputs = 3,
                            .infer =
                                [](Tensors in, const Attributes& attributes) {
                                  const Shape& shape = in[0].shape();
                                  if (shape.rank() != 2)
                                    fail(ErrorCode::shapeMismatch, "bounds: expected [B,K], received ", shape);
                                  expect(in[0], "bounds", DType::float64, shape);
                                  expect(in[1], "best", DType::float64, {shape[0]});
                                  expect(in[2], "tried", DType::int32, {shape[0]});
                                  const int64_t room = attributes.integer("room");
                                  if (room < mostAtOnce)
                                    fail(ErrorCode::invalidArgument, "room: expected ", mostAtOnce,
                                         " at least, received ", room);
                                  const TensorType places{{room}, DType::int32};
                                  return Types{places, places, {{}, DType::int32}};
                                },
                            .run =
                                [](Tensors in, Tensors out, const Attributes& attributes) {
                                  const int64_t classes = in[0].shape()[1];
                                  const int64_t room = attributes.integer("room");
                                  int64_t count = 0;
                                  for (int64_t example = 0; example < in[0].shape()[0]; example++) {
                                    double* row = in[0].data<double>() + example * classes;
                                    const double best = in[1].data<double>()[example];
                                    const int64_t many = std::clamp<int64_t>(in[2].data<int32_t>()[example] / 2, 1,
                                                                             std::min(classes, mostAtOnce));
                                    if (count + many > room) break;
                                    for (int64_t taken = 0; taken < many; taken++) {
                                      double* highest = std::max_element(row, row + classes);
                                      if (!(*highest > best)) break;
                                      out[0].data<int32_t>()[count] = static_cast<int32_t>(example);
                                      out[1].data<int32_t>()[count++] = static_cast<int32_t>(highest - row);
                                      *highest = tried;
                                    }
                                  }
                                  out[2].data<int32_t>()[0] = static_cast<int32_t>(count);
                                },
                            .writesInputs = bit(0)});

/** assignRows(x [N, ...], at [R], rows [R, ...]): writes rows over those of x that `at` numbers. */
const Registration assign_({.name = "assignRows",
                            .leastInputs = 3,
                            .mostInputs = 3,
                            .infer =
                                [](Tensors in, const Attributes&) {
                                  if (in[0].rank() < 1)
                                    fail(ErrorCode::shapeMismatch, "x: expected [N,...], received ", in[0].shape());
                                  const Shape count{in[1].size()};
                                  expect(in[1], "at", DType::int32, count);
                                  expect(in[2], "rows", in[0].dtype(), count.then(in[0].shape().part(1, in[0].rank())));
                                  return Types{};
                                },
                            .run =
                                [](Tensors in, Tensors, const Attributes&) {
                                  const int64_t rows = in[0].shape()[0];
                                  if (rows == 0) return;
                                  const size_t bytes = in[0].bytes() / static_cast<size_t>(rows);
                                  for (int64_t row = 0; row < in[1].size(); row++) {
                                    const int32_t at = in[1].data<int32_t>()[row];
                                    if (at < 0 || at >= rows)
                                      fail(ErrorCode::outOfRange, "at: expected rows 0 to ", rows - 1, ", received ",
                                           at);
                                    std::memcpy(in[0].bytesData() + static_cast<size_t>(at) * bytes,
                                                in[2].bytesData() + static_cast<size_t>(row) * bytes, bytes);
                                  }
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
