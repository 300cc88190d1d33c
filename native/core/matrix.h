#pragma once

#include <cstdint>

namespace sparring {

/** A matrix operand: row-major, `stride` elements from row to row, read transposed when asked. */
template <class T>
struct Matrix {
  const T* data;
  int64_t stride;
  bool transposed = false;

  /** From its row `row` on. */
  [[nodiscard]] Matrix rowsFrom(int64_t row) const {
    return {data + row * (transposed ? 1 : stride), stride, transposed};
  }
  /** From its column `column` on. */
  [[nodiscard]] Matrix columnsFrom(int64_t column) const {
    return {data + column * (transposed ? stride : 1), stride, transposed};
  }
};

}  // namespace sparring
