#include "core/storage.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <map>
#include <mutex>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "core/error.h"

namespace sparring {

namespace {

constexpr size_t alignment = 64;
constexpr size_t hugePage = size_t{2} << 20;
constexpr size_t cacheLimit = size_t{2} << 30;

/** Sizes are rounded up to four steps per power of two, so that a freed block fits the next request of about its size. */
size_t blockSize(size_t bytes) {
  if (bytes <= 256) return 256;
  const size_t step = std::bit_floor(bytes - 1) / 4;
  return (bytes + step - 1) / step * step;
}

/**
 * Keeps freed blocks by size: returning memory to the kernel and faulting it in again costs a third of a training step.
 */
class Pool {
 public:
  std::byte* take(size_t bytes) {
    const size_t size = blockSize(bytes);
    {
      const std::lock_guard lock(mutex_);
      live_ += size;
      peak_ = std::max(peak_, live_);
      auto& blocks = free_[size];
      if (!blocks.empty()) {
        std::byte* block = blocks.back();
        blocks.pop_back();
        cached_ -= size;
        return block;
      }
      allocations_++;
    }
    const size_t grain = size >= hugePage ? hugePage : alignment;
    void* block = std::aligned_alloc(grain, (size + grain - 1) / grain * grain);
    if (block == nullptr) {
      const std::lock_guard lock(mutex_);
      live_ -= size;
      fail(ErrorCode::outOfMemory, "could not allocate ", bytes, " bytes");
    }
#if defined(__linux__)
    if (size >= hugePage) madvise(block, size, MADV_HUGEPAGE);
#endif
    return static_cast<std::byte*>(block);
  }

  void give(std::byte* block, size_t bytes) {
    const size_t size = blockSize(bytes);
    {
      const std::lock_guard lock(mutex_);
      live_ -= size;
      if (cached_ + size <= cacheLimit) {
        free_[size].push_back(block);
        cached_ += size;
        return;
      }
    }
    std::free(block);
  }

  void trim() {
    const std::lock_guard lock(mutex_);
    for (auto& [size, blocks] : free_) {
      for (std::byte* block : blocks) std::free(block);
    }
    free_.clear();
    cached_ = 0;
  }

  PoolStatistics statistics() {
    const std::lock_guard lock(mutex_);
    return {live_, peak_, cached_, allocations_};
  }

 private:
  std::mutex mutex_;
  std::map<size_t, std::vector<std::byte*>> free_;
  size_t live_ = 0;
  size_t peak_ = 0;
  size_t cached_ = 0;
  size_t allocations_ = 0;
};

/** Never destroyed: storages may outlive static destruction when Node exits. */
Pool& pool() {
  static Pool& instance = *new Pool;
  return instance;
}

}  // namespace

std::shared_ptr<Storage> Storage::allocate(size_t bytes) {
  return std::shared_ptr<Storage>(new Storage(bytes, pool().take(bytes), true));
}

std::shared_ptr<Storage> Storage::placeholder(size_t bytes) {
  return std::shared_ptr<Storage>(new Storage(bytes, nullptr, false));
}

Storage::~Storage() {
  if (owned_) pool().give(data_, bytes_);
}

PoolStatistics poolStatistics() { return pool().statistics(); }
void trimPool() { pool().trim(); }

}  // namespace sparring
