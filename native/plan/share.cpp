#include "plan/share.h"

#include <algorithm>
#include <functional>
#include <unordered_map>
#include <unordered_set>

namespace sparring {

namespace {

/** A call that others may be left out for, and how often what it reads had been written to when it was made. */
struct Made {
  size_t at;
  std::vector<int> versions;
};

bool sameTensor(const Tensor& a, const Tensor& b) {
  return a.storage() == b.storage() && a.offset() == b.offset() && a.type() == b.type();
}

bool sameTypes(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const Tensor& x, const Tensor& y) { return x.type() == y.type(); });
}

/** Whether both compute the same, as long as what they read is not written to in between. */
bool sameCall(const Instruction& a, const Instruction& b) {
  return a.op == b.op && std::equal(a.inputs.begin(), a.inputs.end(), b.inputs.begin(), b.inputs.end(), sameTensor) &&
         sameTypes(a.outputs, b.outputs) && a.attributes.same(b.attributes);
}

/** The storages that a call writes to. */
template <class Visit>
void eachWritten(const Instruction& call, const Visit& visit) {
  for (size_t index = 0; index < call.inputs.size(); index++) {
    if ((call.op->writesInputs & bit(static_cast<int>(index))) != 0) visit(call.inputs[index].storage().get());
  }
}

size_t hashOf(const Instruction& call) {
  size_t hash = std::hash<const Op*>()(call.op);
  for (const Tensor& input : call.inputs) hash = hash * 31 + std::hash<const Storage*>()(input.storage().get());
  return hash;
}

}  // namespace

std::vector<Instruction> shared(std::vector<Instruction> calls, const std::vector<Tensor>& inputs,
                                const std::vector<Tensor>& outputs) {
  // What a caller is given, what is written to, and what a loop knows of belongs to one call alone.
  std::unordered_set<const Storage*> own;
  for (const Tensor& output : outputs) own.insert(output.storage().get());
  for (const Instruction& call : calls) {
    if (call.loop != nullptr) {
      own.insert(call.loop->count.storage().get());
      own.insert(call.loop->rows.begin(), call.loop->rows.end());
    }
    eachWritten(call, [&](const Storage* storage) { own.insert(storage); });
  }
  std::unordered_map<const Storage*, std::shared_ptr<Storage>> insteadOf;
  std::unordered_map<const Storage*, int> written;
  std::unordered_multimap<size_t, Made> made;
  std::vector<Instruction> kept;
  for (Instruction& call : calls) {
    for (Tensor& input : call.inputs) {
      const auto instead = insteadOf.find(input.storage().get());
      if (instead != insteadOf.end()) input = Tensor(input.type(), instead->second, input.offset());
    }
    eachWritten(call, [&](const Storage* storage) { written[storage]++; });
    // A caller may hand in the very tensor that is written to.
    if (call.op->writesInputs != 0) {
      for (const Tensor& input : inputs) written[input.storage().get()]++;
    }
    // A loop makes its calls again with other numbers.
    const bool alone = call.loop != nullptr || call.op->writesInputs != 0 ||
                       std::any_of(call.outputs.begin(), call.outputs.end(),
                                   [&](const Tensor& output) { return own.contains(output.storage().get()); });
    if (!alone) {
      std::vector<int> versions;
      versions.reserve(call.inputs.size());
      for (const Tensor& input : call.inputs) versions.push_back(written[input.storage().get()]);
      const size_t hash = hashOf(call);
      const auto [begin, end] = made.equal_range(hash);
      const auto earlier = std::find_if(begin, end, [&](const auto& entry) {
        return sameCall(kept[entry.second.at], call) && entry.second.versions == versions;
      });
      if (earlier != end) {
        const std::vector<Tensor>& others = kept[earlier->second.at].outputs;
        for (size_t index = 0; index < others.size(); index++)
          insteadOf[call.outputs[index].storage().get()] = others[index].storage();
        continue;
      }
      made.emplace(hash, Made{kept.size(), std::move(versions)});
    }
    kept.push_back(std::move(call));
  }
  return kept;
}

}  // namespace sparring
