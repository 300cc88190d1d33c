#pragma once

#include "autograd/tape.h"

/** The ops as functions, for vjp rules, which are themselves written in ops. */
namespace sparring::ops {

/** The setting `shape`, of something new: no length is negative. */
inline Shape newShape(const Attributes& attributes) {
  double size = 1;
  for (const int64_t length : attributes.list("shape")) {
    if (length < 0) fail(ErrorCode::invalidArgument, "shape: expected no negative length, received ", length);
    size *= static_cast<double>(length);
  }
  const Shape shape = attributes.shape("shape");
  if (size > 0x1p53) fail(ErrorCode::outOfMemory, "shape: expected at most 2^53 elements, received ", shape);
  return shape;
}

/** The setting `dtype`. */
inline DType newDtype(const Attributes& attributes) {
  const std::string& name = attributes.word("dtype");
  for (const DType dtype : {DType::float32, DType::float64, DType::int32, DType::uint8}) {
    if (name == dtypeName(dtype)) return dtype;
  }
  fail(ErrorCode::invalidArgument, "expected float32, float64, int32 or uint8, received '", name, "'");
}

/** The setting `dtype`, which must be a float type. */
inline DType newFloat(const Attributes& attributes) {
  const DType dtype = newDtype(attributes);
  dispatchFloat(dtype, [](auto) {});
  return dtype;
}

inline std::vector<int64_t> asList(const Shape& shape) { return {shape.begin(), shape.end()}; }

template <class... Inputs>
Value one(const char* name, Attributes attributes, const Inputs&... inputs) {
  return call(findOp(name), Values{inputs...}, std::move(attributes))[0];
}

inline Value add(const Value& a, const Value& b) { return one("add", {}, a, b); }
inline Value sub(const Value& a, const Value& b) { return one("sub", {}, a, b); }
inline Value mul(const Value& a, const Value& b) { return one("mul", {}, a, b); }
inline Value div(const Value& a, const Value& b) { return one("div", {}, a, b); }
inline Value neg(const Value& a) { return one("neg", {}, a); }
inline Value square(const Value& a) { return one("square", {}, a); }
inline Value sign(const Value& a) { return one("sign", {}, a); }
/** a * factor + shift. */
inline Value affine(const Value& a, double factor, double shift = 0) {
  return one("affine", {{"factor", factor}, {"shift", shift}}, a);
}
inline Value equal(const Value& a, const Value& b) { return one("equal", {}, a, b); }
inline Value where(const Value& condition, const Value& a, const Value& b) { return one("where", {}, condition, a, b); }
inline Value reshape(const Value& a, const Shape& shape) { return one("reshape", {{"shape", asList(shape)}}, a); }
inline Value full(const Shape& shape, double value, DType dtype) {
  return one("full", {{"shape", asList(shape)}, {"value", value}, {"dtype", std::string(dtypeName(dtype))}});
}
inline Value sum(const Value& a, std::vector<int64_t> axes, bool keepDims = false) {
  return one("sum", {{"axes", std::move(axes)}, {"keepDims", keepDims}}, a);
}
inline Value broadcastTo(const Value& a, const Shape& shape) {
  return one("broadcastTo", {{"shape", asList(shape)}}, a);
}
inline Value matmul(const Value& a, const Value& b, bool transposeA = false, bool transposeB = false) {
  return one("matmul", {{"transposeA", transposeA}, {"transposeB", transposeB}}, a, b);
}

}  // namespace sparring::ops
