#include "autograd/op.h"

#include <list>
#include <map>
#include <string_view>

namespace sparring {

namespace {

std::map<std::string, Op>& registry() {
  static std::map<std::string, Op> ops;
  return ops;
}

std::list<Fusion>& fusions() {
  static std::list<Fusion> all;
  return all;
}

}  // namespace

Registration::Registration(const Op& op) { registry().emplace(op.name, op); }

FusionRegistration::FusionRegistration(const Fusion& fusion) { fusions().push_back(fusion); }

const Fusion* findFusion(const Op& first, const Op& second, int input) {
  for (const Fusion& fusion : fusions()) {
    if (first.name == std::string_view(fusion.first) && second.name == std::string_view(fusion.second) &&
        input == fusion.input) {
      return &fusion;
    }
  }
  return nullptr;
}

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
