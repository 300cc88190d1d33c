#include "core/dtype.h"

namespace sparring {

const char* dtypeName(DType dtype) {
  switch (dtype) {
    case DType::float32:
      return "float32";
    case DType::float64:
      return "float64";
    case DType::int32:
      return "int32";
    case DType::uint8:
      break;
  }
  return "uint8";
}

size_t dtypeBytes(DType dtype) {
  return dispatch(dtype, [](auto zero) { return sizeof(zero); });
}

}  // namespace sparring
