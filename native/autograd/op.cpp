#include "autograd/op.h"

#include <map>

namespace sparring {

namespace {

std::map<std::string, Op>& registry() {
  static std::map<std::string, Op> ops;
  return ops;
}

}  // namespace

Registration::Registration(const Op& op) { registry().emplace(op.name, op); }

const Op& findOp(const std::string& name) {
  const auto found = registry().find(name);
  if (found == registry().end()) fail(ErrorCode::invalidArgument, "there is no op named '", name, "'");
  return found->second;
}

std::vector<const Op*> allOps() {
  std::vector<const Op*> result;
  for (const auto& [name, op] : registry()) result.push_back(&op);
  return result;
}

}  // namespace sparring
