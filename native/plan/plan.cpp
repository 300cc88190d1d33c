#include "plan/plan.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <ranges>
#include <unordered_map>
#include <unordered_set>

#include "plan/fuse.h"
#include "plan/share.h"

namespace sparring {

Trace::Trace() {
  if (currentTracer() != nullptr)
    fail(ErrorCode::notTraceable, "plan: a trace is already under way; a traced function cannot trace another");
  currentTracer() = this;
}

Trace::~Trace() { currentTracer() = nullptr; }

void Trace::record(const Op& op, const std::vector<Tensor>& inputs, const std::vector<Tensor>& outputs,
                   const Attributes& attributes) {
  const bool limited = loop_ != nullptr && loop_->capacity > 0;
  const auto ofRows = [&](const Tensor& tensor) { return limited && loop_->rows.contains(tensor.storage().get()); };
  if (std::any_of(inputs.begin(), inputs.end(), ofRows)) {
    for (const Tensor& output : outputs) {
      if (output.rank() < 1 || output.shape()[0] != loop_->capacity)
        fail(ErrorCode::notTraceable, "plan: expected a result with ", loop_->capacity,
             " rows, one for each of a loop's, received ", output.shape());
      loop_->rows.insert(output.storage().get());
    }
  }
  // A view is its input's memory under another type: nothing is left to do when the plan runs.
  if (op.run != nullptr) instructions_.push_back({&op, inputs, outputs, attributes, loop_, limited});
}

void Trace::beginLoop() {
  if (loop_ != nullptr) fail(ErrorCode::notTraceable, "plan: a loop is already under way; a loop cannot hold another");
  loop_ = std::make_shared<Loop>();
}

void Trace::limitLoop(const std::vector<Tensor>& rows, const Tensor& count) {
  for (const Tensor& tensor : rows) loop_->rows.insert(tensor.storage().get());
  loop_->count = count;
  loop_->capacity = rows[0].shape()[0];
}

void Trace::endLoop() { loop_ = nullptr; }

namespace {

using Storages = std::unordered_set<const Storage*>;

std::vector<Instruction> withoutDeadCalls(std::vector<Instruction> calls, const std::vector<Tensor>& outputs) {
  Storages wanted;
  for (const Tensor& output : outputs) wanted.insert(output.storage().get());
  std::vector<Instruction> kept;
  for (Instruction& call : std::views::reverse(calls)) {
    const bool writes = call.op->writesInputs != 0;
    const bool needed = std::any_of(call.outputs.begin(), call.outputs.end(),
                                    [&](const Tensor& output) { return wanted.contains(output.storage().get()); });
    if (!writes && !needed) continue;
    for (const Tensor& input : call.inputs) wanted.insert(input.storage().get());
    if (call.loop != nullptr) wanted.insert(call.loop->count.storage().get());
    kept.push_back(std::move(call));
  }
  std::reverse(kept.begin(), kept.end());
  return kept;
}

/** A buffer of the arena and the calls during which it is in use. */
struct Buffer {
  size_t bytes;
  size_t first;
  size_t last;
  std::vector<Storage*> storages;
  size_t offset = 0;
};

constexpr size_t alignment = 64;
size_t aligned(size_t bytes) { return (bytes + alignment - 1) / alignment * alignment; }

/** Places the largest buffers first, each at the lowest offset that no buffer in use at the same time covers. */
size_t place(std::vector<Buffer>& buffers) {
  std::vector<Buffer*> order;
  order.reserve(buffers.size());
  for (Buffer& buffer : buffers) order.push_back(&buffer);
  std::stable_sort(order.begin(), order.end(), [](const Buffer* a, const Buffer* b) { return a->bytes > b->bytes; });
  std::vector<Buffer*> placed;  // by offset
  size_t total = 0;
  for (Buffer* buffer : order) {
    size_t offset = 0;
    for (const Buffer* other : placed) {
      if (other->last < buffer->first || other->first > buffer->last) continue;
      if (other->offset >= offset + aligned(buffer->bytes)) break;
      offset = std::max(offset, other->offset + aligned(other->bytes));
    }
    buffer->offset = offset;
    total = std::max(total, offset + aligned(buffer->bytes));
    placed.insert(std::upper_bound(placed.begin(), placed.end(), buffer,
                                   [](const Buffer* a, const Buffer* b) { return a->offset < b->offset; }),
                  buffer);
  }
  return total;
}

}  // namespace

Plan::Plan(std::vector<Instruction> calls, std::vector<Tensor> inputs, std::vector<Tensor> outputs)
    : instructions_(fused(withoutDeadCalls(shared(std::move(calls), inputs, outputs), outputs), outputs)),
      inputs_(std::move(inputs)),
      outputs_(std::move(outputs)) {
  assignBuffers();
}

void Plan::assignBuffers() {
  Storages outside;  // provided anew for every run
  for (const Tensor& tensor : inputs_) outside.insert(tensor.storage().get());
  for (const Tensor& tensor : outputs_) outside.insert(tensor.storage().get());

  std::unordered_map<const Storage*, size_t> lastUse;
  for (size_t at = 0; at < instructions_.size(); at++) {
    for (const Tensor& tensor : instructions_[at].inputs) lastUse[tensor.storage().get()] = at;
    for (const Tensor& tensor : instructions_[at].outputs) lastUse[tensor.storage().get()] = at;
  }
  // What a loop reads it may read again: it is in use until the loop ends.
  for (size_t begin = 0; begin < instructions_.size(); begin++) {
    if (instructions_[begin].loop == nullptr) continue;
    const size_t end = loopEnd(begin);
    Storages made;
    for (size_t at = begin; at < end; at++) {
      for (const Tensor& tensor : instructions_[at].inputs) {
        size_t& last = lastUse[tensor.storage().get()];
        if (!made.contains(tensor.storage().get())) last = std::max(last, end);
      }
      for (const Tensor& tensor : instructions_[at].outputs) made.insert(tensor.storage().get());
    }
    lastUse[instructions_[begin].loop->count.storage().get()] = end;
    begin = end - 1;
  }

  std::vector<Buffer> buffers;
  std::unordered_map<const Storage*, size_t> bufferOf;
  for (size_t at = 0; at < instructions_.size(); at++) {
    const Instruction& call = instructions_[at];
    for (const Tensor& output : call.outputs) {
      Storage* storage = output.storage().get();
      if (outside.contains(storage)) continue;
      const auto bufferAt = [&](const Tensor& tensor) {
        const auto found = bufferOf.find(tensor.storage().get());
        return found == bufferOf.end() ? buffers.size() : found->second;
      };
      const auto walkedAlike = [&](const Tensor& input) {
        return input.bytes() == output.bytes() && input.storage()->bytes() == output.bytes() &&
               dtypeBytes(input.dtype()) == dtypeBytes(output.dtype()) && input.shape() == output.shape();
      };
      // Every operand in the buffer must be read where it is overwritten: another may be a stretched row of the same.
      const auto reusable = [&](const Tensor& input) {
        const size_t index = bufferAt(input);
        return index < buffers.size() && buffers[index].last == at &&
               std::all_of(call.inputs.begin(), call.inputs.end(),
                           [&](const Tensor& other) { return bufferAt(other) != index || walkedAlike(other); });
      };
      const auto taken =
          call.op->elementwise ? std::find_if(call.inputs.begin(), call.inputs.end(), reusable) : call.inputs.end();
      if (taken != call.inputs.end()) {
        const size_t index = bufferOf[taken->storage().get()];
        buffers[index].last = lastUse[storage];
        buffers[index].storages.push_back(storage);
        bufferOf[storage] = index;
      } else {
        bufferOf[storage] = buffers.size();
        buffers.push_back({storage->bytes(), at, lastUse[storage], {storage}});
      }
    }
  }
  arena_ = Storage::allocate(std::max(alignment, place(buffers)));
  for (const Buffer& buffer : buffers) {
    for (Storage* storage : buffer.storages) storage->point(arena_->data() + buffer.offset);
  }
}

size_t Plan::loopEnd(size_t begin) const {
  size_t end = begin;
  while (end < instructions_.size() && instructions_[end].loop == instructions_[begin].loop) end++;
  return end;
}

void Plan::runLoop(size_t begin, size_t end, std::vector<double>* seconds) {
  const Loop& loop = *instructions_[begin].loop;
  for (;;) {
    size_t at = begin;
    for (; at < end && !instructions_[at].limited; at++) runOne(at, 0, seconds);
    const int64_t rows = loop.count.data<int32_t>()[0];
    if (at == end || rows == 0) return;
    for (; at < end; at++) runOne(at, rows, seconds);
  }
}

void Plan::runOne(size_t at, int64_t rows, std::vector<double>* seconds) {
  using Clock = std::chrono::steady_clock;
  const Instruction& call = instructions_[at];
  const auto started = seconds == nullptr ? Clock::time_point() : Clock::now();
  try {
    if (!call.limited || rows == call.loop->capacity) {
      call.op->run(call.inputs, call.outputs, call.attributes);
    } else {
      const auto limited = [&](std::vector<Tensor> tensors) {
        for (Tensor& tensor : tensors) {
          if (!call.loop->rows.contains(tensor.storage().get())) continue;
          const Shape& shape = tensor.shape();
          tensor = tensor.view({Shape{rows}.then(shape.part(1, shape.rank())), tensor.dtype()});
        }
        return tensors;
      };
      call.op->run(limited(call.inputs), limited(call.outputs), call.attributes);
    }
  } catch (const Error& error) {
    throw Error(error.code(), std::string(call.op->name) + ": " + error.what());
  }
  if (seconds != nullptr) (*seconds)[at] += std::chrono::duration<double>(Clock::now() - started).count();
}

std::vector<Tensor> Plan::run(const std::vector<Tensor>& inputs, std::vector<double>* seconds) {
  if (inputs.size() != inputs_.size()) {
    fail(ErrorCode::invalidArgument, "plan: expected ", inputs_.size(), " inputs, received ", inputs.size());
  }
  for (size_t index = 0; index < inputs.size(); index++) {
    if (!(inputs[index].type() == inputs_[index].type())) {
      fail(ErrorCode::shapeMismatch, "plan: input ", index, " expects ", dtypeName(inputs_[index].dtype()), " ",
           inputs_[index].shape(), ", received ", dtypeName(inputs[index].dtype()), " ", inputs[index].shape());
    }
  }
  const std::lock_guard lock(running_);
  std::vector<Tensor> results;
  Storages provided;
  for (size_t index = 0; index < inputs.size(); index++) {
    inputs_[index].storage()->point(inputs[index].bytesData());
    provided.insert(inputs_[index].storage().get());
  }
  std::unordered_map<Storage*, std::shared_ptr<Storage>> memory;
  for (const Tensor& output : outputs_) {
    Storage* storage = output.storage().get();
    if (!storage->isPlaceholder() || provided.contains(storage)) continue;
    auto& block = memory[storage];
    if (block == nullptr) block = Storage::allocate(storage->bytes());
    storage->point(block->data());
  }
  if (seconds != nullptr) seconds->assign(instructions_.size(), 0);
  for (size_t at = 0; at < instructions_.size();) {
    if (instructions_[at].loop == nullptr) {
      runOne(at++, 0, seconds);
      continue;
    }
    const size_t end = loopEnd(at);
    runLoop(at, end, seconds);
    at = end;
  }
  for (const Tensor& output : outputs_) {
    const auto own = memory.find(output.storage().get());
    if (own != memory.end()) {
      results.emplace_back(output.type(), own->second, output.offset());
      continue;
    }
    // An input or a captured tensor handed straight through: a copy, so that the result is the caller's alone.
    Tensor copy = Tensor::allocate(output.type());
    std::memcpy(copy.bytesData(), output.bytesData(), output.bytes());
    results.push_back(std::move(copy));
  }
  return results;
}

}  // namespace sparring
