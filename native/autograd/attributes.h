#pragma once

#include <algorithm>
#include <bit>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "core/error.h"
#include "core/shape.h"

namespace sparring {

/** An op's settings that are not tensors: numbers, lists of whole numbers, booleans and words, by name. */
class Attributes {
 public:
  using Value = std::variant<double, bool, std::string, std::vector<int64_t>>;

  Attributes() = default;
  Attributes(std::initializer_list<std::pair<std::string, Value>> entries) : entries_(entries) {}

  void set(std::string name, Value value) { entries_.emplace_back(std::move(name), std::move(value)); }

  /** Whether these are the others to the bit: a zero is not a negative zero. */
  [[nodiscard]] bool same(const Attributes& other) const {
    const auto bits = [](const Value& value) {
      const double* number = std::get_if<double>(&value);
      return number == nullptr ? 0 : std::bit_cast<int64_t>(*number);
    };
    return std::equal(entries_.begin(), entries_.end(), other.entries_.begin(), other.entries_.end(),
                      [&](const auto& a, const auto& b) { return a == b && bits(a.second) == bits(b.second); });
  }

  [[nodiscard]] bool has(std::string_view name) const { return find(name) != nullptr; }
  [[nodiscard]] double number(std::string_view name) const { return get<double>(name, "a number"); }
  [[nodiscard]] double number(std::string_view name, double otherwise) const {
    return has(name) ? number(name) : otherwise;
  }
  [[nodiscard]] int64_t integer(std::string_view name) const {
    const double value = number(name);
    if (value != static_cast<double>(static_cast<int64_t>(value))) {
      fail(ErrorCode::invalidArgument, name, ": expected a whole number, received ", value);
    }
    return static_cast<int64_t>(value);
  }
  [[nodiscard]] int64_t integer(std::string_view name, int64_t otherwise) const {
    return has(name) ? integer(name) : otherwise;
  }
  [[nodiscard]] bool flag(std::string_view name) const { return has(name) && get<bool>(name, "a boolean"); }
  [[nodiscard]] const std::string& word(std::string_view name) const { return get<std::string>(name, "a string"); }
  [[nodiscard]] const std::vector<int64_t>& list(std::string_view name) const {
    return get<std::vector<int64_t>>(name, "a list of whole numbers");
  }
  [[nodiscard]] Shape shape(std::string_view name) const { return Shape(std::span(list(name))); }

 private:
  [[nodiscard]] const Value* find(std::string_view name) const {
    for (const auto& [key, value] : entries_) {
      if (key == name) return &value;
    }
    return nullptr;
  }

  template <class T>
  [[nodiscard]] const T& get(std::string_view name, const char* kind) const {
    const Value* value = find(name);
    if (value == nullptr) fail(ErrorCode::invalidArgument, name, ": expected ", kind, ", received nothing");
    const T* result = std::get_if<T>(value);
    if (result == nullptr) fail(ErrorCode::invalidArgument, name, ": expected ", kind);
    return *result;
  }

  std::vector<std::pair<std::string, Value>> entries_;
};

}  // namespace sparring
