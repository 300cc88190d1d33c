/** How high water stands in vessels that are filled together: the equation behind projections with bounds. */
#include <algorithm>

#include "core/clones.h"
#include "core/parallel.h"
#include "ops/ops.h"

namespace sparring {

namespace {

/** What a row of vessels holds at a level, and by how much more for each unit that the level rises. */
struct Filling {
  double held, widths;
};

constexpr int lanes = 16;

template <class T>
SPARRING_CLONES Filling fillingAt(double level, int64_t n, const T* width, const T* room) {
  double held[lanes] = {};
  double widths[lanes] = {};
  for (int64_t start = 0; start < n; start += lanes) {
    const int64_t count = std::min<int64_t>(lanes, n - start);
    for (int64_t lane = 0; lane < count; lane++) {
      const auto wide = static_cast<double>(width[start + lane]);
      const auto most = static_cast<double>(room[start + lane]);
      const double wished = wide * level;
      held[lane] += most < wished ? most : wished;
      widths[lane] += wished < most ? wide : 0;
    }
  }
  Filling all{0, 0};
  for (int lane = 0; lane < lanes; lane++) {
    all.held += held[lane];
    all.widths += widths[lane];
  }
  return all;
}

/**
 * What the vessels hold is a concave function of the level, made of straight pieces: Newton's steps from 0 never pass the
 * level that is looked for, and end as soon as one fills no further vessel. What is not a number comes out as such.
 */
template <class T>
double levelOf(double amount, int64_t n, const T* width, const T* room) {
  double level = 0;
  double before = -1;
  while (true) {
    const Filling now = fillingAt(level, n, width, room);
    if (now.held != now.held) return now.held;
    if (!(now.widths > 0) || now.widths == before || now.held >= amount) return level;
    level += (amount - now.held) / now.widths;
    before = now.widths;
  }
}

Types inferLevel(Tensors in, const Attributes&) {
  dispatchFloat(in[0].dtype(), [](auto) {});
  const Shape& shape = in[0].shape();
  if (shape.rank() < 1) fail(ErrorCode::shapeMismatch, "widths: expected [...,D], received ", shape);
  const Shape one = shape.part(0, shape.rank() - 1).then({1});
  const auto expect = [&](const Tensor& tensor, const char* name, const Shape& expected) {
    if (tensor.dtype() == in[0].dtype() && tensor.shape() == expected) return;
    fail(tensor.dtype() == in[0].dtype() ? ErrorCode::shapeMismatch : ErrorCode::dtypeMismatch, name, ": expected ",
         dtypeName(in[0].dtype()), " ", expected, ", received ", dtypeName(tensor.dtype()), " ", tensor.shape());
  };
  expect(in[1], "rooms", shape);
  expect(in[2], "amount", one);
  return {{one, in[0].dtype()}};
}

void runLevel(Tensors in, Tensors out, const Attributes&) {
  dispatchFloat(in[0].dtype(), [&](auto zero) {
    using T = decltype(zero);
    const int64_t n = in[0].shape()[-1];
    constexpr int64_t rounds = 8;
    parallelFor(out[0].size(), std::max<int64_t>(1, elementGrain / std::max<int64_t>(1, rounds * n)),
                [&](int64_t begin, int64_t end) {
                  for (int64_t row = begin; row < end; row++) {
                    const auto amount = static_cast<double>(in[2].data<T>()[row]);
                    const double level = levelOf(amount, n, in[0].data<T>() + row * n, in[1].data<T>() + row * n);
                    out[0].data<T>()[row] = static_cast<T>(level);
                  }
                });
  });
}

/** waterLevel(widths [..., D], rooms [..., D], amount [..., 1]): the level at which vessels hold the amount. */
const Registration level_(
    {.name = "waterLevel", .leastInputs = 3, .mostInputs = 3, .infer = inferLevel, .run = runLevel});

}  // namespace

}  // namespace sparring
