#pragma once

#include <array>
#include <cmath>
#include <cstdint>

namespace sparring {

/**
 * Philox4x32-10 (Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3; 2011): four random words from
 * a counter and a key, with no state. A number depends only on where it stands, not on what was drawn before it.
 */
inline std::array<uint32_t, 4> philox(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key) {
  for (int round = 0; round < 10; round++) {
    const uint64_t a = uint64_t{0xD2511F53} * counter[0];
    const uint64_t b = uint64_t{0xCD9E8D57} * counter[2];
    counter = {static_cast<uint32_t>(b >> 32) ^ counter[1] ^ key[0], static_cast<uint32_t>(b),
               static_cast<uint32_t>(a >> 32) ^ counter[3] ^ key[1], static_cast<uint32_t>(a)};
    key[0] += 0x9E3779B9;
    key[1] += 0xBB67AE85;
  }
  return counter;
}

/** A word as a number in [0, 1), of 24 bits so that float32 holds it exactly. */
inline float unit(uint32_t word) { return static_cast<float>(word >> 8) * 0x1p-24F; }

/** Two words as two independent standard normal numbers (Box and Muller). */
inline std::array<double, 2> normalPair(uint32_t first, uint32_t second) {
  const double radius = std::sqrt(-2 * std::log((static_cast<double>(first) + 1) * 0x1p-32));
  const double angle = 6.283185307179586 * (static_cast<double>(second) * 0x1p-32);
  return {radius * std::cos(angle), radius * std::sin(angle)};
}

}  // namespace sparring
