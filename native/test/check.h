#pragma once

#include <string>
#include <utility>
#include <vector>

/** The least of a test harness: TEST(name) { CHECK(condition); }. main.cpp runs all tests that are linked in. */
namespace sparring::test {

struct Case {
  const char* name;
  void (*run)();
};

inline std::vector<Case>& cases() {
  static std::vector<Case> all;
  return all;
}

struct Failure {
  std::string message;
};

struct Registered {
  Registered(const char* name, void (*run)()) { cases().push_back({name, run}); }
};

}  // namespace sparring::test

#define TEST(name)                                                        \
  static void name();                                                     \
  static const sparring::test::Registered registered_##name(#name, name); \
  static void name()

/** Ends the test as failed when the condition is false. */
#define CHECK(condition)                                                                                       \
  do {                                                                                                         \
    if (!(condition)) {                                                                                        \
      throw sparring::test::Failure{std::string(__FILE__) + ":" + std::to_string(__LINE__) + ": " #condition}; \
    }                                                                                                          \
  } while (false)

/** Ends the test as failed unless the expression throws an engine error of the code whose message holds the words. */
#define CHECK_FAILS(expression, expectedCode, words)                                                            \
  do {                                                                                                          \
    bool failed_ = false;                                                                                       \
    try {                                                                                                       \
      (void)(expression);                                                                                       \
    } catch (const sparring::Error& error) {                                                                    \
      failed_ = true;                                                                                           \
      CHECK(error.code() == (expectedCode));                                                                    \
      if (std::string(error.what()).find(words) == std::string::npos) {                                         \
        throw sparring::test::Failure{std::string(__FILE__) + ":" + std::to_string(__LINE__) + ": expected '" + \
                                      (words) + "' in '" + error.what() + "'"};                                 \
      }                                                                                                         \
    }                                                                                                           \
    CHECK(failed_);                                                                                             \
  } while (false)
