#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <ostream>
#include <span>

namespace sparring {

/** The lengths of a tensor's axes; up to maxRank of them, held inline so that copies are cheap. */
class Shape {
 public:
  static constexpr int maxRank = 8;

  Shape() = default;
  Shape(std::initializer_list<int64_t> lengths) : Shape(std::span(lengths.begin(), lengths.size())) {}
  explicit Shape(std::span<const int64_t> lengths);

  [[nodiscard]] int rank() const { return rank_; }
  /** The length of an axis; negative axes count from the last. */
  [[nodiscard]] int64_t operator[](int axis) const { return lengths_[position(axis)]; }
  int64_t& operator[](int axis) { return lengths_[position(axis)]; }
  /** How many elements a tensor of this shape has. */
  [[nodiscard]] int64_t size() const { return product(0, rank_); }
  /** The product of the lengths of axes begin to end. */
  [[nodiscard]] int64_t product(int begin, int end) const;

  [[nodiscard]] const int64_t* begin() const { return lengths_.data(); }
  [[nodiscard]] const int64_t* end() const { return lengths_.data() + rank_; }

  void append(int64_t length);
  /** Axes begin to end as a shape of their own. */
  [[nodiscard]] Shape part(int begin, int end) const;
  /** This shape followed by another. */
  [[nodiscard]] Shape then(const Shape& other) const;
  /** The first rank() - count axes. */
  [[nodiscard]] Shape withoutLast(int count) const { return part(0, rank_ - count); }
  [[nodiscard]] Shape last(int count) const { return part(rank_ - count, rank_); }

  bool operator==(const Shape& other) const;

 private:
  [[nodiscard]] size_t position(int axis) const { return static_cast<size_t>(axis < 0 ? axis + rank_ : axis); }

  std::array<int64_t, maxRank> lengths_{};
  int rank_ = 0;
};

std::ostream& operator<<(std::ostream& out, const Shape& shape);

/** The shape two operands broadcast to, aligned at the last axis; fails when they do not. */
Shape broadcast(const Shape& a, const Shape& b);

/** The axis as counted from the front, checked against the rank. */
int normalizeAxis(int64_t axis, int rank);

}  // namespace sparring
