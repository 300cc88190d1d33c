#include "core/shape.h"

#include <algorithm>

#include "core/error.h"

namespace sparring {

Shape::Shape(std::span<const int64_t> lengths) {
  for (int64_t length : lengths) append(length);
}

int64_t Shape::product(int begin, int end) const {
  int64_t result = 1;
  for (int axis = begin; axis < end; axis++) result *= lengths_[static_cast<size_t>(axis)];
  return result;
}

void Shape::append(int64_t length) {
  if (rank_ == maxRank) fail(ErrorCode::shapeMismatch, "expected at most ", maxRank, " axes");
  lengths_[static_cast<size_t>(rank_++)] = length;
}

Shape Shape::part(int begin, int end) const {
  Shape result;
  for (int axis = begin; axis < end; axis++) result.append(lengths_[static_cast<size_t>(axis)]);
  return result;
}

Shape Shape::then(const Shape& other) const {
  Shape result = *this;
  for (int64_t length : other) result.append(length);
  return result;
}

bool Shape::operator==(const Shape& other) const { return std::equal(begin(), end(), other.begin(), other.end()); }

std::ostream& operator<<(std::ostream& out, const Shape& shape) {
  out << '[';
  for (int axis = 0; axis < shape.rank(); axis++) out << (axis == 0 ? "" : ",") << shape[axis];
  return out << ']';
}

Shape broadcast(const Shape& a, const Shape& b) {
  Shape result = a.rank() >= b.rank() ? a : b;
  const Shape& other = a.rank() >= b.rank() ? b : a;
  for (int back = 1; back <= other.rank(); back++) {
    int64_t& length = result[-back];
    const int64_t with = other[-back];
    if (length == with || with == 1) continue;
    if (length != 1) fail(ErrorCode::shapeMismatch, "shapes ", a, " and ", b, " do not broadcast");
    length = with;
  }
  return result;
}

int normalizeAxis(int64_t axis, int rank) {
  if (axis < -rank || axis >= rank) {
    fail(ErrorCode::outOfRange, "axis ", axis, " is outside a tensor of ", rank, " axes");
  }
  return static_cast<int>(axis < 0 ? axis + rank : axis);
}

}  // namespace sparring
