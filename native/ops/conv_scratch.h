#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace sparring {

/** What convolutions use scratch for: no two uses share memory. */
enum class ConvScratch {
  image,
  out,
  places,
  taps,
  tapRows,
  steps,  // by each thread, of the block that it works on
  packed,
  runs,
  firstOfRow,
  zeros,
  parts,  // by the calling thread, for all
  part,   // by each thread, a sum to be added to another
};

/** Scratch of this thread, uninitialised; it grows and is kept. */
template <class T, ConvScratch use>
T* convScratch(int64_t size) {
  static thread_local std::vector<T> memory;
  if (memory.size() <= static_cast<size_t>(size)) memory.resize(static_cast<size_t>(size) + 1);
  return memory.data();
}

}  // namespace sparring
