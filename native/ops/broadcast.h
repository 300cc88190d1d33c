#pragma once

#include <array>
#include <cstdint>

#include "core/clones.h"
#include "core/parallel.h"
#include "core/tensor.h"

namespace sparring {

/**
 * Walks N operands over a common broadcast shape as runs along the last axis: neighbouring axes that all operands walk
 * alike are merged, so that most calls are one run or one run a row.
 */
template <int N>
class BroadcastWalk {
 public:
  BroadcastWalk(const Shape& out, const std::array<const Shape*, N>& operands) {
    for (int axis = out.rank() - 1; axis >= 0; axis--) {
      if (out[axis] == 1) continue;
      std::array<bool, N> moves{};
      for (int operand = 0; operand < N; operand++) {
        const Shape& shape = *operands[operand];
        const int own = axis - (out.rank() - shape.rank());
        moves[operand] = own >= 0 && shape[own] != 1;
      }
      if (axes_ > 0 && moves == moves_[axes_ - 1]) {
        lengths_[axes_ - 1] *= out[axis];
        continue;
      }
      lengths_[axes_] = out[axis];
      moves_[axes_++] = moves;
    }
    if (axes_ == 0) {
      lengths_[0] = 1;
      axes_ = 1;
    }
    for (int operand = 0; operand < N; operand++) {
      int64_t stride = 1;
      for (int axis = 0; axis < axes_; axis++) {
        strides_[operand][axis] = moves_[axis][operand] ? stride : 0;
        if (moves_[axis][operand]) stride *= lengths_[axis];
      }
    }
    for (int axis = 1; axis < axes_; axis++) runs_ *= lengths_[axis];
  }

  /** Elements of a run, and which operands move along it. */
  [[nodiscard]] int64_t run() const { return lengths_[0]; }
  [[nodiscard]] bool moves(int operand) const { return strides_[operand][0] != 0 && lengths_[0] > 1; }
  [[nodiscard]] int64_t runs() const { return runs_; }

  /** Where each operand stands at the start of a run. */
  [[nodiscard]] std::array<int64_t, N> start(int64_t index) const {
    std::array<int64_t, N> offsets{};
    for (int axis = 1; axis < axes_; axis++) {
      const int64_t at = index % lengths_[axis];
      index /= lengths_[axis];
      for (int operand = 0; operand < N; operand++) offsets[operand] += at * strides_[operand][axis];
    }
    return offsets;
  }

 private:
  int axes_ = 0;
  int64_t runs_ = 1;
  std::array<int64_t, Shape::maxRank> lengths_{};
  std::array<std::array<bool, N>, Shape::maxRank> moves_{};
  std::array<std::array<int64_t, Shape::maxRank>, N> strides_{};
};

template <bool moveA, bool moveB, class Out, class A, class B, class F>
SPARRING_CLONES void runOfTwo(int64_t n, Out* out, const A* a, const B* b, F f) {
  for (int64_t i = 0; i < n; i++) out[i] = f(a[moveA ? i : 0], b[moveB ? i : 0]);
}

/** out = f(a, b), element by element, broadcast. */
template <class Out, class A, class B, class F>
void mapTwo(const Tensor& out, const Tensor& a, const Tensor& b, F f) {
  const BroadcastWalk<2> walk(out.shape(), {&a.shape(), &b.shape()});
  const int64_t n = walk.run();
  const auto kernel =
      walk.moves(0) ? (walk.moves(1) ? runOfTwo<true, true, Out, A, B, F> : runOfTwo<true, false, Out, A, B, F>)
                    : (walk.moves(1) ? runOfTwo<false, true, Out, A, B, F> : runOfTwo<false, false, Out, A, B, F>);
  Out* to = out.data<Out>();
  const A* fromA = a.data<A>();
  const B* fromB = b.data<B>();
  if (walk.runs() == 1) {
    parallelFor(n, elementGrain, [&](int64_t begin, int64_t end) {
      kernel(end - begin, to + begin, fromA + (walk.moves(0) ? begin : 0), fromB + (walk.moves(1) ? begin : 0), f);
    });
    return;
  }
  if (out.size() == 0) return;
  parallelFor(walk.runs(), std::max<int64_t>(1, elementGrain / n), [&](int64_t begin, int64_t end) {
    for (int64_t index = begin; index < end; index++) {
      const auto at = walk.start(index);
      kernel(n, to + index * n, fromA + at[0], fromB + at[1], f);
    }
  });
}

template <class Out, class A, class F>
SPARRING_CLONES void runOfOne(int64_t n, Out* out, const A* a, F f) {
  for (int64_t i = 0; i < n; i++) out[i] = f(a[i]);
}

/** out = f(a), element by element. */
template <class Out, class A, class F>
void mapOne(const Tensor& out, const Tensor& a, F f) {
  Out* to = out.data<Out>();
  const A* from = a.data<A>();
  parallelFor(out.size(), elementGrain,
              [&](int64_t begin, int64_t end) { runOfOne(end - begin, to + begin, from + begin, f); });
}

}  // namespace sparring
