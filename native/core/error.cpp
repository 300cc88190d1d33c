#include "core/error.h"

namespace sparring {

const char* errorCodeName(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalidArgument:
      return "INVALID_ARGUMENT";
    case ErrorCode::shapeMismatch:
      return "SHAPE_MISMATCH";
    case ErrorCode::dtypeMismatch:
      return "DTYPE_MISMATCH";
    case ErrorCode::outOfRange:
      return "OUT_OF_RANGE";
    case ErrorCode::disposed:
      return "DISPOSED";
    case ErrorCode::notTraceable:
      return "NOT_TRACEABLE";
    case ErrorCode::outOfMemory:
      return "OUT_OF_MEMORY";
    case ErrorCode::internal:
      break;
  }
  return "INTERNAL";
}

}  // namespace sparring
