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
/** Always worth keeping; beyond it the pool keeps no more than was ever in use at once. */
constexpr size_t alwaysKept = size_t{256} << 20;

/** Sizes are rounded up to four steps per power of two, so that a freed block fits the next request of about its size. */
size_t blockSize(size_t bytes) {
  if (bytes <= 256) return 256;
  const size_t step = std::bit_floor(bytes - 1) / 4;
  return (bytes + step - 1) / step * step;
}

/**
 * Keeps freed blocks by size: returning memory to the kernel and faulting it in again costs a third of a training step.
 * Of what is more than it may keep, the sizes go first that nobody has asked for the longest.
 */
class Pool {
 public:
  std::byte* take(size_t bytes) {
    const size_t size = blockSize(bytes);
    {
      const std::lock_guard lock(mutex_);
      live_ += size;
      peak_ = std::max(peak_, live_);
      Kept& kept = free_[size];
      kept.asked = ++requests_;
      if (!kept.blocks.empty()) {
        cached_ -= size;
        return popped(kept);
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
    const std::lock_guard lock(mutex_);
    live_ -= size;
    free_[size].blocks.push_back(block);
    cached_ += size;
    while (cached_ > std::max(alwaysKept, peak_)) {
      auto oldest = free_.end();
      for (auto each = free_.begin(); each != free_.end(); ++each) {
        if (each->second.blocks.empty()) continue;
        if (oldest == free_.end() || each->second.asked < oldest->second.asked) oldest = each;
      }
      cached_ -= oldest->first;
      std::free(popped(oldest->second));
    }
  }

  void trim() {
    const std::lock_guard lock(mutex_);
    for (auto& [size, kept] : free_) {
      for (std::byte* block : kept.blocks) std::free(block);
    }
    free_.clear();
    cached_ = 0;
  }

  PoolStatistics statistics() {
    const std::lock_guard lock(mutex_);
    return {live_, peak_, cached_, allocations_};
  }

 private:
  struct Kept {
    std::vector<std::byte*> blocks;
    size_t asked = 0;
  };

  static std::byte* popped(Kept& kept) {
    std::byte* block = kept.blocks.back();
    kept.blocks.pop_back();
    return block;
  }

  std::mutex mutex_;
  std::map<size_t, Kept> free_;
  size_t requests_ = 0;
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
