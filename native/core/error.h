#pragma once

#include <sstream>
#include <stdexcept>
#include <string>

namespace sparring {

/** The stable reasons of `src/errors.ts`, under the same names. */
enum class ErrorCode {
  invalidArgument,
  shapeMismatch,
  dtypeMismatch,
  outOfRange,
  disposed,
  notTraceable,
  outOfMemory,
  internal
};

const char* errorCodeName(ErrorCode code);

/** What every fault of the engine is thrown as; the addon turns it into a JavaScript error with its code. */
class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  [[nodiscard]] ErrorCode code() const { return code_; }

 private:
  ErrorCode code_;
};

/** Throws an Error whose message is the parts, streamed one after the other. */
template <class... Parts>
[[noreturn]] void fail(ErrorCode code, const Parts&... parts) {
  std::ostringstream message;
  (message << ... << parts);
  throw Error(code, message.str());
}

}  // namespace sparring
