/** Softmax, its logarithm, and cross-entropy from logits, over the last axis. */
#include <algorithm>
#include <cmath>

#include "core/clones.h"
#include "core/parallel.h"
#include "ops/functions.h"
#include "ops/ops.h"

namespace sparring {

namespace {

Types sameRows(Tensors in, const Attributes&) {
  dispatchFloat(in[0].dtype(), [](auto) {});
  if (in[0].rank() < 1 || in[0].shape()[-1] == 0) {
    fail(ErrorCode::shapeMismatch, "expected at least one class on the last axis, received shape ", in[0].shape());
  }
  return {in[0].type()};
}

template <class T>
T largest(int64_t n, const T* z) {
  T best = z[0];
  for (int64_t k = 1; k < n; k++) best = z[k] > best || z[k] != z[k] ? z[k] : best;
  return best;
}

/** to = e^(z - shift); the sum of it. */
template <class T>
SPARRING_CLONES T shiftedExp(int64_t n, const T* z, T shift, T* to) {
  for (int64_t k = 0; k < n; k++) to[k] = expOf(z[k] - shift);
  T sum = 0;
  for (int64_t k = 0; k < n; k++) sum += to[k];
  return sum;
}

/** Calls row(index, z, out) for every row of the last axis. */
template <class T, class Row>
void forRows(const Tensor& in, const Row& row) {
  const int64_t n = in.shape()[-1];
  const T* z = in.data<T>();
  parallelFor(in.size() / n, std::max<int64_t>(1, elementGrain / (8 * n)), [&](int64_t begin, int64_t end) {
    for (int64_t index = begin; index < end; index++) row(index, n, z + index * n);
  });
}

const Registration softmax_({.name = "softmax",
                             .leastInputs = 1,
                             .mostInputs = 1,
                             .infer = sameRows,
                             .run =
                                 [](Tensors in, Tensors out, const Attributes&) {
                                   dispatchFloat(in[0].dtype(), [&](auto zero) {
                                     using T = decltype(zero);
                                     forRows<T>(in[0], [&](int64_t index, int64_t n, const T* z) {
                                       T* p = out[0].data<T>() + index * n;
                                       const T scale = T{1} / shiftedExp(n, z, largest(n, z), p);
                                       for (int64_t k = 0; k < n; k++) p[k] *= scale;
                                     });
                                   });
                                 },
                             .differentiate =
                                 [](Vjp& vjp) {
                                   const Value p = vjp.output();
                                   const Value weighted = ops::mul(vjp.cotangent(), p);
                                   vjp.give(0, ops::sub(weighted, ops::mul(p, ops::sum(weighted, {-1}, true))));
                                 },
                             .readsOutputs = bit(0)});

const Registration logSoftmax_({.name = "logSoftmax",
                                .leastInputs = 1,
                                .mostInputs = 1,
                                .infer = sameRows,
                                .run =
                                    [](Tensors in, Tensors out, const Attributes&) {
                                      dispatchFloat(in[0].dtype(), [&](auto zero) {
                                        using T = decltype(zero);
                                        forRows<T>(in[0], [&](int64_t index, int64_t n, const T* z) {
                                          T* y = out[0].data<T>() + index * n;
                                          const T shift = largest(n, z);
                                          const T log = std::log(shiftedExp(n, z, shift, y));
                                          // The shift first: where all logits are large, their differences are all that counts.
                                          for (int64_t k = 0; k < n; k++) y[k] = z[k] - shift - log;
                                        });
                                      });
                                    },
                                .differentiate =
                                    [](Vjp& vjp) {
                                      const Value total = ops::sum(vjp.cotangent(), {-1}, true);
                                      vjp.give(0, ops::sub(vjp.cotangent(),
                                                           ops::mul(ops::one("softmax", {}, vjp.input(0)), total)));
                                    },
                                .readsInputs = bit(0)});

// ---- cross-entropy ----------------------------------------------------------------------------------------------

/** Logits [..., B, K] with labels [B]. */
Types inferLabelled(Tensors in, const Attributes& attributes) {
  sameRows(in, attributes);
  const Shape& logits = in[0].shape();
  if (in[1].dtype() != DType::int32)
    fail(ErrorCode::dtypeMismatch, "labels: expected int32, received ", dtypeName(in[1].dtype()));
  if (logits.rank() < 2 || !(in[1].shape() == Shape{logits[-2]})) {
    fail(ErrorCode::shapeMismatch, "expected logits [B,K] and labels [B], received ", logits, " and ", in[1].shape());
  }
  return {in[0].type()};
}

void checkLabels(const Tensor& labels, int64_t classes) {
  const int32_t* y = labels.data<int32_t>();
  for (int64_t i = 0; i < labels.size(); i++) {
    if (y[i] < 0 || y[i] >= classes) {
      fail(ErrorCode::outOfRange, "labels: expected classes 0 to ", classes - 1, ", received ", y[i], " at ", i);
    }
  }
}

/**
 * -log of the probability of the label, one for each example: log(1 + sum over the others of e^(z_k - z_y)), which does
 * not round to zero when the network is confident.
 */
const Registration crossEntropy_(
    {.name = "crossEntropy",
     .leastInputs = 2,
     .mostInputs = 2,
     .infer =
         [](Tensors in, const Attributes& attributes) {
           return Types{{inferLabelled(in, attributes)[0].shape.withoutLast(1), in[0].dtype()}};
         },
     .run =
         [](Tensors in, Tensors out, const Attributes&) {
           const int64_t batch = in[1].size();
           checkLabels(in[1], in[0].shape()[-1]);
           const int32_t* labels = in[1].data<int32_t>();
           dispatchFloat(in[0].dtype(), [&](auto zero) {
             using T = decltype(zero);
             forRows<T>(in[0], [&](int64_t index, int64_t n, const T* z) {
               const int32_t label = labels[index % batch];
               const T shift = largest(n, z);
               T others = 0;
               for (int64_t k = 0; k < n; k++) others += k == label ? T{0} : expOf(z[k] - shift);
               const T own = expOf(z[label] - shift);
               // The label leads: log1p keeps what is small. Another leads: the plain form loses nothing.
               out[0].data<T>()[index] =
                   z[label] == shift ? std::log1p(others) : shift - z[label] + std::log(others + own);
             });
           });
         },
     .differentiate =
         [](Vjp& vjp) {
           const Value slope = ops::one("crossEntropyGrad", {}, vjp.input(0), vjp.input(1));
           const Shape column = vjp.cotangent().shape().then({1});
           vjp.give(0, ops::mul(ops::reshape(vjp.cotangent(), column), slope));
         },
     .readsInputs = bit(0) | bit(1)});

/** The gradient by the logits: the probabilities, less one at the label, where it is minus the sum of the others. */
const Registration crossEntropyGrad_({.name = "crossEntropyGrad",
                                      .leastInputs = 2,
                                      .mostInputs = 2,
                                      .infer = inferLabelled,
                                      .run =
                                          [](Tensors in, Tensors out, const Attributes&) {
                                            const int64_t batch = in[1].size();
                                            checkLabels(in[1], in[0].shape()[-1]);
                                            const int32_t* labels = in[1].data<int32_t>();
                                            dispatchFloat(in[0].dtype(), [&](auto zero) {
                                              using T = decltype(zero);
                                              forRows<T>(in[0], [&](int64_t index, int64_t n, const T* z) {
                                                T* p = out[0].data<T>() + index * n;
                                                const int32_t label = labels[index % batch];
                                                const T scale = T{1} / shiftedExp(n, z, largest(n, z), p);
                                                T others = 0;
                                                for (int64_t k = 0; k < n; k++) {
                                                  p[k] *= scale;
                                                  others += k == label ? T{0} : p[k];
                                                }
                                                p[label] = -others;
                                              });
                                            });
                                          },
                                      .differentiate =
                                          [](Vjp& vjp) {
                                            const Value p = ops::one("softmax", {}, vjp.input(0));
                                            const Value weighted = ops::mul(vjp.cotangent(), p);
                                            vjp.give(0,
                                                     ops::sub(weighted, ops::mul(p, ops::sum(weighted, {-1}, true))));
                                          },
                                      .readsInputs = bit(0)});

}  // namespace

}  // namespace sparring
