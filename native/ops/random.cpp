/** Random numbers, each a function of (seed, stream, example, tick) and its place in the example: no hidden state. */
#include <algorithm>
#include <cmath>
#include <limits>

#include "core/parallel.h"
#include "core/random.h"
#include "ops/ops.h"

namespace sparring {

namespace {

/** The key and counter that the numbers of one example start from. */
class Source {
 public:
  Source(const Attributes& attributes, const Tensor& rows, const Tensor& tick)
      : rows_(rows.data<int32_t>()),
        tick_(static_cast<uint32_t>(tick.data<int32_t>()[0])),
        stream_(static_cast<uint32_t>(attributes.integer("stream"))) {
    const auto seed = static_cast<uint64_t>(attributes.integer("seed"));
    key_ = {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)};
  }

  /** The four words of block `block` of the numbers of the row-th example. */
  [[nodiscard]] std::array<uint32_t, 4> words(int64_t row, int64_t block) const {
    return philox({static_cast<uint32_t>(block), static_cast<uint32_t>(rows_[row]), tick_, stream_}, key_);
  }

 private:
  const int32_t* rows_;
  uint32_t tick_;
  uint32_t stream_;
  std::array<uint32_t, 2> key_{};
};

void checkSource(const Tensor& rows, const Tensor& tick, const Attributes& attributes) {
  const auto code = [](const Tensor& tensor) {
    return tensor.dtype() == DType::int32 ? ErrorCode::shapeMismatch : ErrorCode::dtypeMismatch;
  };
  if (rows.dtype() != DType::int32 || rows.rank() != 1) {
    fail(code(rows), "rows: expected int32 [B], received ", dtypeName(rows.dtype()), " ", rows.shape());
  }
  if (tick.dtype() != DType::int32 || tick.size() != 1) {
    fail(code(tick), "tick: expected one int32, received ", dtypeName(tick.dtype()), " ", tick.shape());
  }
  const int64_t seed = attributes.integer("seed");
  if (seed < 0) fail(ErrorCode::outOfRange, "seed: expected a whole number of at least 0, received ", seed);
  const int64_t stream = attributes.integer("stream");
  if (stream < 0 || stream > std::numeric_limits<uint32_t>::max()) {
    fail(ErrorCode::outOfRange, "stream: expected 0 to ", std::numeric_limits<uint32_t>::max(), ", received ", stream);
  }
}

Types inferNumbers(Tensors in, const Attributes& attributes) {
  checkSource(in[0], in[1], attributes);
  return {{in[0].shape().then(ops::newShape(attributes)), ops::newFloat(attributes)}};
}

/** Fills each row block by block: draw(words, numbers) makes four numbers of four words. */
template <class Draw>
void fillRows(Tensors in, const Tensor& out, const Attributes& attributes, const Draw& draw) {
  const Source source(attributes, in[0], in[1]);
  const int64_t rows = in[0].size();
  const int64_t width = rows == 0 ? 0 : out.size() / rows;
  dispatchFloat(out.dtype(), [&](auto zero) {
    using T = decltype(zero);
    parallelFor(rows, std::max<int64_t>(1, 1024 / std::max<int64_t>(1, width)), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; row++) {
        T* to = out.data<T>() + row * width;
        for (int64_t at = 0; at < width; at += 4) {
          const std::array<double, 4> numbers = draw(source.words(row, at / 4));
          for (int64_t i = 0; i < std::min<int64_t>(4, width - at); i++)
            to[at + i] = static_cast<T>(numbers[static_cast<size_t>(i)]);
        }
      }
    });
  });
}

/** The last number of a dtype before `high` on the way to `low`: a number close to `high` must not be rounded to it. */
double below(double high, double low, DType dtype) {
  if (dtype == DType::float64) return std::nextafter(high, low);
  return static_cast<double>(std::nextafter(static_cast<float>(high), static_cast<float>(low)));
}

