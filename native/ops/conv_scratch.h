#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

namespace sparring {

/** What convolutions use scratch for: no two uses share memory. */
enum class ConvScratch {
  image,
  out,
  places,
  taps,
  tapRows,
  steps,
  pixels,
  squares,
  cotangentSquares,
  sums,  // by each thread, of the block that it works on
  packed,
  sparse,        // by the calling thread, for all
  sparsePacked,  // likewise
  sparseSums,
  factors,
  factorPlaces,
  listStarts,
  windows,
  runs,
  firstOfRow,
  alike,
  termSteps,
  columns,
  zeros,
  parts,  // by the calling thread, for all
  part,   // by each thread, a sum to be added to another
};

/** Scratch of this thread, uninitialised and beginning with a cache line; it grows and is kept. */
template <class T, ConvScratch use>
T* convScratch(int64_t size) {
  static thread_local std::vector<T> memory;
  constexpr size_t line = 64;
  const size_t needed = static_cast<size_t>(size) + line / sizeof(T);
  if (memory.size() < needed) memory.resize(needed);
  void* begin = memory.data();
  size_t room = memory.size() * sizeof(T);
  return static_cast<T*>(std::align(line, static_cast<size_t>(size) * sizeof(T), begin, room));
}

}  // namespace sparring
