/** Runs every test that is linked in and tells how many passed. */
#include <cstdio>
#include <exception>

#include "test/check.h"

int main() {
  int passed = 0;
  int failed = 0;
  for (const auto& [name, run] : sparring::test::cases()) {
    try {
      run();
      passed++;
      continue;
    } catch (const sparring::test::Failure& failure) {
      std::printf("not ok %s\n  %s\n", name, failure.message.c_str());
    } catch (const std::exception& error) {
      std::printf("not ok %s\n  %s\n", name, error.what());
    }
    failed++;
  }
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed == 0 ? 0 : 1;
}