/** uniform(rows [B], tick) -> [B, ...shape], in [low, high). */
const Registration uniform_({.name = "uniform",
                             .leastInputs = 2,
                             .mostInputs = 2,
                             .infer =
                                 [](Tensors in, const Attributes& attributes) {
                                   if (!(attributes.number("low") <= attributes.number("high"))) {
                                     fail(ErrorCode::invalidArgument, "expected low <= high, received ",
                                          attributes.number("low"), " and ", attributes.number("high"));
                                   }
                                   return inferNumbers(in, attributes);
                                 },
                             .run =
                                 [](Tensors in, Tensors out, const Attributes& attributes) {
                                   const double low = attributes.number("low");
                                   const double high = attributes.number("high");
                                   const double most = below(high, low, out[0].dtype());
                                   fillRows(in, out[0], attributes, [=](const std::array<uint32_t, 4>& words) {
                                     std::array<double, 4> numbers{};
                                     for (size_t i = 0; i < 4; i++) {
                                       numbers[i] =
                                           std::min(most, low + (high - low) * static_cast<double>(unit(words[i])));
                                     }
                                     return numbers;
                                   });
                                 }});

/** normal(rows [B], tick) -> [B, ...shape]. */
const Registration normal_({.name = "normal",
                            .leastInputs = 2,
                            .mostInputs = 2,
                            .infer = inferNumbers,
                            .run = [](Tensors in, Tensors out, const Attributes& attributes) {
                              const double mean = attributes.number("mean");
                              const double deviation = attributes.number("deviation");
                              fillRows(in, out[0], attributes, [=](const std::array<uint32_t, 4>& words) {
                                const auto first = normalPair(words[0], words[1]);
                                const auto second = normalPair(words[2], words[3]);
                                return std::array<double, 4>{mean + deviation * first[0], mean + deviation * first[1],
                                                             mean + deviation * second[0],
                                                             mean + deviation * second[1]};
                              });
                            }});

/**
 * dropout(x [..., B, ...example], rows [B], tick): each element is zero with probability `rate`, else scaled up by
 * 1 / (1 - rate). Linear in x with a mask that depends on the example only, so its vjp is itself.
 */
const Registration dropout_(
    {.name = "dropout",
     .leastInputs = 3,
     .mostInputs = 3,
     .infer =
         [](Tensors in, const Attributes& attributes) {
           dispatchFloat(in[0].dtype(), [](auto) {});
           checkSource(in[1], in[2], attributes);
           const double rate = attributes.number("rate");
           if (!(rate >= 0 && rate < 1)) fail(ErrorCode::outOfRange, "rate: expected 0 <= rate < 1, received ", rate);
           const int example = static_cast<int>(attributes.integer("exampleRank"));
           const Shape& shape = in[0].shape();
           if (shape.rank() <= example || shape[-1 - example] != in[1].size()) {
             fail(ErrorCode::shapeMismatch, "expected one row number an example, received ", in[1].size(),
                  " for shape ", shape);
           }
           return Types{in[0].type()};
         },
     .run =
         [](Tensors in, Tensors out, const Attributes& attributes) {
           const Source source(attributes, in[1], in[2]);
           const int64_t batch = in[1].size();
           const int64_t width = in[0].shape().last(static_cast<int>(attributes.integer("exampleRank"))).size();
           if (in[0].size() == 0) return;
           const float rate = static_cast<float>(attributes.number("rate"));
           dispatchFloat(in[0].dtype(), [&](auto zero) {
             using T = decltype(zero);
             const T scale = T{1} / (T{1} - static_cast<T>(attributes.number("rate")));
             parallelFor(in[0].size() / width, std::max<int64_t>(1, 1024 / width), [&](int64_t begin, int64_t end) {
               for (int64_t row = begin; row < end; row++) {
                 const T* from = in[0].data<T>() + row * width;
                 T* to = out[0].data<T>() + row * width;
                 for (int64_t at = 0; at < width; at += 4) {
                   const auto words = source.words(row % batch, at / 4);
                   for (int64_t i = 0; i < std::min<int64_t>(4, width - at); i++) {
                     to[at + i] = unit(words[static_cast<size_t>(i)]) < rate ? T{0} : from[at + i] * scale;
                   }
                 }
               }
             });
           });
         },
     .differentiate =
         [](Vjp& vjp) {
           vjp.give(0, call(findOp("dropout"), {vjp.cotangent(), vjp.input(1), vjp.input(2)}, vjp.attributes())[0]);
         },
     .readsInputs = bit(1) | bit(2)});

}  // namespace

}  // namespace sparring
