#include "plan/fuse.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

namespace sparring {

namespace {

using Reads = std::unordered_map<const Storage*, std::vector<size_t>>;

/** Whether a call between the two writes to what the first reads: the first cannot then wait for the second. */
bool writtenBetween(const std::vector<Instruction>& calls, size_t first, size_t second) {
  for (size_t at = first + 1; at < second; at++) {
    for (size_t index = 0; index < calls[at].inputs.size(); index++) {
      if ((calls[at].op->writesInputs & bit(static_cast<int>(index))) == 0) continue;
      for (const Tensor& input : calls[first].inputs) {
        if (input.storage() == calls[at].inputs[index].storage()) return true;
      }
    }
  }
  return false;
}

}  // namespace

std::vector<Instruction> fused(std::vector<Instruction> calls, const std::vector<Tensor>& outputs) {
  // Who reads a storage, once for each input that does; the caller reads the outputs after all.
  Reads reads;
  for (size_t at = 0; at < calls.size(); at++) {
    for (const Tensor& input : calls[at].inputs) reads[input.storage().get()].push_back(at);
  }
  for (const Tensor& output : outputs) reads[output.storage().get()].push_back(calls.size());

  std::vector<bool> gone(calls.size());
  for (size_t at = 0; at < calls.size(); at++) {
    if (calls[at].outputs.size() != 1) continue;
    const Tensor between = calls[at].outputs[0];
    const std::vector<size_t>& readers = reads[between.storage().get()];
    if (readers.size() != 1 || readers[0] == calls.size()) continue;
    Instruction& second = calls[readers[0]];
    const auto input = std::find_if(second.inputs.begin(), second.inputs.end(),
                                    [&](const Tensor& tensor) { return tensor.storage() == between.storage(); });
    const Fusion* fusion = findFusion(*calls[at].op, *second.op, static_cast<int>(input - second.inputs.begin()));
    if (fusion == nullptr || !(input->type() == between.type()) || second.outputs.size() != 1 ||
        !(second.outputs[0].type() == between.type()) || calls[at].loop != second.loop ||
        calls[at].limited != second.limited || writtenBetween(calls, at, readers[0])) {
      continue;
    }
    std::vector<Tensor> inputs = calls[at].inputs;
    inputs.insert(inputs.end(), second.inputs.begin(), input);
    inputs.insert(inputs.end(), input + 1, second.inputs.end());
    if (fusion->takes != nullptr && !fusion->takes(inputs, second.outputs[0])) continue;
    second.op = &fusion->together;
    second.inputs = std::move(inputs);
    second.attributes = calls[at].attributes;
    // The second call reads in its place what the first did.
    for (const Tensor& tensor : calls[at].inputs) {
      std::vector<size_t>& others = reads[tensor.storage().get()];
      std::replace(others.begin(), others.end(), at, readers[0]);
    }
    gone[at] = true;
  }
  std::vector<Instruction> kept;
  for (size_t at = 0; at < calls.size(); at++) {
    if (!gone[at]) kept.push_back(std::move(calls[at]));
  }
  return kept;
}

}  // namespace sparring
