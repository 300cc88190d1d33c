/**
 * The optimizers' updates, in place and in one pass over memory. Formulas and settings are PyTorch's. At a rate that is not a
 * number nothing is updated: that is how a program calls a step off.
 */
#include <cmath>

#include "core/clones.h"
#include "core/parallel.h"
#include "ops/ops.h"

namespace sparring {

namespace {

void checkAlike(Tensors in, int count) {
  dispatchFloat(in[0].dtype(), [](auto) {});
  for (int index = 1; index < count; index++) {
    const Tensor& other = in[static_cast<size_t>(index)];
    if (other.type() == in[0].type()) continue;
    fail(other.dtype() == in[0].dtype() ? ErrorCode::shapeMismatch : ErrorCode::dtypeMismatch,
         "expected the parameter's ", dtypeName(in[0].dtype()), " ", in[0].shape(), ", received ",
         dtypeName(other.dtype()), " ", other.shape());
  }
}

void checkScalar(const Tensor& tensor, const char* name, DType dtype) {
  if (tensor.size() != 1 || tensor.dtype() != dtype) {
    fail(tensor.dtype() == dtype ? ErrorCode::shapeMismatch : ErrorCode::dtypeMismatch, name, ": expected one ",
         dtypeName(dtype), ", received ", dtypeName(tensor.dtype()), " ", tensor.shape());
  }
}

template <class T>
SPARRING_CLONES void sgdRun(int64_t n, T* parameter, const T* gradient, T* velocity, T rate, T momentum, T decay,
                            bool nesterov) {
  for (int64_t i = 0; i < n; i++) {
    const T g = gradient[i] + decay * parameter[i];
    const T v = momentum * velocity[i] + g;
    velocity[i] = v;
    parameter[i] -= rate * (nesterov ? g + momentum * v : v);
  }
}

/** sgdUpdate(parameter, gradient, velocity, rate): v = momentum v + g + decay p; p -= rate v, or Nesterov's step. */
const Registration sgdUpdate_({.name = "sgdUpdate",
                               .leastInputs = 4,
                               .mostInputs = 4,
                               .infer =
                                   [](Tensors in, const Attributes&) {
                                     checkAlike(in, 3);
                                     checkScalar(in[3], "rate", DType::float64);
                                     return Types{};
                                   },
                               .run =
                                   [](Tensors in, Tensors, const Attributes& attributes) {
                                     dispatchFloat(in[0].dtype(), [&](auto zero) {
                                       using T = decltype(zero);
                                       const T rate = static_cast<T>(in[3].data<double>()[0]);
                                       if (std::isnan(rate)) return;
                                       const T momentum = static_cast<T>(attributes.number("momentum"));
                                       const T decay = static_cast<T>(attributes.number("weightDecay"));
                                       const bool nesterov = attributes.flag("nesterov");
                                       parallelFor(in[0].size(), elementGrain, [&](int64_t begin, int64_t end) {
                                         sgdRun(end - begin, in[0].data<T>() + begin, in[1].data<T>() + begin,
                                                in[2].data<T>() + begin, rate, momentum, decay, nesterov);
                                       });
                                     });
                                   },
                               .writesInputs = bit(0) | bit(2)});

template <class T>
struct AdamSettings {
  T rate, beta1, beta2, share1, share2, epsilon, decay, keep, correction1, correction2;
  bool decoupled;
};

template <class T>
SPARRING_CLONES void adamRun(int64_t n, T* parameter, const T* gradient, T* first, T* second, AdamSettings<T> s) {
  for (int64_t i = 0; i < n; i++) {
    const T p = s.decoupled ? parameter[i] * s.keep : parameter[i];
    const T g = s.decoupled ? gradient[i] : gradient[i] + s.decay * p;
    first[i] = s.beta1 * first[i] + s.share1 * g;
    second[i] = s.beta2 * second[i] + s.share2 * g * g;
    parameter[i] = p - s.rate * (first[i] * s.correction1) / (std::sqrt(second[i] * s.correction2) + s.epsilon);
  }
}

/** adamUpdate(parameter, gradient, first, second, rate, step): Kingma & Ba 2015; `decoupled` decays as AdamW does. */
const Registration adamUpdate_({.name = "adamUpdate",
                                .leastInputs = 6,
                                .mostInputs = 6,
                                .infer =
                                    [](Tensors in, const Attributes&) {
                                      checkAlike(in, 4);
                                      checkScalar(in[4], "rate", DType::float64);
                                      checkScalar(in[5], "step", DType::int32);
                                      return Types{};
                                    },
                                .run =
                                    [](Tensors in, Tensors, const Attributes& attributes) {
                                      dispatchFloat(in[0].dtype(), [&](auto zero) {
                                        using T = decltype(zero);
                                        const double step = in[5].data<int32_t>()[0];
                                        const double beta1 = attributes.number("beta1");
                                        const double beta2 = attributes.number("beta2");
                                        const double rate = in[4].data<double>()[0];
                                        if (std::isnan(rate)) return;
                                        const double decay = attributes.number("weightDecay");
                                        // What is one minus something is worked out in double: in float32 1 - 0.999 is off by 5e-5 of itself.
                                        const AdamSettings<T> settings{static_cast<T>(rate),
                                                                       static_cast<T>(beta1),
                                                                       static_cast<T>(beta2),
                                                                       static_cast<T>(1 - beta1),
                                                                       static_cast<T>(1 - beta2),
                                                                       static_cast<T>(attributes.number("epsilon")),
                                                                       static_cast<T>(decay),
                                                                       static_cast<T>(1 - rate * decay),
                                                                       static_cast<T>(1 / (1 - std::pow(beta1, step))),
                                                                       static_cast<T>(1 / (1 - std::pow(beta2, step))),
                                                                       attributes.flag("decoupled")};
                                        parallelFor(in[0].size(), elementGrain, [&](int64_t begin, int64_t end) {
                                          adamRun(end - begin, in[0].data<T>() + begin, in[1].data<T>() + begin,
                                                  in[2].data<T>() + begin, in[3].data<T>() + begin, settings);
                                        });
                                      });
                                    },
                                .writesInputs = bit(0) | bit(2) | bit(3)});

}  // namespace

}  // namespace sparring
