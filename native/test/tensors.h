#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "core/random.h"
#include "ops/ops.h"

/** Tensors to test with, and ways to compare them. */
namespace sparring::test {

/** Numbers in [-1, 1), the same for the same seed. */
inline Tensor randomTensor(const Shape& shape, DType dtype, uint32_t seed) {
  Tensor result = Tensor::allocate({shape, dtype});
  dispatchFloat(dtype, [&](auto zero) {
    using T = decltype(zero);
    for (int64_t i = 0; i < result.size(); i++) {
      result.data<T>()[i] = static_cast<T>(2 * unit(philox({static_cast<uint32_t>(i), 0, 0, 0}, {seed, 0})[0]) - 1);
    }
  });
  return result;
}

inline Tensor tensorOf(const Shape& shape, const std::vector<float>& values) {
  Tensor result = Tensor::allocate({shape, DType::float32});
  std::copy(values.begin(), values.end(), result.data<float>());
  return result;
}

inline std::vector<double> valuesOf(const Tensor& tensor) {
  std::vector<double> result(static_cast<size_t>(tensor.size()));
  dispatch(tensor.dtype(), [&](auto zero) {
    using T = decltype(zero);
    std::copy_n(tensor.data<T>(), tensor.size(), result.begin());
  });
  return result;
}

/** Whether all numbers are within `tolerance` of each other, in relation to the largest. */
inline bool close(const std::vector<double>& a, const std::vector<double>& b, double tolerance) {
  if (a.size() != b.size()) return false;
  double scale = 1e-300;
  for (const double value : b) scale = std::max(scale, std::abs(value));
  for (size_t i = 0; i < a.size(); i++) {
    if (!(std::abs(a[i] - b[i]) <= tolerance * scale)) return false;
  }
  return true;
}

inline bool sameBits(const Tensor& a, const Tensor& b) {
  return a.type() == b.type() && (a.bytes() == 0 || std::memcmp(a.bytesData(), b.bytesData(), a.bytes()) == 0);
}

/** The part of that shape at an index of the axes in front of it. */
inline Tensor part(const Tensor& whole, int64_t index, const Shape& shape) {
  const TensorType type{shape, whole.dtype()};
  return whole.view(type, static_cast<size_t>(index) * type.bytes());
}

/** Where an operand of shape `own` stands when the shape it is broadcast to stands at `index`. */
inline int64_t broadcastIndex(int64_t index, const Shape& shape, const Shape& own) {
  int64_t result = 0;
  int64_t stride = 1;
  for (int axis = -1; axis >= -own.rank(); axis--) {
    result += index % shape[axis] % own[axis] * stride;
    index /= shape[axis];
    stride *= own[axis];
  }
  return result;
}

inline double dot(const Tensor& a, const Tensor& b) {
  const std::vector<double> x = valuesOf(a);
  const std::vector<double> y = valuesOf(b);
  double result = 0;
  for (size_t i = 0; i < x.size(); i++) result += x[i] * y[i];
  return result;
}

/**
 * Whether the vjp rule of an op (of its first output) is right, in float64: for each input, <v, J u> by a central
 * difference against <J' v, u>; the same of the rule's own derivative; and K cotangents at once against one by one.
 */
inline bool derivativesAgree(const char* name, const Attributes& attributes, const Values& inputs,
                             double tolerance = 1e-7) {
  const Op& op = findOp(name);
  const auto moved = [](const Value& at, const Tensor& direction, double by) -> Value {
    return ops::add(at, ops::affine(direction, by)).detached();
  };
  const auto agree = [&](double a, double b) { return std::abs(a - b) <= tolerance * (1 + std::abs(a) + std::abs(b)); };
  const Tensor out = call(op, inputs, attributes)[0].tensor();
  const Tensor v = randomTensor(out.shape(), DType::float64, 101);
  const auto gradients = [&](const Values& at, const Value& cotangent, bool record) {
    return pullback({call(op, at, attributes)[0]}, {cotangent}, at, record, false);
  };
  const auto watched = [](Values at) {
    for (Value& value : at) value = watch(value);
    return at;
  };
  const double h = 1e-4;
  const size_t count = inputs.size();
  const Values first = gradients(watched(inputs), v, false);
  for (size_t index = 0; index < count; index++) {
    if (!(first[index].shape() == inputs[index].shape())) return false;
    const Tensor u = randomTensor(inputs[index].shape(), DType::float64, 102);
    Values ahead = inputs;
    Values behind = inputs;
    ahead[index] = moved(inputs[index], u, h);
    behind[index] = moved(inputs[index], u, -h);
    const double slope =
        (dot(v, call(op, ahead, attributes)[0].tensor()) - dot(v, call(op, behind, attributes)[0].tensor())) / (2 * h);
    if (!agree(slope, dot(first[index].tensor(), u))) return false;

    // The gradient by this input is itself a function of all inputs and of v.
    const Values at = watched(inputs);
    const Value cotangent = watch(v);
    const Value gradient = gradients(at, cotangent, true)[index];
    if (gradient.node() == nullptr) continue;
    Values by = at;
    by.push_back(cotangent);
    const Values second = pullback({gradient}, {u}, by, false, false);
    for (size_t other = 0; other <= count; other++) {
      const Tensor w = randomTensor(by[other].shape(), DType::float64, 103);
      const auto along = [&](double step) {
        Values there = inputs;
        Value vThere = v;
        if (other < count) {
          there[other] = moved(inputs[other], w, step);
        } else {
          vThere = moved(v, w, step);
        }
        return dot(gradients(watched(there), vThere, false)[index].tensor(), u);
      };
      if (!agree((along(h) - along(-h)) / (2 * h), dot(second[other].tensor(), w))) return false;
    }
  }

  const Shape lead{2};
  const Tensor several = randomTensor(lead.then(out.shape()), DType::float64, 104);
  const Values together = gradients(watched(inputs), several, false);
  for (int64_t k = 0; k < lead.size(); k++) {
    const Values alone = gradients(watched(inputs), part(several, k, out.shape()), false);
    for (size_t index = 0; index < count; index++) {
      if (!(together[index].shape() == lead.then(inputs[index].shape()))) return false;
      if (!close(valuesOf(part(together[index].tensor(), k, inputs[index].shape())), valuesOf(alone[index].tensor()),
                 1e-12)) {
        return false;
      }
    }
  }
  return true;
}

}  // namespace sparring::test
