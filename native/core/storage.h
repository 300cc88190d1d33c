#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace sparring {

/**
 * A block of memory, 64-byte aligned. A storage without memory stands for a buffer that a plan will provide; the plan
 * points it at its arena, or at a caller's tensor, when the place is known.
 */
class Storage {
 public:
  /** Memory from the pool, uninitialised. */
  static std::shared_ptr<Storage> allocate(size_t bytes);
  /** No memory yet. */
  static std::shared_ptr<Storage> placeholder(size_t bytes);

  ~Storage();
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  [[nodiscard]] std::byte* data() const { return data_; }
  [[nodiscard]] size_t bytes() const { return bytes_; }
  [[nodiscard]] bool isPlaceholder() const { return !owned_; }
  /** Gives a placeholder the memory it stands for; that memory stays its owner's. */
  void point(std::byte* data) { data_ = data; }

 private:
  Storage(size_t bytes, std::byte* data, bool owned) : data_(data), bytes_(bytes), owned_(owned) {}

  std::byte* data_;
  size_t bytes_;
  bool owned_;
};

/** What the pool holds now, in bytes. */
struct PoolStatistics {
  size_t live;         // in use by storages
  size_t peak;         // the most that was in use at once
  size_t cached;       // kept for the next allocation
  size_t allocations;  // how often the system was asked for memory, since the start
};

PoolStatistics poolStatistics();
/** Returns all cached blocks to the system. */
void trimPool();

}  // namespace sparring
