#pragma once

#include <cstddef>
#include <cstdint>

#include "core/error.h"

namespace sparring {

/** The kinds of number: float32 to work in, float64 to check in, int32 for labels and indices, uint8 for stored images. */
enum class DType : uint8_t { float32, float64, int32, uint8 };

const char* dtypeName(DType dtype);
size_t dtypeBytes(DType dtype);
inline bool isFloat(DType dtype) { return dtype == DType::float32 || dtype == DType::float64; }

/** Calls visit with a value of the C++ type that a dtype stands for. */
template <class Visit>
decltype(auto) dispatch(DType dtype, Visit&& visit) {
  switch (dtype) {
    case DType::float32:
      return visit(float{});
    case DType::float64:
      return visit(double{});
    case DType::int32:
      return visit(int32_t{});
    case DType::uint8:
      break;
  }
  return visit(uint8_t{});
}

/** The same for an operation that is defined on float32 and float64 only. */
template <class Visit>
decltype(auto) dispatchFloat(DType dtype, Visit&& visit) {
  if (dtype == DType::float32) return visit(float{});
  if (dtype == DType::float64) return visit(double{});
  fail(ErrorCode::dtypeMismatch, "expected float32 or float64, received ", dtypeName(dtype));
}

}  // namespace sparring
